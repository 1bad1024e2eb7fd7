from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.personal import FINDERS, pieces

CHECKED = {"CARD": "4111 1111 1111 1111", "IBAN": "DE89 3704 0044 0532 0130 00", "IP": "2001:db8::ff00:42:8329"}


@given(st.text(max_size=300))
def test_the_pieces_are_the_text_in_its_order(text: str) -> None:
    assert "".join(value for _, value in pieces(text, ("Jane Doe",))) == text


@given(st.text(max_size=300))
def test_no_finder_points_outside_the_text(text: str) -> None:
    for _, finder in FINDERS:
        assert all(0 <= start <= end <= len(text) for start, end in finder(text))


@pytest.mark.parametrize("kind", CHECKED)
def test_one_wrong_digit_is_no_such_number(kind: str) -> None:
    finder = dict(FINDERS)[kind]
    right = CHECKED[kind]
    assert list(finder(right)) == [(0, len(right))]
    wrong = {"CARD": right[:-1] + "2", "IBAN": right[:-1] + "1", "IP": right + ":1:2:3:4:5"}[kind]
    assert not list(finder(wrong))


def test_a_card_is_found_behind_another_number() -> None:
    assert [kind for kind, _ in pieces("order 2222 4111 1111 1111 1111")] == ["", "CARD"]


def test_an_iban_ends_where_its_country_says() -> None:
    assert pieces("DE89 3704 0044 0532 0130 00 AND MORE")[0] == ("IBAN", "DE89 3704 0044 0532 0130 00")


def test_what_was_found_as_one_kind_is_not_looked_at_again() -> None:
    assert pieces("jane@203.0.113.9.example.com", ("Jane",)) == [("EMAIL", "jane@203.0.113.9.example.com")]


def test_a_private_key_without_an_end_hides_all_that_follows() -> None:
    assert pieces("a\n-----BEGIN PRIVATE KEY-----\nMIIE and so on")[1][0] == "KEY"
