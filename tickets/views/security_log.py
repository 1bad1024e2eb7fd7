"""What was done about people and how they get in: for admins and auditors, newest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from tickets.models import Agent, SecurityEvent, SignInPolicy, Team
from tickets.views.people import require_overseer
from tickets.views.settings import settings_page
from triage.models import User

PAGE = 50
FACTORS = {"totp": "an authenticator app", "webauthn": "a passkey", "recovery_codes": "recovery codes"}
FIELDS = {
    "username": "User name",
    "email": "E-mail",
    "is_superuser": "Superuser",
    "is_staff": "Administration",
    "role": "Role",
    "scopes": "Scopes",
}


@dataclass(frozen=True, slots=True)
class Told:
    """An event in words: who, what, about whom, and what was before."""

    event: SecurityEvent
    actor: str
    sentence: str
    changes: tuple[tuple[str, str, str], ...]


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    require_overseer(request)
    found = SecurityEvent.objects.all()
    about, before = (_number(request, name) for name in ("person", "before"))
    if about:
        found = found.filter(person=about)
    if before:
        found = found.filter(pk__lt=before)
    rows = list(found[: PAGE + 1])
    context = {
        "rows": tell(rows[:PAGE]),
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "about": User.objects.filter(pk=about).first() if about else None,
    }
    return settings_page(request, "settings/security_log.html", context)


def tell(events: Iterable[SecurityEvent]) -> list[Told]:
    rows = list(events)
    actors = {row.actor.removeprefix("user:") for row in rows if row.actor.startswith("user:")}
    pks = {row.person for row in rows if row.person} | {int(pk) for pk in actors if pk.isdigit()}
    names = {user.pk: user.label for user in User.objects.filter(pk__in=pks)}
    teams = dict(Team.objects.values_list("pk", "name"))
    return [Told(row, _actor(row, names), _sentence(row, names, teams), _changes(row)) for row in rows]


def _actor(row: SecurityEvent, names: dict[int, str]) -> str:
    kind, _, rest = row.actor.partition(":")
    if kind == "user" and rest.isdigit():
        return names.get(int(rest), f"Somebody who is gone ({rest})")
    if kind == "command":
        return f"The command {rest}"
    return {"visitor": "A visitor", "database": "The database"}.get(kind, rest or row.actor)


def _sentence(row: SecurityEvent, names: dict[int, str], teams: dict[int, str]) -> str:
    whom = names.get(row.person or 0, "somebody who is gone")
    held = {**row.before, **row.after}
    if row.noun == "person" and row.verb == "changed" and "is_active" in row.after:
        return f"{'activated' if row.after['is_active'] else 'deactivated'} {whom}"
    if row.noun == "invitation":
        return _invitation(row, held)
    if row.noun == "rule":
        asked = dict(SignInPolicy.CHOICES).get(str(held.get("second_factor")), "nobody").lower()
        return f"asks a second factor of {asked}"
    words = {
        ("person", "added"): f"made the account of {whom}",
        ("person", "changed"): f"changed the {'password' if 'password' in row.after else 'account'} of {whom}",
        ("person", "removed"): f"deleted the account {held.get('username', '')}",
        ("role", "added"): f"gave {whom} a place at the desk",
        ("role", "changed"): f"changed the role of {whom}",
        ("role", "removed"): f"took the place at the desk from {whom}",
        ("team", "added"): f"put {whom} into {teams.get(held.get('team_id', 0), 'a team')}",
        ("team", "removed"): f"took {whom} out of {teams.get(held.get('team_id', 0), 'a team')}",
        ("factor", "added"): f"set up {FACTORS.get(str(held.get('type')), 'a second factor')} of {whom}",
        ("factor", "removed"): f"removed {FACTORS.get(str(held.get('type')), 'a second factor')} of {whom}",
        ("account", "added"): f"connected {whom} with {held.get('provider')}",
        ("account", "removed"): f"disconnected {whom} from {held.get('provider')}",
        ("session", "removed"): f"ended {_sessions(held)} of {whom}",
        ("import", "added"): f"imported the file {held.get('file')} into {held.get('source')}",
        ("export", "added"): f"exported {_tickets(held)}",
        ("key", "added"): f"made the API key {held.get('name')}",
        ("key", "changed"): f"{_key_change(row.after)} an API key{' of ' + whom if row.person else ''}",
        ("key", "removed"): f"deleted the API key {held.get('name')}",
    }
    return words.get((row.noun, row.verb), f"{row.verb} a {row.noun} of {whom}")


def _key_change(after: dict[str, Any]) -> str:
    if "revoked_at" in after:
        return "revoked" if after["revoked_at"] else "brought back"
    return "gave other letters to" if "prefix" in after else "changed"


def _sessions(held: dict[str, Any]) -> str:
    count = int(held.get("sessions", 0))
    return "a session" if count == 1 else f"{count} sessions"


def _tickets(held: dict[str, Any]) -> str:
    count, chosen = int(held.get("tickets", 0)), str(held.get("chosen", ""))
    return f"{count:,} ticket{'' if count == 1 else 's'} as {held.get('format')}: {chosen}"


def _invitation(row: SecurityEvent, held: dict[str, Any]) -> str:
    if row.verb == "added":
        return f"invited {held.get('email')} as {dict(Agent.Role.choices).get(str(held.get('role')), '')}"
    if "accepted_at" in row.after:
        return "accepted an invitation"
    return "took an invitation back" if "revoked_at" in row.after else "renewed an invitation"


def _changes(row: SecurityEvent) -> tuple[tuple[str, str, str], ...]:
    if row.verb != "changed":
        return ()
    return tuple(
        (FIELDS[name], _word(row.before.get(name)), _word(row.after[name])) for name in row.after if name in FIELDS
    )


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return dict(Agent.Role.choices).get(str(value), str(value))


def _number(request: HttpRequest, name: str) -> int | None:
    given = request.GET.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 18 else None
