from __future__ import annotations

import time

import pytest

from tickets.rules import patterns


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", "([a-zA-Z]+)*$x"])
def test_an_expression_that_never_ends_elsewhere_ends_at_once_here(pattern: str) -> None:
    began = time.monotonic()
    assert patterns.found(pattern, "a" * 100_000 + "!") is False
    assert time.monotonic() - began < 1


def test_no_more_than_so_much_of_a_text_is_looked_at() -> None:
    text = "x" * patterns.LONGEST + "needle"
    assert not patterns.found("needle", text)
    assert patterns.found("needle", text[6:])


@pytest.mark.parametrize("pattern", ["", "(", "(?=look)", r"(a)\1", "a" * 501, "((a{100}){100}){100}"])
def test_what_is_none_or_cannot_be_matched_in_time_is_refused_with_words(pattern: str) -> None:
    with pytest.raises(patterns.BadPattern, match=r"\w"):
        patterns.compiled(pattern)


def test_letters_match_whatever_their_case() -> None:
    assert patterns.found("räch?nung", "Die RÄCHNUNG fehlt")
