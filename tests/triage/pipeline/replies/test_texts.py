"""The texts themselves: whole in every language, with the same places to fill, and fit to be sent."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from triage.learning import starter
from triage.mask import redact
from triage.pipeline.replies import FOLDER, hello, is_ours, is_sla, languages, sla_sentence, texts
from triage.pipeline.types import PRIORITIES, SENTIMENTS

SPOKEN = ("en", "de", "es", "fr", "it", "nl", "pt")
CATEGORIES = {str(row.labels["category"]) for row in starter.rows()}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{number}")
    else:
        yield path, value


def _written(language: str) -> dict[str, str]:
    """Every text that may stand in a reply; the words that are looked for in tickets are each language's own."""
    return {path: text for path, text in _leaves(texts(language)) if not path.startswith(".told")}


def test_there_are_texts_in_seven_languages() -> None:
    assert languages() == SPOKEN


@pytest.mark.parametrize("language", SPOKEN)
def test_a_language_has_every_text_and_the_same_places_to_fill(language: str) -> None:
    mine, english = _written(language), _written("en")
    assert mine.keys() == english.keys()
    assert {path for path, text in mine.items() if not text} == {".note.question"}
    places = re.compile(r"\{.*?\}")
    for path, text in english.items():
        assert places.findall(mine[path]) == places.findall(text), path
    assert texts(language)["told"].keys() == texts("en")["told"].keys()


@pytest.mark.parametrize("language", SPOKEN)
def test_every_value_that_a_ticket_can_have_has_its_text(language: str) -> None:
    words = texts(language)
    assert set(words["about"]) == set(words["note"]) == CATEGORIES
    assert set(words["opening"]) == set(SENTIMENTS)
    assert set(words["priority"]) == set(PRIORITIES)
    asks = tomllib.loads((FOLDER / "asks.toml").read_text())
    assert set(asks["category"]) == CATEGORIES
    assert set(words["asks"]) == {ask for wanted in asks["category"].values() for ask in wanted}


@pytest.mark.parametrize("language", [language for language in SPOKEN if language != "en"])
def test_no_text_was_left_in_english(language: str) -> None:
    english = _written("en")
    same = {path for path, text in _written(language).items() if text and text == english[path]}
    assert same <= {".time.minute.0", ".time.minute.1", ".time.minute"}


@pytest.mark.parametrize("language", SPOKEN)
def test_a_text_holds_nothing_that_is_taken_for_anothers_data(language: str) -> None:
    for path, text in _written(language).items():
        # A greeting is taken off before and put on after.
        assert path.startswith(".greeting") or redact(text) == text, path
    assert "!" not in "".join(_written(language).values())


@pytest.mark.parametrize(
    ("language", "hours", "said"),
    [
        ("en", 1, "within 1 hour."),
        ("en", 0.5, "within 30 minutes."),
        ("en", 120, "within 5 days."),
        ("de", 1, "Innerhalb von 1 Stunde "),
        ("de", 1.5, "Innerhalb von 1,5 Stunden "),
        ("de", 96, "Innerhalb von 4 Tagen "),
        ("fr", 1, "sous 1 heure."),
        ("fr", 24, "sous 24 heures."),
        ("es", 120, "en un plazo de 5 días."),
        ("pt", 4, "no prazo de 4 horas."),
        ("it", 0.5, "entro 30 minuti."),
        ("nl", 4, "binnen 4 uur "),
    ],
)
def test_the_sla_is_said_in_the_language(language: str, hours: float, said: str) -> None:
    sentence = sla_sentence("P1", {"P1": hours}, language)
    assert said in sentence
    assert is_sla(sentence) and redact(sentence) == sentence


def test_a_greeting_has_the_name_in_every_language() -> None:
    greetings = [hello("Kim Doe", language) for language in SPOKEN]
    assert len(set(greetings)) == len(SPOKEN)
    assert all("Kim Doe" in greeting for greeting in greetings)
    assert hello("Kim Doe", "xx") == "Hello Kim Doe,"


@pytest.mark.parametrize("language", SPOKEN)
def test_our_own_lines_are_known_again(language: str) -> None:
    words = texts(language)
    assert is_ours(f"{words['lead']}\n- {words['asks']['since']}\n- {words['asks']['device']}")
    assert not is_ours(f"{words['lead']}\n- Please restart it.")
