from __future__ import annotations

import pytest

from tests.triage.conftest import Write
from triage.embedding import TURN, clean, embed
from triage.engines.local import LocalEngine
from triage.engines.signs import signs
from triage.learning.fit import Example, fit
from triage.pipeline.types import Taxonomy

BODY = "The export stops after a while."


def _issue(subject: str = "Export", body: str = BODY) -> str:
    return f"{subject}\n{TURN}\n{body}"


@pytest.mark.parametrize(
    ("body", "sign"),
    [
        ("```\nprint(1)\n```", "code"),
        ("### Steps to reproduce\nOpen it.", "heading"),
        ("<!-- Please search first -->", "comment"),
        ("- [x] I have searched", "box"),
        ("_No response_", "unanswered"),
        ("![screen](a.png)", "picture"),
        ("See https://example.org/a", "address"),
        ("Since 2.14.1 it fails", "version"),
        ("Traceback (most recent call last):", "failure"),
        ("It ends with a KeyError", "failure"),
    ],
)
def test_what_cleaning_takes_away_leaves_a_sign(body: str, sign: str) -> None:
    assert sign in signs(_issue(body=body))
    assert sign not in signs(_issue())


@pytest.mark.parametrize(
    ("subject", "sign"),
    [
        ("How do I export a board?", "subject begins a question"),
        ("Export of boards?", "subject asks"),
        ("[Bug] export fails", "subject:bug"),
        ("Docs: export is missing", "subject:docs"),
    ],
)
def test_the_subject_says_how_it_was_meant(subject: str, sign: str) -> None:
    assert sign in signs(_issue(subject))
    assert sign not in signs(_issue())


def test_a_text_without_a_subject_has_no_signs_of_one() -> None:
    assert not [sign for sign in signs("How do I export a board?") if sign.startswith("subject")]


def test_the_door_it_came_by_is_a_sign() -> None:
    assert "source:Billing mailbox" in signs(BODY, "Billing\n mailbox")
    assert not [sign for sign in signs(BODY) if sign.startswith("source")]


@pytest.mark.parametrize("text", ["", TURN, f"{TURN}{TURN}", "?" * 100_000, "[" * 100_000, "\ud800", " " * 100_000])
def test_no_text_is_too_odd_for_it(text: str) -> None:
    assert all(sign.isprintable() for sign in signs(text, "a"))


def _by_door(doors: int = 12) -> list[Example]:
    """The same words with two labels: only the door tells them apart."""
    texts = [f"Please look at case {number} for me" for number in range(doors)]
    return [
        Example(_issue("Request", text), embed(text), {"team": team}, decided=True, source=source)
        for text in texts
        for team, source in (("billing", "Billing mailbox"), ("software", "Error reports"))
    ]


def test_a_fit_learns_from_the_door_and_never_quotes_it(taxonomy: Taxonomy, write: Write) -> None:
    engine = LocalEngine(fit(_by_door(), ["team"]).weights, "by door")
    for source, team in (("Billing mailbox", "billing"), ("Error reports", "software")):
        inquiry = write("Request", "Please look at case 40 for me", source=source)
        reading = engine.read(inquiry, embed("Please look at case 40 for me"), taxonomy)["team"]
        assert reading.value == team and reading.confidence > 0.6
        assert "source" not in reading.reason and "mailbox" not in reading.reason.lower()


def test_a_door_that_two_texts_came_by_is_not_kept() -> None:
    examples = _by_door()
    rare = [Example(one.text, one.vector, one.labels, True, "Acme GmbH") for one in examples[:2]]
    kept = fit([*examples, *rare], ["team"]).weights.words.signs
    assert "source:Billing mailbox" in kept and "source:Acme GmbH" not in kept


def test_markup_tells_what_the_words_do_not() -> None:
    plain = [f"Board {number} export with numbers" for number in range(12)]
    coded = [f"{text}\n```\nexport\n```" for text in plain]
    examples = [
        Example(_issue(body=text), embed(clean("export")), {"kind": kind}, True)
        for kind, texts in (("question", plain), ("bug", coded))
        for text in texts
    ]
    fitted = fit(examples, ["kind"])
    (head,) = fitted.weights.heads
    held_out = fitted.held_out["kind"]
    assert head.values == ("bug", "question")
    assert (held_out.probabilities.argmax(axis=1) == held_out.truth).mean() > 0.9
