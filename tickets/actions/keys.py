"""Keys to the API: made and shown once, given other letters, revoked, and brought back where that was a mistake."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.review import require_decider
from tickets.models import SCOPES, ApiKey, Source, administers, leads
from triage.models import User

LONGEST_GRACE = timedelta(days=30)


def create(
    *,
    name: str,
    scopes: Iterable[str],
    username: str | None,
    source_name: str,
    expires_at: datetime | None = None,
    by: User | None = None,
) -> tuple[ApiKey, str]:
    """Make an API key, and its source when that is new. Returns the row and the key itself, which is not kept.

    `by` is who makes it, None for a command: leads make keys in nobody's name and in their own, admins in anybody's.
    """
    wanted = list(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise Invalid("not_a_choice", f"Scopes are {', '.join(SCOPES)}. Choose at least one.", field="scopes")
    if not name.strip() or len(name) > 100:
        raise Invalid("not_a_choice", "A key has a name of up to 100 characters.", field="name")
    user = _person(username)
    if by is not None:
        require_keeper(by, user)
    if "approve" in wanted and user is None:
        raise Invalid("no_person", "A key that approves acts for a person: name one.", field="user")
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid("not_a_date", "A key ends in the future.", field="expires")
    with transaction.atomic():
        source = _source(source_name)
        key, prefix, digest = ApiKey.mint()
        row = ApiKey.objects.create(
            name=name.strip(),
            prefix=prefix,
            digest=digest,
            scopes=wanted,
            source=source,
            user=user,
            by=by,
            expires_at=expires_at,
        )
    return row, key


def rotate(*, key: ApiKey, grace: timedelta, by: User) -> tuple[ApiKey, str]:
    """Give a key other letters; those it has are taken for `grace` longer. Returns it and the letters, shown once."""
    require_keeper(by, key.user)
    if not timedelta(0) <= grace <= LONGEST_GRACE:
        raise Invalid("not_a_choice", "The old key is taken for up to 30 days longer.", field="grace")
    with transaction.atomic():
        held = ApiKey.objects.select_for_update(of=("self",)).select_related("user", "source").get(pk=key.pk)
        if held.state != "in force":
            raise Conflict("not_in_force", "This key is not in force any more. Make a new one.")
        secret = held.rotate(grace)
        held.save(update_fields=["prefix", "digest", "previous_digest", "previous_until"])
    return held, secret


def revoke(*, key: ApiKey, by: User) -> bool:
    """End a key at once, with the letters it had before. Returns whether it was in force until now."""
    _require_lead(by)
    return ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()) == 1


def restore(*, key: ApiKey, by: User) -> ApiKey:
    """Take back a revocation of the last hour: whoever holds the key may go on."""
    _require_lead(by)
    with transaction.atomic():
        held = ApiKey.objects.select_for_update(of=("self",)).select_related("user").get(pk=key.pk)
        if held.revoked_at is None:
            return held
        if not held.undoable:
            raise Conflict("too_late", "It was revoked more than an hour ago. Make a new key.")
        if held.user is not None and not held.user.is_active:
            raise Conflict("no_person", f"{held.user.label} does not work here any more, and nor does this key.")
        held.revoked_at = None
        held.save(update_fields=["revoked_at"])
    return held


def require_keeper(by: User, user: User | None) -> None:
    """Raise Forbidden unless `by` may be shown the letters of a key that acts for `user`, or for nobody."""
    _require_lead(by)
    if user is not None and user.pk != by.pk and not administers(by):
        raise Forbidden("not_an_admin", f"Only an admin makes a key that acts for {user.label}.")


def _require_lead(by: User) -> None:
    if not leads(by):
        raise Forbidden("not_a_lead", "Only leads and admins keep the keys to the API.")


def _source(name: str) -> Source:
    name = " ".join(name.split())[:100]
    if not name:
        raise Invalid("blank", "Name the source that its tickets come from.", field="source")
    source, _ = Source.objects.get_or_create(name=name, defaults={"kind": "api"})
    if source.kind != "api":
        raise Invalid("not_a_choice", "Tickets of this source do not come in through the API.", field="source")
    return source


def _person(username: str | None) -> User | None:
    if not username:
        return None
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise Invalid("no_such_user", f"There is no active user named {username}.", field="user")
    require_decider(user)
    return user
