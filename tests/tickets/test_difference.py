from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickets.difference import Part, difference


def test_what_was_replaced_stands_before_what_replaced_it() -> None:
    found = difference("We will call you today.", "We will write to you today.")
    assert found[1:3] == [Part("gone", "call"), Part("new", "write to")]
    assert [part.text for part in found if part.kind == "same"] == ["We will ", " you today."]


def test_equal_texts_have_one_part_and_empty_ones_none() -> None:
    assert difference("As it was.", "As it was.") == [Part("same", "As it was.")]
    assert difference("", "") == []


@given(st.text(), st.text())
def test_both_texts_can_be_put_together_from_the_parts(before: str, after: str) -> None:
    found = difference(before, after)
    assert "".join(part.text for part in found if part.kind != "new") == before
    assert "".join(part.text for part in found if part.kind != "gone") == after


def test_texts_too_long_for_words_are_compared_by_lines() -> None:
    before = "".join(f"line {number} of many words here\n" for number in range(2_000))
    found = difference(before, before.replace("line 7 of", "row 7 of"))
    assert [part.text for part in found if part.kind == "new"] == ["row 7 of many words here\n"]
