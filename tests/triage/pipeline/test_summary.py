from __future__ import annotations

from tests.triage.conftest import Write
from triage.pipeline.summary import MAX_SUMMARY, summarise


def test_it_skips_greetings_and_thanks(write: Write) -> None:
    text = "Hello team,\n\nI hope you are well. The export of our board stops at row 200. Thanks in advance!"
    assert summarise(write("Export", text)).startswith("The export of our board stops at row 200.")


def test_it_skips_the_headings_of_templates(write: Write) -> None:
    text = "### Describe the bug\nThe parser dies on empty lists.\n### Expected behaviour\nIt returns nothing."
    assert summarise(write("Crash", text)).startswith("The parser dies on empty lists.")


def test_it_falls_back_to_the_subject(write: Write) -> None:
    assert summarise(write("Wifi broken in room 12", "")) == "Wifi broken in room 12"
    assert "Wifi broken" in summarise(write("Wifi broken in room 12", "Hi"))


def test_it_is_never_longer_than_a_line(write: Write) -> None:
    for text in ("word " * 5_000, "x" * 100_000, "Sentence one is here. " * 400, "a.b.c." * 3_000, "?!" * 9_000):
        assert len(summarise(write("s" * 500, text))) <= MAX_SUMMARY
