"""Promised times as a function of what happened, against the definition: so much running working time and no more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.business_time import ALWAYS, Hours
from tickets.promises import Interval, Promise, Story, Terms, look_at, next_of, promised

OFFICE = Hours.of("Europe/Rome", [f"{day} 09:00-17:00" for day in ("Mon", "Tue", "Wed", "Thu", "Fri")])
START = datetime(2026, 3, 26, 9, 0, tzinfo=UTC)  # a Thursday; the clocks change on Sunday
HOUR = timedelta(hours=1)


def terms(hours: Hours = ALWAYS, percent: int | None = 80, before: int | None = None, **minutes: int) -> Terms:
    return Terms(1, minutes or {"first_response": 240, "next_response": 120, "resolution": 600}, hours, percent, before)


def story(**given: Any) -> Story:
    return replace(Story(START, START), **given)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def one(found: list[Promise], target: str) -> Promise:
    return next(promise for promise in found if promise.target == target)


def test_a_first_answer_and_a_resolution_are_promised_from_the_start() -> None:
    found = promised(story(), terms())
    assert {promise.target: promise.due_at for promise in found} == {"first_response": at(4), "resolution": at(10)}
    first = next_of(found)
    assert first is not None and first.target == "first_response" and first.warn_at == at(3.2)


def test_a_warning_may_come_so_many_minutes_before() -> None:
    assert promised(story(), terms(percent=None, before=30))[0].warn_at == at(3.5)
    assert promised(story(), terms(percent=None, before=999))[0].warn_at == START


def test_it_stands_still_while_it_waits_and_goes_on_with_what_was_left() -> None:
    waits = promised(story(held=((at(1), None),)), terms())[0]
    assert (waits.due_at, waits.left, waits.state(at(99))) == (None, 3 * HOUR, "paused")
    again = promised(story(held=((at(1), at(6)),)), terms())[0]
    assert (again.due_at, again.left) == (at(9), None)


def test_a_break_outside_working_hours_costs_nothing() -> None:
    plain = promised(story(), terms(OFFICE))[0]
    night = promised(story(held=((at(9), at(15)),)), terms(OFFICE))[0]
    assert plain.due_at == night.due_at


def test_the_next_answer_is_promised_from_the_first_unanswered_question() -> None:
    talk = story(first_replied_at=at(1), replied=(at(1),), asked=(START, at(3), at(4)))
    assert one(promised(talk, terms()), "next_response").due_at == at(5)
    answered = replace(talk, replied=(at(1), at(4.5)))
    met = one(promised(answered, terms()), "next_response")
    assert (met.began_at, met.met_at, met.state(at(99))) == (at(3), at(4.5), "met")
    asked_again = replace(answered, asked=(START, at(3), at(4), at(20)))
    assert one(promised(asked_again, terms()), "next_response").due_at == at(22)


def test_ending_a_ticket_settles_what_was_asked() -> None:
    ended = story(first_replied_at=at(1), replied=(at(1),), asked=(START, at(3)), ended=((at(4), None),))
    found = promised(ended, terms())
    assert [(promise.target, promise.met_at) for promise in found] == [
        ("first_response", at(1)), ("resolution", at(4)), ("next_response", at(4))
    ]  # fmt: skip
    assert next_of(found) is None and look_at(found, at(9)) is None


def test_a_reopened_ticket_goes_on_with_what_was_left_of_its_resolution() -> None:
    again = story(first_replied_at=at(1), replied=(at(1),), ended=((at(4), at(50)),))
    assert one(promised(again, terms()), "resolution").due_at == at(56)


def test_what_was_met_stays_as_it_was_judged_whatever_is_changed_later() -> None:
    talk = story(first_replied_at=at(3), replied=(at(3),))
    before = promised(talk, terms())
    stricter = promised(talk, terms(OFFICE, first_response=60, resolution=700), before)
    assert one(stricter, "first_response") == one(before, "first_response")
    assert one(stricter, "resolution").minutes == 700


def test_a_time_zone_changed_in_the_middle_moves_only_what_is_still_open() -> None:
    talk = story(first_replied_at=at(0.5), replied=(at(0.5),))
    before = promised(talk, terms(OFFICE, first_response=240, resolution=960))
    moved = promised(talk, terms(replace(OFFICE, zone="America/New_York"), first_response=240, resolution=960), before)
    assert one(moved, "first_response") == one(before, "first_response")
    assert one(moved, "resolution").due_at == replace(OFFICE, zone="America/New_York").add(START, 16 * HOUR)


def test_what_was_noted_stays_noted_while_the_promise_is_the_same() -> None:
    noted = [replace(promise, warned=True, breached=True) for promise in promised(story(), terms())]
    assert all(promise.breached for promise in promised(story(), terms(OFFICE), noted))
    other = promised(story(), terms(first_response=60, resolution=120), noted)
    assert not any(promise.warned or promise.breached for promise in other)


def test_what_passed_before_the_desk_had_it_was_not_missed_here() -> None:
    imported = promised(story(stored_at=at(9)), terms())
    assert one(imported, "first_response").breached and not one(imported, "resolution").breached
    assert look_at(imported, at(9)) == at(9) - HOUR  # the warning of the resolution
    assert one(imported, "first_response").state(at(9)) == "breached"


def test_a_calendar_of_holidays_alone_promises_nothing() -> None:
    days = frozenset((START + timedelta(days=number)).date() for number in range(-1, 3_700))
    assert promised(story(), terms(replace(OFFICE, holidays=days))) == []


def test_a_promise_is_read_as_it_is_written() -> None:
    for promise in promised(story(held=((at(1), None),), first_replied_at=at(2)), terms()):
        assert Promise.of(promise.target, promise.to_json()) == promise


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Held and ended intervals that follow each other, as a ticket's status does."""
    moments = sorted(draw(st.lists(st.integers(1, 20_000), max_size=10, unique=True)))
    moments = moments[: len(moments) // 2 * 2]
    spans: list[Interval] = [
        (START + timedelta(minutes=begin), START + timedelta(minutes=end))
        for begin, end in zip(moments[::2], moments[1::2], strict=True)
    ]
    goes_on: bool = draw(st.booleans())
    if spans and goes_on:
        spans[-1] = (spans[-1][0], None)
    kinds: list[bool] = draw(st.lists(st.booleans(), min_size=len(spans), max_size=len(spans)))
    held = tuple(span for span, is_held in zip(spans, kinds, strict=True) if is_held)
    ended = tuple(span for span, is_held in zip(spans, kinds, strict=True) if not is_held)
    said = sorted(draw(st.lists(st.tuples(st.integers(1, 20_000), st.booleans()), max_size=8)))
    replied = tuple(START + timedelta(minutes=minute) for minute, by_desk in said if by_desk)
    asked = tuple(START + timedelta(minutes=minute) for minute, by_desk in said if not by_desk)
    return Story(START, START, replied[0] if replied else None, (START, *asked), replied, held, ended)


some_terms = st.builds(
    lambda hours, *minutes: terms(hours, first_response=minutes[0], next_response=minutes[1], resolution=minutes[2]),
    st.sampled_from([ALWAYS, OFFICE]), *[st.integers(1, 5_000)] * 3,
)  # fmt: skip


def _ran(told: Story, hours: Hours, promise: Promise, until: datetime) -> timedelta:
    """Working time from the promise's beginning, less what of it lies in breaks."""
    total = hours.between(promise.began_at, until)
    for begin, end in [*told.held, *told.ended]:
        last = min(end or until, promise.met_at or until, until)
        total -= hours.between(max(begin, promise.began_at), last)
    return total


@settings(max_examples=150, deadline=None)
@given(stories(), some_terms)
def test_at_its_due_time_a_promise_has_run_for_its_minutes_exactly(told: Story, given: Terms) -> None:
    for promise in promised(told, given):
        if promise.due_at is not None:
            assert _ran(told, given.hours, promise, promise.due_at) == timedelta(minutes=promise.minutes)
            assert promise.warn_at is not None and promise.began_at <= promise.warn_at <= promise.due_at
        else:
            assert promise.left is not None and timedelta(0) <= promise.left <= timedelta(minutes=promise.minutes)
            assert promise.met_at is None


@settings(max_examples=100, deadline=None)
@given(stories(), some_terms)
def test_reckoning_again_changes_nothing(told: Story, given: Terms) -> None:
    found = promised(told, given)
    assert promised(told, given, found) == found


@settings(max_examples=100, deadline=None)
@given(stories(), some_terms, st.integers(1, 2_000))
def test_more_minutes_are_never_due_earlier(told: Story, given: Terms, more: int) -> None:
    longer = replace(given, minutes={target: number + more for target, number in given.minutes.items()})
    for promise, later in zip(promised(told, given), promised(told, longer), strict=True):
        assert promise.due_at is None or later.due_at is None or later.due_at >= promise.due_at
