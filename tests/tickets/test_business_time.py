"""Working time, against the definition counted minute by minute, over changes of the clock all round the world."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickets.business_time import ALWAYS, DAY, Hours, NoHours, NoTime, Span

OFFICE = [f"{day} 09:00-17:00" for day in ("Mon", "Tue", "Wed", "Thu", "Fri")]
MINUTE = timedelta(minutes=1)
# With changes at midnight, of half an hour, at one minute past midnight (back into the day before), and none at all.
ZONES = ("Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "America/St_Johns",
         "Asia/Beirut", "Pacific/Apia", "Asia/Kathmandu", "UTC")  # fmt: skip
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def spans(draw: st.DrawFn) -> tuple[Span, ...]:
    points = draw(st.lists(st.integers(0, DAY), max_size=6, unique=True))
    points = sorted(points)[: len(points) // 2 * 2]
    return tuple(zip(points[::2], points[1::2], strict=True))


weeks = st.tuples(*[spans() for _ in range(7)]).filter(any)
# The years in which the zones above have their oddest changes.
moments = st.datetimes(datetime(2006, 1, 1), datetime(2012, 1, 31)).map(lambda one: one.replace(tzinfo=UTC))
free_days = st.frozensets(st.dates(date(2006, 1, 1), date(2012, 2, 28)), max_size=30)
some_hours = st.builds(Hours, st.sampled_from(ZONES), weeks, free_days)
lengths = st.integers(0, 20_000).map(lambda minutes: timedelta(minutes=minutes))


@quick
@given(some_hours, moments, lengths)
def test_between_undoes_add(hours: Hours, start: datetime, length: timedelta) -> None:
    try:
        due = hours.add(start, length)
    except NoTime:
        return  # as little as a minute a week
    assert due >= start
    assert hours.between(start, due) == length


@quick
@given(some_hours, moments, lengths, lengths)
def test_more_time_is_never_due_earlier_and_parts_add_up(
    hours: Hours, start: datetime, length: timedelta, more: timedelta
) -> None:
    try:
        first, both = hours.add(start, length), hours.add(start, length + more)
    except NoTime:
        return
    assert both >= first
    assert hours.add(first, more) == both
    assert hours.between(start, both) == hours.between(start, first) + hours.between(first, both)


@quick
@given(some_hours, moments, moments, lengths)
def test_what_comes_in_later_is_never_due_earlier(
    hours: Hours, one: datetime, other: datetime, length: timedelta
) -> None:
    early, late = sorted((one, other))
    try:
        assert hours.add(early, length) <= hours.add(late, length)
    except NoTime:
        return


def _counted(hours: Hours, start: datetime, end: datetime) -> timedelta:
    """The definition itself: each minute is asked what the clock shows."""
    zone, found = ZoneInfo(hours.zone), 0
    while start < end:
        local = start.astimezone(zone)
        minute = local.hour * 60 + local.minute
        if local.date() not in hours.holidays:
            found += any(begin <= minute < until for begin, until in hours.week[local.weekday()])
        start += MINUTE
    return found * MINUTE


@quick
@given(some_hours, moments.map(lambda one: one.replace(second=0, microsecond=0)), st.integers(0, 3 * DAY))
def test_it_counts_what_the_clock_shows(hours: Hours, start: datetime, minutes: int) -> None:
    end = start + minutes * MINUTE
    assert hours.between(start, end) == _counted(hours, start, end)


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
        ("America/St_Johns", datetime(2010, 11, 7, 2, 31, tzinfo=UTC)),  # from 00:01 back to 23:01 of the day before
        ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),  # a day without a midnight
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),  # half an hour
        ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),  # a day that never was
    ],
)
@quick
@given(weeks, st.integers(-DAY, DAY), st.integers(0, 2 * DAY))
def test_it_counts_what_the_clock_shows_where_it_is_changed(
    zone: str, change: datetime, week: tuple[tuple[Span, ...], ...], before: int, minutes: int
) -> None:
    hours = Hours(zone, week)
    start = change + before * MINUTE
    assert hours.between(start, start + minutes * MINUTE) == _counted(hours, start, start + minutes * MINUTE)


def _at(zone: str, *moment: int) -> datetime:
    return datetime(*moment, tzinfo=ZoneInfo(zone))  # type: ignore[arg-type,misc]


def test_four_hours_from_friday_evening_are_due_on_monday() -> None:
    hours = Hours.of("Europe/Rome", OFFICE)
    friday = _at("Europe/Rome", 2026, 11, 27, 16, 50)
    assert hours.add(friday, timedelta(hours=4)) == _at("Europe/Rome", 2026, 11, 30, 12, 50)


def test_a_holiday_is_passed_over_and_so_is_lunch() -> None:
    lines = [line.replace("09:00-17:00", "09:00-12:30") for line in OFFICE]
    lines += [line.replace("09:00-17:00", "13:30-17:00") for line in OFFICE]
    hours = Hours.of("Europe/Rome", lines, [date(2026, 12, 25)])
    thursday = _at("Europe/Rome", 2026, 12, 24, 16, 0)
    assert hours.add(thursday, timedelta(hours=5)) == _at("Europe/Rome", 2026, 12, 28, 14, 0)


def test_what_is_all_used_up_at_closing_time_is_due_then_and_not_in_the_morning() -> None:
    hours = Hours.of("UTC", OFFICE)
    assert hours.add(_at("UTC", 2026, 11, 27, 16, 0), timedelta(hours=1)) == _at("UTC", 2026, 11, 27, 17, 0)


def test_round_the_clock_is_plain_time() -> None:
    assert ALWAYS.always
    start = _at("UTC", 2026, 11, 27, 16, 0)
    assert ALWAYS.add(start, timedelta(hours=72)) - start == timedelta(hours=72)
    assert ALWAYS.between(start, start - timedelta(hours=1)) == timedelta(0)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "at least one day"),
        (["Mon 09:00-09:00"], "ends after it begins"),
        (["Mon 17:00-09:00"], "ends after it begins"),
        (["Mon 09:00-24:30"], "ends after it begins"),
        (["Mon 09:00-12:00", "Mon 11:59-13:00"], "overlap"),
        (["Mo 9-17"], "not written like"),
        (["Xyz 09:00-17:00"], "not written like"),
        (["Mon 09:75-17:00"], "60 minutes"),
    ],
)
def test_hours_that_are_none_are_refused_with_words(lines: list[str], words: str) -> None:
    with pytest.raises(NoHours, match=words):
        Hours.of("UTC", lines)


def test_a_time_zone_that_there_is_not_is_refused() -> None:
    with pytest.raises(NoHours, match="not a time zone"):
        Hours.of("Europe/Atlantis", OFFICE)


def test_ten_years_of_holidays_end_in_an_error_and_not_in_a_loop() -> None:
    start = date(2026, 1, 1)
    hours = Hours.of("UTC", OFFICE, [start + timedelta(days=number) for number in range(3_700)])
    with pytest.raises(NoTime):
        hours.add(datetime(2026, 1, 1, tzinfo=UTC), MINUTE)


def test_lines_are_read_as_they_are_written() -> None:
    assert Hours.of("UTC", reversed(OFFICE)).lines == OFFICE
