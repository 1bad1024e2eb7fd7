"""The figures of tickets, one function a number. Its docstring is its definition.

Each takes the tickets it may count: `Ticket.objects.visible_to(user)`, so that nobody is shown another team's. Figures
of model calls are in `calls`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Aggregate, CharField, Count, DurationField, F, Func, Q, QuerySet
from django.db.models.functions import TruncDate

from analytics.period import Period
from tickets.models import Category, Delivery, Priority, Status, Team, Ticket, TriageState
from tickets.models.ticket import TicketQuerySet
from triage.pipeline.types import MANUAL_REVIEW

Tickets = TicketQuerySet


@dataclass(frozen=True, slots=True)
class Share:
    """How many tickets have one value. `key` is the value as the API spells it, "" for none."""

    key: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Day:
    """What came and what was done on one calendar day of the desk's time zone."""

    date: date
    new: int
    resolved: int


@dataclass(frozen=True, slots=True)
class Recurring:
    """A tag on several tickets of a period, and on how many of the period of equal length before."""

    tag: str
    count: int
    before: int

    @property
    def more(self) -> int:
        return max(0, self.count - self.before)

    @property
    def fewer(self) -> int:
        return max(0, self.before - self.count)


class Percentile(Aggregate):
    """PostgreSQL's percentile_cont: interpolated between the two middle rows, null without rows."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"

    def __init__(self, expression: Any, share: float, **extra: Any) -> None:
        super().__init__(expression, share=float(share), **extra)


class Unnest(Func):
    """One row a member of an array."""

    function = "unnest"
    set_returning = True
    output_field = CharField()


def all_tickets(tickets: Tickets) -> int:
    """Every ticket there is, open or ended."""
    return tickets.count()


def open_tickets(tickets: Tickets) -> int:
    """Tickets not yet resolved or closed: new, in review, escalated or waiting on the customer."""
    return tickets.open().count()


def awaiting_approval(tickets: Tickets) -> int:
    """Tickets in review or escalated whose drafted reply still answers the customer's last message."""
    return tickets.awaiting_approval().count()


def escalated(tickets: Tickets) -> int:
    """Tickets in the escalated queue now."""
    return tickets.filter(status=Status.ESCALATED).count()


def failed(tickets: Tickets) -> int:
    """Tickets the machine could not read, whatever their status."""
    return tickets.unreadable().count()


def reading(tickets: Tickets) -> int:
    """Tickets stored and not yet read: submitted, or being read now."""
    waiting = tickets.filter(triage_state__in=(TriageState.SUBMITTED, TriageState.PROCESSING))
    return waiting.filter(merged_into=None).count()


def overdue(tickets: Tickets) -> int:
    """Tickets on which the desk has to act, never answered, whose time for a first answer has run out."""
    return tickets.overdue().count()


def undelivered(tickets: Tickets) -> int:
    """Tickets with an approved reply that failed or whose fate is not known: a person has to say what next."""
    return tickets.undelivered().count()


def undecided(tickets: Tickets) -> int:
    """Open tickets in the team Manual review: nothing read them well enough to route them."""
    return tickets.open().filter(team__key=MANUAL_REVIEW).count()


def new_in(tickets: Tickets, period: Period) -> int:
    """Tickets that came in within the period."""
    return tickets.filter(period.within("created_at")).count()


def resolved_in(tickets: Tickets, period: Period) -> int:
    """Tickets resolved within the period and not reopened since; one that closed by itself keeps its first day."""
    return tickets.filter(period.within("resolved_at")).count()


def replies_in(tickets: Tickets, period: Period) -> int:
    """Replies that left the desk within the period."""
    return Delivery.objects.filter(period.within("sent_at"), ticket__in=tickets.values("pk")).count()


def by_day(tickets: Tickets, period: Period) -> list[Day]:
    """New and resolved tickets (as above) for every calendar day of the period, oldest first, days of nothing too."""
    new, resolved = _a_day(tickets, "created_at", period), _a_day(tickets, "resolved_at", period)
    return [Day(day, new.get(day, 0), resolved.get(day, 0)) for day in period.each_day()]


