"""When a ticket's promised times are due: reckoned from what happened to it, never counted up or down. No ORM.

A first response is promised from when the ticket came in, a next response from the customer's first message after a
reply, a resolution from when it came in. Each runs in working time, and stands still while the ticket waits for the
customer or is put off; after that it goes on with what was left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from tickets.business_time import Hours, NoTime

TargetName = Literal["first_response", "next_response", "resolution"]
State = Literal["running", "paused", "met", "breached"]
TARGETS: tuple[TargetName, ...] = ("first_response", "next_response", "resolution")
Interval = tuple[datetime, datetime | None]  # None: it has not ended


@dataclass(frozen=True, slots=True)
class Terms:
    """What a policy promises a ticket: minutes of working time for each target, and when to warn."""

    policy: int
    minutes: Mapping[str, int]
    hours: Hours
    warn_percent: int | None
    warn_minutes: int | None

    def warned_after(self, minutes: int) -> timedelta:
        """How much of a promise is used up when it is time to warn."""
        if self.warn_minutes is not None:
            return timedelta(minutes=max(0, minutes - self.warn_minutes))
        return timedelta(minutes=minutes) * (self.warn_percent or 100) / 100


@dataclass(frozen=True, slots=True)
class Story:
    """What happened to a ticket as far as its promised times go; moments and intervals in order, aware.

    `stored_at` is when the desk first had it: an import brings a past. `held` are the times in which it waited for
    the customer or was put off, `ended` those in which it was resolved or closed.
    """

    created_at: datetime
    stored_at: datetime
    first_replied_at: datetime | None = None
    asked: tuple[datetime, ...] = ()
    replied: tuple[datetime, ...] = ()
    held: tuple[Interval, ...] = ()
    ended: tuple[Interval, ...] = ()

    @property
    def ended_at(self) -> datetime | None:
        """Since when it has been resolved or closed, if it is."""
        return self.ended[-1][0] if self.ended and self.ended[-1][1] is None else None


@dataclass(frozen=True, slots=True)
class Promise:
    """One promised time of a ticket. Without `due_at` it stands still, and `left` is what will be left of it.

    `warned` and `breached` say what has been noted of it.
    """

    target: TargetName
    began_at: datetime
    minutes: int
    due_at: datetime | None
    warn_at: datetime | None
    met_at: datetime | None
    left: timedelta | None
    warned: bool = False
    breached: bool = False

    def state(self, now: datetime) -> State:
        if self.due_at is None:
            return "paused"
        if self.met_at is not None:
            return "met" if self.met_at <= self.due_at else "breached"
        return "breached" if self.due_at < now else "running"

    def is_same(self, other: Promise) -> bool:
        """Whether nothing but the reckoning can have changed: begun at the same time, of the same length."""
        return (self.target, self.began_at, self.minutes) == (other.target, other.began_at, other.minutes)

    def to_json(self) -> dict[str, Any]:
        moments = {"began": self.began_at, "due": self.due_at, "warn": self.warn_at, "met": self.met_at}
        written: dict[str, Any] = {name: moment.isoformat() for name, moment in moments.items() if moment}
        if self.left is not None:
            written["left"] = self.left.total_seconds()
        return written | {"minutes": self.minutes, "warned": self.warned, "breached": self.breached}

    @classmethod
    def of(cls, target: TargetName, written: Mapping[str, Any]) -> Self:
        def moment(name: str) -> datetime | None:
            return datetime.fromisoformat(written[name]) if name in written else None

        left = timedelta(seconds=written["left"]) if "left" in written else None
        began = datetime.fromisoformat(written["began"])
        return cls(target, began, written["minutes"], moment("due"), moment("warn"), moment("met"), left,
                   written["warned"], written["breached"])  # fmt: skip


def promised(story: Story, terms: Terms | None, before: Iterable[Promise] = ()) -> list[Promise]:
    """The promises of a ticket, at most one a target. What was met stays as it was judged then (`before`)."""
    known = {promise.target: promise for promise in before}
    found = []
    for target, (began, met) in _spans(story).items():
        old = known.get(target)
        if old is not None and met is not None and (old.began_at, old.met_at) == (began, met):
            found.append(old)
            continue
        if terms is not None and target in terms.minutes:
            with suppress(NoTime):  # a calendar of holidays alone can promise nothing
                found.append(_promise(target, (began, met), story, terms, old))
    return found


def next_of(promises: Iterable[Promise]) -> Promise | None:
    """The one that is due next of those that are not met; where all stand still, the one with the least left."""
    unmet = [promise for promise in promises if promise.met_at is None]
    running = [promise for promise in unmet if promise.due_at is not None]
    if running:
        return min(running, key=lambda promise: promise.due_at or promise.began_at)
    return min(unmet, key=lambda promise: promise.left or timedelta(0), default=None)


def look_at(promises: Iterable[Promise], now: datetime) -> datetime | None:
    """When something is next to be noted: a warning, a breach, or one that was only met too late."""
    moments = []
    for promise in promises:
        if promise.due_at is None or promise.breached:
            continue
        if promise.met_at is not None:
            if promise.met_at > promise.due_at:
                moments.append(now)
        elif promise.warned or promise.warn_at is None:
            moments.append(promise.due_at)
        else:
            moments.append(min(promise.warn_at, promise.due_at))
    return min(moments, default=None)


def _spans(story: Story) -> dict[TargetName, tuple[datetime, datetime | None]]:
    """{target: (when it began, when it was met)}. Whatever is still asked is settled when the ticket ends."""
    spans: dict[TargetName, tuple[datetime, datetime | None]] = {
        "first_response": (story.created_at, story.first_replied_at or story.ended_at),
        "resolution": (story.created_at, story.ended_at),
    }
    asked = _last_question(story)
    return spans if asked is None else {**spans, "next_response": asked}


def _last_question(story: Story) -> tuple[datetime, datetime | None] | None:
    """The customer's first message since the desk last wrote or ended the ticket, and when that was answered."""
    first = story.first_replied_at
    if first is None:
        return None
    settled = [*story.replied, *(begin for begin, _ in story.ended)]
    moments = sorted([*((at, True) for at in settled), *((at, False) for at in story.asked)])
    last: tuple[datetime, datetime | None] | None = None
    for at, settles in moments:
        if at <= first:
            continue
        if settles:
            last = (last[0], at) if last and last[1] is None else last
        elif last is None or last[1] is not None:
            last = (at, None)
    return last


