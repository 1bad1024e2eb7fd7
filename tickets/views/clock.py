"""How the desk tells a promised time: the next one that is due, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from tickets.models import Ticket
from tickets.models.history import Change
from tickets.promises import Promise, TargetName

WORDS: dict[TargetName, str] = {
    "first_response": "First answer",
    "next_response": "Next answer",
    "resolution": "Resolution",
}
_DONE: dict[TargetName, str] = {
    "first_response": "Answered",
    "next_response": "Answered",
    "resolution": "Resolved",
}

_ICONS = {
    "late": "exclamation-circle",
    "missed": "exclamation-circle",
    "paused": "pause",
    "met": "check",
    "soon": "clock",
    "running": "clock",
}
_NOTED = {"warning": "near, due", "breach": "missed, was due"}


@dataclass(frozen=True, slots=True)
class Clock:
    """The state of a promised time: "late", "soon", "running", "paused", "met" or "missed", and the words for it.

    `due` and `warn` are there while it runs: a browser moves it on by them.
    """

    state: str
    short: str
    words: str
    word: str = ""
    due: datetime | None = None
    warn: datetime | None = None

    @property
    def icon(self) -> str:
        return _ICONS[self.state]

    @property
    def told(self) -> str:
        """The words without the target's own, for where that stands beside them."""
        return self.words.removeprefix(self.word).strip().capitalize()


def short(span: timedelta) -> str:
    """A span in its largest whole unit: "now", "5m", "3h", "12d"; from two years on "2y"."""
    seconds = abs(span.total_seconds())
    if seconds < 60:
        return "now"
    if seconds < 3600:
        return f"{int(seconds // 60)}m"
    if seconds < 86400:
        return f"{int(seconds // 3600)}h"
    days = int(seconds // 86400)
    return f"{days}d" if days < 730 else f"{days // 365}y"


def clock_of(ticket: Ticket) -> Clock | None:
    """The clock that a row of the queue shows; None where no time is promised."""
    promise = _shown(ticket)
    return clock(promise, timezone.now()) if promise else None


def clock(promise: Promise, now: datetime) -> Clock:
    word = WORDS[promise.target]
    if promise.due_at is None:
        left = short(promise.left or timedelta(0))
        left = "<1m" if left == "now" else left
        return Clock("paused", left, f"{word} paused, {left} of working time left", word)
    if promise.met_at is not None:
        if promise.met_at <= promise.due_at:
            return Clock("met", "Met", f"{_DONE[promise.target]} in time", word)
        return Clock("missed", "Late", f"{_DONE[promise.target]} {short(promise.met_at - promise.due_at)} late", word)
    return _running(promise, promise.due_at, now, word)


def noted_of(ticket: Ticket, zone: ZoneInfo) -> list[Change]:
    """What the clock noted of it, for its history, newest first; times as a person's own clock shows them."""
    return [
        Change(
            at=event.at,
            actor="machine:clock",
            actor_label="Triage Desk (clock)",
            field=event.target,
            before=None,
            after=f"{_NOTED[event.kind]} {event.due_at.astimezone(zone):%-d %b, %H:%M}",
            correlation_id="",
            event=0,
        )
        for event in ticket.sla_events.all()
    ]


def _running(promise: Promise, due: datetime, now: datetime, word: str) -> Clock:
    left = due - now
    if left.total_seconds() < 0:
        span = short(left)
        by = "a moment" if span == "now" else span
        return Clock("late", "now" if span == "now" else f"-{span}", f"{word} overdue by {by}", word, due, due)
    warn = promise.warn_at or due - (due - promise.began_at) / 4
    soon = left.total_seconds() < 60
    words = f"{word} due in {'less than a minute' if soon else short(left)}"
    return Clock("soon" if warn <= now else "running", "<1m" if soon else short(left), words, word, due, warn)


def _shown(ticket: Ticket) -> Promise | None:
    """The next one due while there is one; then what became of the resolution, else of the first answer."""
    kept = ticket.sla.get("promises")
    if not kept:  # not reckoned since the desk was made newer
        return _of_old(ticket)
    targets: list[TargetName] = ["resolution"] if not ticket.is_open else []
    if ticket.is_open and ticket.sla.get("next"):
        targets = [ticket.sla["next"]]
    if ticket.is_open or ticket.first_replied_at:
        targets.append("first_response")
    return next((Promise.of(target, kept[target]) for target in targets if target in kept), None)


def _of_old(ticket: Ticket) -> Promise | None:
    if ticket.due_at is None or not (ticket.is_open or ticket.first_replied_at):
        return None
    met = ticket.first_replied_at
    return Promise("first_response", ticket.created_at, 0, ticket.due_at, None, met, None)
