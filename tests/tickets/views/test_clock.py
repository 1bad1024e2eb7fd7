from __future__ import annotations

from datetime import timedelta

import pytest

from tickets.views.clock import short


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=59), "now"),
        (timedelta(hours=-3), "3h"),
        (timedelta(days=729, hours=23), "729d"),
        (timedelta(days=730), "2y"),
        (timedelta(days=2783), "7y"),
    ],
)
def test_a_span_is_told_in_its_largest_whole_unit(span: timedelta, words: str) -> None:
    assert short(span) == words
