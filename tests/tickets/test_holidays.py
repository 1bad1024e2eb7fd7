from __future__ import annotations

from datetime import date

import pytest

from tickets.holidays import Unreadable, read

FILE = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
DTSTART;VALUE=DATE:20261225
DTEND;VALUE=DATE:20261227
SUMMARY:Christmas\\, and the day
  after
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20260501
SUMMARY:Labour Day
RRULE:FREQ=YEARLY
END:VEVENT
BEGIN:VEVENT
SUMMARY:No day at all
END:VEVENT
END:VCALENDAR
"""


def test_a_line_is_a_day_and_perhaps_its_name() -> None:
    days = read("2026-12-25  Christmas Day\r\n\r\n 2026-01-01\n")
    assert days.named == {date(2026, 12, 25): "Christmas Day", date(2026, 1, 1): ""}
    assert read(days.lines) == days


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_calendar_file_gives_its_days_the_last_one_not_counted(ends: str) -> None:
    days = read(FILE.replace("\n", ends))
    after = "Christmas, and the day after"
    assert days.named == {date(2026, 12, 25): after, date(2026, 12, 26): after, date(2026, 5, 1): "Labour Day"}
    assert days.repeating == 1  # of the one that comes every year, only this year's is taken


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("25.12.2026", "Line 1"),
        ("2026-12-25\n2026-02-30 Never", "Line 2"),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR", "holds no day"),
        ("\n".join(f"{year}-01-{day:02}" for year in range(1900, 1950) for day in range(1, 29)), "1,400 days"),
    ],
)
def test_what_are_no_days_is_refused_with_words(text: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(text)


def test_an_entry_of_years_is_cut_rather_than_kept() -> None:
    long = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\nDTEND:99991231\nEND:VEVENT\nEND:VCALENDAR"
    assert len(read(long).named) == 60


def test_nothing_is_no_days() -> None:
    assert read(" \n").named == {}
