from __future__ import annotations

import pytest

from tickets.templatetags.desk import field_value, level, percent


@pytest.mark.parametrize(
    ("confidence", "band"),
    [(None, "none"), (0.0, "low"), (0.75, "low"), (0.7501, "middle"), (0.9, "middle"), (0.9001, "high"), (1.0, "high")],
)
def test_the_colour_of_a_confidence_changes_above_three_quarters_and_nine_tenths(
    confidence: float | None, band: str
) -> None:
    assert level(confidence) == band


def test_nothing_short_of_certain_reads_as_a_hundred() -> None:
    assert (percent(0.999), percent(1.0), percent(None)) == (99, 100, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("status", "in_review", "In review"),
        ("tier", 2, "Tier 2"),
        ("is_technical", False, "No"),
        ("escalated", True, "yes"),
        ("tags", ["vpn", "mfa"], "vpn, mfa"),
        ("component", None, "nothing"),
    ],
)
def test_a_value_is_told_in_the_desks_words(name: str, value: object, words: str) -> None:
    assert field_value(value, name) == words
