"""What is pushed to open desks, and to whom.

NOTIFY carries ids inside the transaction that makes them true. Each web process renders a row once and sends it to
every desk that may see it: a row holds nothing personal. Whoever was away asks for the changes since.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from channels.db import database_sync_to_async
from django.db.models import Count, Q
from django.template.loader import get_template
from django.utils import timezone

from tickets.models import ENDED, NEWEST, OPEN, Agent, Order, Team, Ticket
from tickets.models.counts import counted_up_to, shown
from tickets.models.ticket import TicketQuerySet
from triage.models import User
from triage.notify import publish
from triage.pipeline.types import MANUAL_REVIEW

Kind = Literal["created", "read", "routed", "reply", "comment", "changed", "failed"]
EVERYTHING = "desk"  # those who see every team's tickets
SOME_TEAMS = "desk-teams"  # everybody else, whatever their teams
OVERLAP = timedelta(seconds=10)  # a transaction that began earlier may commit later: ask again for the last seconds
MOST_CHANGES = 200
MOST_GROUPS = 50


def announce(ticket: Ticket, kind: Kind) -> None:
    """Tell every desk that may see this ticket. Delivered when the transaction commits, never on rollback."""
    message = {"type": "ticket.changed", "number": ticket.number, "kind": kind, "seq": time.time_ns() // 1000}
    # A ticket that may have changed its team is told to every agent: those who lost sight of it must drop the row.
    moved = kind in ("read", "routed")
    publish(message, EVERYTHING, SOME_TEAMS if moved else group_of(ticket.team_id), f"ticket-{ticket.number}")


def announce_many(tickets: Sequence[Ticket], *, moved: bool = False) -> None:
    """As `announce`, for a portion of a change to many, in one message. `moved`: of what teams they were is not known.

    Up to 700 tickets: a message holds 8,000 bytes.
    """
    numbers = [ticket.number for ticket in tickets]
    groups = {SOME_TEAMS} if moved else {group_of(ticket.team_id) for ticket in tickets}
    if len(groups) > MOST_GROUPS:
        groups = {SOME_TEAMS}
    if numbers:
        seq = time.time_ns() // 1000
        publish({"type": "tickets.changed", "numbers": numbers, "kind": "changed", "seq": seq}, EVERYTHING, *groups)


def group_of(team_id: int | None) -> str:
    return f"team-{team_id}" if team_id else "team-none"


@dataclass(frozen=True, slots=True)
class Audience:
    """What one person may see, as groups: two people with the same groups are shown the same."""

    groups: frozenset[str]

    def may_see(self, group: str) -> bool:
        return EVERYTHING in self.groups or group in self.groups


def audience_of(user: User) -> Audience | None:
    """The groups of a person of the staff; None for everybody else. Mirrors `visible_to`."""
    agent = Agent.of(user)
    if not user.is_active or (agent is None and not user.is_superuser):
        return None
    if agent is None or agent.sees_everything:
        return Audience(frozenset({EVERYTHING}))
    teams = set(agent.teams.values_list("pk", flat=True))
    teams.update(Team.objects.filter(key=MANUAL_REVIEW).values_list("pk", flat=True))
    return Audience(frozenset({SOME_TEAMS, group_of(None), *map(group_of, teams)}))


def counts_of(tickets: TicketQuerySet) -> dict[str, str]:
    """How many tickets the views by status hold, by the place where a queue without filters shows it. Two queries."""
    awake, asleep = tickets.is_awake(), Q(snoozed_until__gt=timezone.now())
    wanted = {"rail": awake, "tab_all": awake, "tab_snoozed": asleep}
    wanted |= {f"tab_{status.value}": awake & Q(status=status) for status in OPEN}
    found = tickets.open().order_by().aggregate(**{name: Count("pk", filter=one) for name, one in wanted.items()})
    counts = {name.replace("_", "-", 1): count for name, count in found.items()}
    counts |= counted_up_to({"tab-resolved": tickets.filter(status__in=ENDED)})
    return {name: shown(count) for name, count in counts.items()}


@dataclass(frozen=True, slots=True)
class RenderedRow:
    """A row as it is shown, and the group that may see it."""

    html: str
    group: str


def render_rows(tickets: Iterable[Ticket], order: Order = NEWEST) -> dict[int, RenderedRow]:
    """Rows without a request: nothing in them depends on who looks. Their places are those in this order."""
    template = get_template("tickets/_row.html")
    return {
        ticket.number: RenderedRow(
            template.render({"ticket": ticket, "place": order.place_of(ticket)}), group_of(ticket.team_id)
        )
        for ticket in tickets
    }


def rows_html(tickets: Iterable[Ticket], order: Order = NEWEST) -> dict[int, str]:
    return {number: row.html for number, row in render_rows(tickets, order).items()}


def changes_since(visible: TicketQuerySet, milliseconds: int) -> TicketQuerySet:
    """The rows that changed since a moment, newest first, with an overlap for late commits."""
    since = datetime.fromtimestamp(min(milliseconds, 2**41) / 1000, UTC) - OVERLAP
    return visible.for_rows().filter(updated_at__gte=since).order_by("-updated_at")[:MOST_CHANGES]


def seen_group(user: User, number: int) -> str | None:
    """The group of a ticket, if the person may see it."""
    teams = list(Ticket.objects.visible_to(user).filter(pk=number).values_list("team", flat=True))
    return group_of(teams[0]) if teams else None


class Changes:
    """What one desk has heard of and not been sent yet. The same event comes once for each group it belongs to."""

    def __init__(self) -> None:
        self.waiting: dict[int, int] = {}
        self.sent_at = 0.0
        self._told: dict[int, int] = {}

    def add(self, number: int, event: dict[str, Any]) -> None:
        self.waiting[number] = max(int(event["seq"]), self.waiting.get(number, 0))

    def take(self) -> dict[int, int]:
        taken, self.waiting = self.waiting, {}
        return taken

    def is_news(self, number: int, event: dict[str, Any]) -> bool:
        """Whether this event of a ticket is heard for the first time."""
        if self._told.get(number) == event["seq"]:
            return False
        self._told = {number: event["seq"]}
        return True


class Shown:
    """What this process has rendered last: the first desk that needs a row renders it, the others take it."""

    KEPT = 500

    def __init__(self) -> None:
        self._rows: dict[int, tuple[int, RenderedRow]] = {}
        self._counts: dict[Audience, tuple[int, dict[str, str]]] = {}
        self._lock: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def _locked(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._lock is None or self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
            self._rows.clear()
            self._counts.clear()
        return self._lock

    async def rows(self, wanted: dict[int, int]) -> dict[int, RenderedRow]:
        """The rows of {number: seq}, each at least as new as its seq."""
        async with self._locked():
            missing = [number for number, seq in wanted.items() if self._rows.get(number, (0, None))[0] < seq]
            if missing:
                found = await database_sync_to_async(_render_numbers)(missing)
                for number in missing:
                    self._rows.pop(number, None)
                self._rows.update({number: (wanted[number], row) for number, row in found.items()})
                for number in list(self._rows)[: -self.KEPT]:
                    del self._rows[number]
            return {number: self._rows[number][1] for number in wanted if number in self._rows}

    async def counts(self, audience: Audience, user: User, seq: int) -> dict[str, str]:
        """How many tickets each view holds that is the same for all of an audience, at least as new as `seq`."""
        async with self._locked():
            known = self._counts.get(audience)
            if known is None or known[0] < seq:
                known = (seq, await database_sync_to_async(_counts_for)(user))
                self._counts[audience] = known
            return known[1]


SHOWN = Shown()


def _render_numbers(numbers: list[int]) -> dict[int, RenderedRow]:
    return render_rows(Ticket.objects.for_rows().filter(pk__in=numbers))


def _counts_for(user: User) -> dict[str, str]:
    return counts_of(Ticket.objects.visible_to(user))


class Presence:
    """How many desks are connected, over all web processes: each tells the others its own number."""

    TELL_EVERY = 20.0  # seconds
    FORGET_AFTER = 50.0

    def __init__(self, process: str) -> None:
        self.process = process
        self.here = 0
        self.telling: asyncio.Task[None] | None = None
        self._known: dict[str, tuple[int, float]] = {}

    def note(self, process: str, count: int) -> None:
        self._known[process] = (count, time.monotonic())

    def due(self) -> bool:
        known = self._known.get(self.process)
        return known is None or time.monotonic() - known[1] > self.TELL_EVERY

    def total(self) -> int:
        now = time.monotonic()
        others = (
            count
            for process, (count, heard) in self._known.items()
            if process != self.process and now - heard < self.FORGET_AFTER
        )
        return self.here + sum(others)