def _promise(
    target: TargetName, span: tuple[datetime, datetime | None], story: Story, terms: Terms, old: Promise | None
) -> Promise:
    (began, met), minutes = span, terms.minutes[target]
    breaks = list(_breaks(story, until=met))
    due, left = _due(terms.hours, began, timedelta(minutes=minutes), breaks)
    warn, _ = _due(terms.hours, began, terms.warned_after(minutes), breaks)
    new = Promise(target, began, minutes, due, warn if due else None, met, left)
    if due is not None and due <= story.stored_at:  # it had passed before the desk had the ticket: not missed here
        return replace(new, warned=True, breached=True)
    return replace(new, warned=old.warned, breached=old.breached) if old and old.is_same(new) else new


def _breaks(story: Story, *, until: datetime | None) -> Iterator[Interval]:
    """When the clock stood still, in order; what came after a promise was met does not count."""
    for begin, end in sorted([*story.held, *story.ended], key=lambda one: one[0]):
        if until is None:
            yield begin, end
        elif begin < until:
            yield begin, min(end or until, until)


def _due(
    hours: Hours, began: datetime, span: timedelta, breaks: Iterable[Interval]
) -> tuple[datetime | None, timedelta | None]:
    """When `span` of working time is used up, breaks not counted; or what is left of it where the last one goes on."""
    at, left = began, span
    for begin, end in breaks:
        if begin > at:
            used = hours.between(at, begin)
            if used >= left:
                break
            left -= used
        if end is None:
            return None, left
        at = max(at, end)
    return hours.add(at, left), None