def _a_day(tickets: Tickets, field: str, period: Period) -> dict[date, int]:
    counted = (
        tickets.order_by()
        .filter(period.within(field))
        .annotate(on=TruncDate(field))
        .values_list("on")
        .annotate(count=Count("pk"))
    )
    return dict(counted)


def median_first_reply(tickets: Tickets, period: Period) -> timedelta | None:
    """Half of the tickets that came in within the period and were answered got their first reply within this time."""
    answered = tickets.order_by().filter(period.within("created_at"), first_replied_at__isnull=False)
    found: timedelta | None = answered.aggregate(
        median=Percentile(F("first_replied_at") - F("created_at"), 0.5, output_field=DurationField())
    )["median"]
    return found


def by_status(tickets: Tickets) -> list[Share]:
    """Tickets by status, in the order a ticket goes through them; every status, zero too."""
    return _by_choice(tickets, "status", Status.choices)


def by_triage_state(tickets: Tickets) -> list[Share]:
    """Tickets by the state of their reading; every state, zero too."""
    return _by_choice(tickets, "triage_state", TriageState.choices)


def by_priority(tickets: Tickets) -> list[Share]:
    """Tickets by held priority, most urgent first; every priority, zero too, and last those without one."""
    shares = _by_choice(tickets, "priority", [*Priority.choices, ("", "Not decided")])
    return [share for share in shares if share.key or share.count]


def by_category(tickets: Tickets) -> list[Share]:
    """Tickets by held category, most first; categories without any are left out, those without one come last."""
    return _by_label(tickets, "category", Category.objects.in_bulk(field_name="key"))


def by_team(tickets: Tickets) -> list[Share]:
    """Tickets by team, most first; teams without any are left out, those without one come last."""
    return _by_label(tickets, "team", Team.objects.in_bulk(field_name="key"))


def _by_choice(tickets: Tickets, field: str, choices: Iterable[tuple[Any, Any]]) -> list[Share]:
    counted = dict(tickets.order_by().values_list(field).annotate(count=Count("pk")))
    return [Share(str(key), str(label), counted.get(key, 0)) for key, label in choices]


def _by_label(tickets: Tickets, field: str, labels: dict[str, Any]) -> list[Share]:
    counted = tickets.order_by().values_list(f"{field}__key").annotate(count=Count("pk"))
    shares = [Share(key or "", labels[key].name if key else "Not decided", count) for key, count in counted]
    return sorted(shares, key=lambda share: (not share.key, -share.count, share.label))


def recurring_tags(tickets: Tickets, period: Period, *, limit: int = 10) -> list[Recurring]:
    """The tags that at least two tickets of the period carry, most frequent first, unnested by the database."""
    top = dict(_tag_counts(tickets.filter(period.within("created_at")), at_least=2)[:limit])
    before = tickets.filter(period.before("created_at"), tags__overlap=list(top))
    earlier = dict(_tag_counts(before, at_least=1)) if top else {}
    return [Recurring(tag, count, earlier.get(tag, 0)) for tag, count in top.items()]


def _tag_counts(tickets: Tickets, *, at_least: int) -> QuerySet[Ticket, tuple[str, int]]:
    return (
        tickets.order_by()
        .annotate(tag=Unnest("tags"))
        .values_list("tag")
        .annotate(count=Count("pk"))
        .filter(count__gte=at_least)
        .order_by("-count", "tag")
    )


MACHINES = ("local", "model", "rules")


def decided_alone(tickets: Tickets, period: Period) -> float | None:
    """Of the tickets read within the period, the share whose category the machine was sure enough to apply itself.

    A category that a person has set or accepted since is the person's, and counts among the rest.
    """
    by_itself = Q(provenance__category__band="apply", provenance__category__engine__in=MACHINES)
    read = tickets.filter(period.within("triaged_at"), triage_state=TriageState.TRIAGED)
    counted = read.order_by().aggregate(all=Count("pk"), applied=Count("pk", filter=by_itself))
    return counted["applied"] / counted["all"] if counted["all"] else None
