"""A reply asks for what is missing, and never for what stands in the text."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest

from tests.triage.conftest import Write
from triage.pipeline.replies import FOLDER, languages, texts
from triage.pipeline.replies.asks import missing, told
from triage.pipeline.types import Inquiry, Turn

TELLINGS = tomllib.loads(Path(__file__).with_name("tellings.toml").read_text())
ASKED = tomllib.loads((FOLDER / "asks.toml").read_text())["category"]
TOLD = [(language, ask) for language in TELLINGS for ask in texts("en")["asks"]]
# Says nothing of use in any of the languages.
NOTHING = "Hm."


@pytest.mark.parametrize(("language", "ask"), TOLD)
def test_what_a_text_tells_is_not_asked_for(language: str, ask: str, write: Write) -> None:
    inquiry = write(NOTHING, TELLINGS[language][ask])
    for category, asks in ASKED.items():
        assert ask not in missing(category, inquiry, language), category
        if ask in asks[:4]:
            assert ask in missing(category, write(NOTHING, NOTHING), language)


@pytest.mark.parametrize("language", languages())
def test_most_tellings_answer_their_own_question_alone(language: str) -> None:
    """Words so common that they answer everything would make the desk ask for nothing."""
    pairs = [(ask, other) for ask in ASKED["bug"] for other in ASKED["bug"] if ask != other]
    crossed = [pair for pair in pairs if told(pair[0], TELLINGS[language][pair[1]], language)]
    assert len(crossed) <= len(pairs) // 5, crossed


def test_no_reply_asks_for_more_than_four_things(write: Write) -> None:
    assert missing("bug", write(NOTHING, NOTHING), "en") == ["steps", "error", "since", "device"]
    said = TELLINGS["en"]["steps"]
    assert missing("bug", write(NOTHING, said), "en") == ["error", "since", "device", "version"]


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        ("error", "requests.exceptions.ConnectTimeoutError is raised"),
        ("error", "I get error 0x80070005"),
        ("error", "it answers 502 Bad Gateway"),
        ("error", "it shows 'Fehler: Zugriff verweigert'"),
        ("error", "There is no error message."),
        ("steps", "1. Open the board\n2. Drag a card\n3. It is gone"),
        ("version", "pandas 2.1.4 on Windows 11"),
        ("version", "Firefox 120"),
        ("picture", "![board](https://files.example.com/board.png)"),
        ("picture", "see crash.log"),
        ("invoice", "INV-20417 was paid twice"),
        ("invoice", "our order #88123"),
        ("amount", "you charged $20"),
        ("date", "on 12/03/2026"),
        ("date", "May 3rd"),
        ("since", "at 14:30"),
        ("account", "for kim@example.com"),
        ("account", "of Northwind GmbH"),
        ("place", "https://desk.example.com/login"),
    ],
)
def test_a_shape_tells_it_in_any_language(ask: str, text: str) -> None:
    assert all(told(ask, text, language) for language in languages())


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        ("error", "I get an error message."),
        ("version", "I pay 3.50 a month since 3.11.2026."),
        ("version", "It happened on 03.11.26."),
        ("invoice", "There is something wrong with my invoice."),
        ("date", "I sent 3 mails."),
        ("date", "The price is 12.10 a seat."),
        ("user", "The login page is empty."),
        ("people", "Many people."),
        ("amount", "It is version 4.2.10."),
    ],
)
def test_a_mention_alone_tells_nothing(ask: str, text: str) -> None:
    assert not told(ask, text, "en")


def test_what_stands_in_a_quoted_mail_of_ours_was_not_told(write: Write) -> None:
    quoted = "\n".join(f"> {ask}" for ask in TELLINGS["en"].values())
    assert missing("bug", write(NOTHING, f"{NOTHING}\n{quoted}"), "en") == missing("bug", write(NOTHING, NOTHING), "en")


def test_a_later_message_of_the_customer_counts_and_one_of_ours_does_not() -> None:
    ours = Turn("agent", TELLINGS["en"]["steps"])
    theirs = Turn("customer", TELLINGS["en"]["since"])
    asked = missing("bug", Inquiry(NOTHING, (Turn("customer", NOTHING), ours, theirs)), "en")
    assert "steps" in asked and "since" not in asked


@pytest.mark.parametrize(
    "text", ["a" * 60_000, "1 " * 30_000, "“ " * 30_000, "order " * 10_000, "1.\n" * 20_000, "9" * 60_000]
)
def test_no_text_makes_it_slow(text: str) -> None:
    inquiry = Inquiry(NOTHING, (Turn("customer", text), Turn("customer", text)))
    missing("bug", inquiry, "en")  # the expressions are made
    start = time.process_time()
    for category in ASKED:
        missing(category, inquiry, "en")
    assert time.process_time() - start < 2
