from __future__ import annotations

import pytest

from triage.learning.cadence import due


@pytest.mark.parametrize(
    ("new", "used", "expected"),
    [(49, 0, False), (50, 0, True), (50, 500, True), (99, 1_000, False), (100, 1_000, True)],
)
def test_a_fit_is_due_after_fifty_decisions_or_a_tenth_of_those_used(new: int, used: int, *, expected: bool) -> None:
    assert due(new=new, used=used) is expected
