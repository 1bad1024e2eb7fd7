from __future__ import annotations

import pytest

from tickets.channels.github.payloads import Issue, shown


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<!-- Describe the bug. -->\nIt crashes.\n<!--\nTwo\nlines\n-->\nAt start.", "It crashes.\n\nAt start."),
        ("```html\n<!-- of the page -->\n```\n<!-- a hint -->", "```html\n<!-- of the page -->\n```"),
        ("It says <!-- and never ends", "It says <!-- and never ends"),
        ("It ends --> and never began", "It ends --> and never began"),
        ("    indented\n", "    indented"),
    ],
)
def test_hints_of_a_template_are_left_out_and_code_is_not(body: str, text: str) -> None:
    assert shown(body) == text


def test_an_issue_of_hints_alone_says_its_title() -> None:
    assert Issue(number=1, title="Crash", body="<!-- Fill this in. -->\n").text == "Crash"


def test_a_text_made_to_be_slow_is_what_it_is() -> None:
    begun, marks = "-->" + "<!--" * 60_000, "```<!---->" * 2_000
    assert shown(begun) == begun
    assert shown(marks) == "```<!---->```" * 1_000
