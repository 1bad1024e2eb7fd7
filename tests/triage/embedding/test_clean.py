from __future__ import annotations

import time

import pytest

from triage.embedding import MAX_CLEAN, TURN, clean


def test_it_strips_addresses_links_and_markup() -> None:
    text = "See <b>this</b> at https://example.org/a?b=c or [a page](https://example.org) or mail a.o@example.org."
    assert clean(text) == "See this at or a page or mail ."


def test_it_strips_quoted_mail_with_its_attribution() -> None:
    text = "It still fails.\n\nOn Mon, 2 Nov 2026, Desk <d@example.org> wrote:\n> Turn it off\n> and on"
    assert clean(text) == "It still fails."


def test_it_strips_what_outlook_puts_below_a_reply() -> None:
    text = "That did not help at all.\n\n-----Original Message-----\nFrom: Desk\nSent: Monday\n\nPlease restart."
    assert clean(text) == "That did not help at all."


def test_it_keeps_a_mail_that_only_forwards_something() -> None:
    text = "FYI\n\n---------- Forwarded message ---------\nThe invoice 12 was charged twice."
    assert "charged twice" in clean(text)


def test_a_mail_of_quotes_alone_is_still_read() -> None:
    assert "printer" in clean("> the printer is broken\n> again")


@pytest.mark.parametrize(
    "signature",
    [
        "-- \nAnn\nBridge Ltd",
        "Kind regards,\nAnn Example\nBridge Ltd\n+49 30 1234",
        "Sent from my iPhone",
        "Thanks,\nAnn",
    ],
)
def test_it_strips_signatures(signature: str) -> None:
    assert clean(f"The scanner on floor two is dead.\n\n{signature}") == "The scanner on floor two is dead."


def test_a_signature_ends_with_its_own_message() -> None:
    text = f"Printer\n{TURN}\nIt is broken.\n\nBest,\nAnn\n{TURN}\nAnd now it smokes."
    assert clean(text) == "Printer\nIt is broken.\nAnd now it smokes."


def test_it_strips_the_furniture_of_issue_templates() -> None:
    text = "<!-- Please search first -->\n### Describe the bug\nCrash on start\n- [x] I have searched\n_No response_"
    assert clean(text) == "Describe the bug\nCrash on start"


def test_it_shortens_code_to_its_beginning_and_end() -> None:
    body = "\n".join(f"line {number}" for number in range(50))
    cleaned = clean(f"It fails:\n```python\n{body}\nTypeError: no\n```\nWhy?")
    assert cleaned == "It fails:\nline 0\nline 1\nline 49\nTypeError: no\nWhy?"


def test_it_drops_nul_bytes_and_direction_marks() -> None:
    assert clean("a\x00b \u202eevil\u202c \u200bzero") == "ab evil zero"


def test_it_keeps_other_scripts_and_emoji() -> None:
    assert clean("לא עובד 😀 不工作") == "לא עובד 😀 不工作"


def test_cleaning_twice_changes_nothing() -> None:
    text = "Hello,\n\nthe **VPN** drops.\n\n> old\n\nKind regards,\nAnn\n"
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    "unit",
    [
        "hello world ",
        "<!--",
        "[",
        ">",
        "From:\n",
        "On a\n",
        "a",
        "```\n",
        "_",
        "<a",
        "a@",
        "- [ ]\n",
        "thanks\n",
        " ",
        "\n \n",
        "-",
        "|-",
        "![",
        "](",
        "a.b@a.",
    ],
)
def test_ten_megabytes_of_anything_cost_next_to_nothing(unit: str) -> None:
    text = unit * (10_000_000 // len(unit))
    began = time.process_time()
    assert len(clean(text)) <= MAX_CLEAN
    assert time.process_time() - began < 1.0
