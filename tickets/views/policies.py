"""Settings: what is promised to which tickets, tried on an example before it is saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets.actions.errors import Invalid, Refused
from tickets.actions.marking import mark_of
from tickets.actions.policies import checked, delete_policy, save_policy
from tickets.durations import minutes_of, written
from tickets.models import Calendar, Priority, SlaPolicy, Source, Team, Ticket
from tickets.policies import Policies
from tickets.promises import Story, Terms, promised
from tickets.views.clock import WORDS
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page, shown_mark
from tickets.views.undoing import gone, to_undo

TARGETS = (
    ("response_minutes", "First answer"),
    ("next_response_minutes", "Next answer"),
    ("resolution_minutes", "Resolution"),
)


@require_safe
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """Every policy, and which one holds for a ticket."""
    policies = list(SlaPolicy.objects.select_related("team", "source", "calendar"))
    policies.sort(key=lambda one: (one.rank, str(one.source or ""), str(one.team or ""), one.priority or "P9"))
    context = {"policies": policies, "undo": to_undo(request), "example": _example(request.GET), **_choices()}
    return settings_page(request, "settings/policies.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def policy(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """One policy, or a new one."""
    held = get_object_or_404(SlaPolicy, pk=pk) if pk else SlaPolicy()
    given, refused = _written(held), None
    mark = mark_of(held)
    if request.method == "POST":
        given = request.POST.dict()
        try:
            seen = request.POST.get("mark", "")
            saved = save_policy(policy=held, by=person(request), seen=seen, **_values(request.POST))
        except Refused as why:
            refused = why
        else:
            toasts.success(request, f"{saved}: saved. Open tickets are reckoned anew in the background.")
            return HttpResponseRedirect(reverse("tickets:policies"))
    mark = shown_mark(request, mark, refused)
    context = {"policy": held, "given": given, "mark": mark, "refused": refused, "targets": TARGETS, **_choices()}
    return settings_page(request, "settings/policy.html", context, status=422 if refused else 200)


@require_POST
@leads_only
def deletion(request: HttpRequest, pk: int) -> HttpResponse:
    held = get_object_or_404(SlaPolicy, pk=pk)
    fields = _written(held)
    delete_policy(policy=held, by=person(request))
    return gone("tickets:policies", str(held), fields)


@require_safe
@leads_only
def preview(request: HttpRequest) -> HttpResponse:
    """When a ticket would be due by a policy as it stands in the form, or by the one that holds. Fragment."""
    context: dict[str, Any] = {}
    try:
        if "response_minutes" in request.GET:
            tried = checked(_tried(request.GET))
            context["example"] = example_of(
                Policies.current().terms_of(tried, tried.team_id), request.GET.get("at", "")
            )
        else:
            context["example"] = _example(request.GET)
    except Invalid as why:
        context["refused"] = why
    return render(request, "settings/_example.html", context)


@dataclass(frozen=True, slots=True)
class Example:
    """A ticket that comes in at a moment, and when what is promised to it is due; times by the clock of the place."""

    comes_at: datetime
    zone: str
    due: list[tuple[str, datetime | None, datetime | None]]  # the target's word, when it is due, when it is warned of
    policy: SlaPolicy | None = None


def example_of(terms: Terms, at: str = "", policy: SlaPolicy | None = None) -> Example:
    """`at` is a moment by the clock of the place, as a form sends it; else the next Friday at ten to five."""
    zone = ZoneInfo(terms.hours.zone)
    try:
        comes = datetime.strptime(at, "%Y-%m-%dT%H:%M").replace(tzinfo=zone)
    except ValueError:
        today = timezone.now().astimezone(zone)
        friday = today + timedelta(days=(4 - today.weekday()) % 7)
        comes = friday.replace(hour=16, minute=50, second=0, microsecond=0)
    # As if it had been answered and the customer asked something else: so that all three are promised.
    answered = comes - timedelta(microseconds=1)
    story = Story(comes, comes, first_replied_at=answered, replied=(answered,), asked=(comes,))
    found = {promise.target: promise for promise in promised(story, terms)}
    due = [
        (WORDS[target], in_zone(found[target].due_at, zone), in_zone(found[target].warn_at, zone))
        for target in WORDS
        if target in found
    ]
    return Example(comes.replace(tzinfo=None), terms.hours.zone, due, policy)


def in_zone(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    """By the clock of the place, and without its zone, so that nothing changes it back."""
    return moment.astimezone(zone).replace(tzinfo=None) if moment else None


def _example(given: QueryDict) -> Example | None:
    """By the policy that holds for a ticket of this priority, team and source."""
    ticket = Ticket(priority=given.get("priority", "P2"), team=_team(given))
    source = _source(given)
    if source is not None:
        ticket.source = source
    policies = Policies.current()
    held = policies.policy_for(ticket)
    return example_of(policies.terms_of(held, ticket.team_id), given.get("at", ""), held) if held else None


def _choices() -> dict[str, Any]:
    return {
        "priorities": [(key, f"{key} {word}") for key, word in Priority.choices],
        "teams": Team.objects.filter(active=True),
        "sources": Source.objects.filter(active=True),
        "calendars": Calendar.objects.all(),
    }


def _tried(given: QueryDict) -> SlaPolicy:
    """A policy as the form has it, which is not to be taken for the one that is stored."""
    tried = SlaPolicy(**_values(given))
    key = str(given.get("pk", ""))
    if key.isdecimal() and len(key) < 18:
        tried.pk, tried._state.adding = int(key), False
    return tried


def _values(given: QueryDict) -> dict[str, Any]:
    """What a form says, as the model's fields. Raises Invalid naming the field."""
    values: dict[str, Any] = {"priority": given.get("priority", ""), "team": _team(given), "source": _source(given)}
    key = given.get("calendar", "")
    values["calendar"] = Calendar.objects.filter(pk=key).first() if key.isdecimal() and len(key) < 18 else None
    for name, _ in TARGETS:
        values[name] = _minutes(given, name)
    warn = given.get("warn", "").strip()
    in_percent = warn.endswith("%")
    number = warn.removesuffix("%").strip()
    if in_percent and not (number.isdecimal() and len(number) < 4):
        raise Invalid("invalid", "Write it like 80 % or 30m.", field="warn")
    values["warn_percent"] = int(number) if in_percent else None
    values["warn_minutes"] = None if in_percent else _minutes(given, "warn")
    return values


def _minutes(given: QueryDict, name: str) -> int | None:
    try:
        return minutes_of(given.get(name, ""))
    except ValueError as error:
        raise Invalid("invalid", "Write it like 45m, 4h or 1h 30m.", field=name) from error


def _team(given: QueryDict) -> Team | None:
    return Team.objects.filter(key=given.get("team", "").replace("\x00", "")).first()


def _source(given: QueryDict) -> Source | None:
    return Source.objects.filter(name=given.get("source", "").replace("\x00", "")).first()


def _written(policy: SlaPolicy) -> dict[str, str]:
    """A policy's fields as the form sends them."""
    warn = f"{policy.warn_percent} %" if policy.warn_percent is not None else written(policy.warn_minutes)
    return {
        "priority": policy.priority,
        "team": policy.team.key if policy.team else "",
        "source": policy.source.name if policy.source else "",
        "calendar": str(policy.calendar_id or ""),
        "warn": warn,
        **{name: written(getattr(policy, name)) for name, _ in TARGETS},
    }
