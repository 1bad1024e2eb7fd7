from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from analytics.templatetags.amounts import UNKNOWN, milliseconds, money, pace, percent, span


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, UNKNOWN),
        ("0", "$0.00"),
        ("0.000412345678", "$0.00041"),
        ("0.0004", "$0.0004"),
        ("0.0129", "$0.013"),
        ("0.2", "$0.20"),
        ("0.25", "$0.25"),
        ("0.999", "$1.00"),
        ("0.0999", "$0.10"),
        ("1", "$1.00"),
        ("1234.505", "$1,234.51"),
        ("0.0000004", "under $0.000001"),
    ],
)
def test_money_is_told_to_the_cent_that_matters(amount: str | None, text: str) -> None:
    assert money(Decimal(amount) if amount is not None else None) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s"), (720, "12 min"), (12000, "3 h 20 min"), (7200, "2 h"), (187200, "2 d 4 h"), (172800, "2 d")],
)
def test_a_length_of_time_has_two_units_at_most(seconds: int, text: str) -> None:
    assert span(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("value", "text", "state"),
    [(None, UNKNOWN, ""), (840, "840 ms", "good"), (1499, "1.50 s", "good"), (1500, "1.50 s", "warn"),
     (2999, "3.00 s", "warn"), (3000, "3.00 s", "bad"), (12400, "12.4 s", "bad")],
)  # fmt: skip
def test_latency_is_good_below_a_second_and_a_half_and_bad_from_three(value: float, text: str, state: str) -> None:
    assert (milliseconds(value), pace(value)) == (text, state)


@pytest.mark.parametrize(
    ("share", "text"), [(None, UNKNOWN), (0, "0 %"), (0.5, "50 %"), (1, "100 %"), (0.004, "0.4 %"), (0.999, "99.9 %")]
)
def test_a_share_that_is_not_nothing_never_reads_as_nothing(share: float | None, text: str) -> None:
    assert percent(share) == text
