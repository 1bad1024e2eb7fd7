from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.triage.conftest import Write
from triage.pipeline.classify import Classified, listen
from triage.pipeline.decide import Decided, decide, unreadable
from triage.pipeline.types import Band, Context, EngineName, FieldReading, Inquiry


def _decide(inquiry: Inquiry, desk: Context, fields: dict[Any, FieldReading], policy: tuple[str, ...] = ()) -> Decided:
    return decide(inquiry, Classified(fields, policy=policy), desk)


def reading(value: Any, confidence: float, engine: EngineName = "local", band: Band = "suggest") -> FieldReading:
    return FieldReading(value, confidence, "So.", engine, band)


@pytest.fixture
def inquiry(write: Write) -> Inquiry:
    return write("Slow", "The board is slow")


KNOWN: dict[Any, FieldReading] = {
    "category": reading("bug", 0.9),
    "team": reading("software", 0.9),
    "priority": reading("P3", 0.8),
}


def test_an_ordinary_ticket_is_not_escalated(inquiry: Inquiry, desk: Context) -> None:
    decided = _decide(inquiry, desk, KNOWN)
    assert (decided.escalated, decided.reason) == (False, "")


def test_low_confidence_escalates(inquiry: Inquiry, desk: Context) -> None:
    decided = _decide(inquiry, desk, {**KNOWN, "category": reading("bug", 0.69)})
    assert decided.reason == "Confidence in the category is 69%, below 70%."
    assert not _decide(
        inquiry, replace(desk, escalate_below=0.6), {**KNOWN, "category": reading("bug", 0.69)}
    ).escalated


def test_p1_escalates(inquiry: Inquiry, desk: Context) -> None:
    assert _decide(inquiry, desk, {**KNOWN, "priority": reading("P1", 0.9)}).reason == "Read as P1."
    submitted = replace(inquiry, submitted_priority="P1")
    assert _decide(submitted, desk, KNOWN).reason == "Submitted as P1."


def test_policy_words_escalate_whatever_the_confidence(inquiry: Inquiry, desk: Context) -> None:
    decided = _decide(inquiry, desk, KNOWN, ("Mentions a lawyer.",))
    assert (decided.escalated, decided.reason) == (True, "Mentions a lawyer.")


def test_every_reason_is_named(inquiry: Inquiry, desk: Context) -> None:
    fields = {**KNOWN, "category": reading("bug", 0.5), "priority": reading("P1", 0.9)}
    assert _decide(inquiry, desk, fields, ("Asks for a person.",)).reason.count(".") == 3


def test_what_nobody_knows_goes_to_manual_review(inquiry: Inquiry, desk: Context) -> None:
    decided = _decide(inquiry, desk, {})
    assert decided.fields["team"].value == "manual_review"
    assert decided.fields["team"].band == "suggest"
    assert decided.reason == "No engine could tell what this is about."


@pytest.mark.parametrize("unsure", ["category", "team"])
def test_a_guess_is_asked_and_does_not_route(unsure: str, inquiry: Inquiry, desk: Context) -> None:
    fields = {**KNOWN, unsure: reading("bug" if unsure == "category" else "software", 0.3)}
    decided = _decide(inquiry, desk, fields)
    assert decided.fields["team"].value == "manual_review"
    assert "software" in decided.fields["team"].reason
    if unsure == "category":
        assert decided.fields["category"].band == "ask"


def test_only_a_measured_engine_may_apply(inquiry: Inquiry, desk: Context) -> None:
    fields = {
        "category": reading("bug", 0.97, "local", "apply"),
        "team": reading("software", 0.97, "model", "apply"),
        "priority": reading("P3", 0.97, "rules", "apply"),
    }
    bands = {name: one.band for name, one in _decide(inquiry, desk, fields).fields.items()}
    assert bands == {"category": "apply", "team": "suggest", "priority": "suggest"}


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\x00\x01", "12 34 56", "😀😀", "?!...", "<!-- nothing -->", "\u200b\u202e"]
)
def test_without_words_there_is_nothing_to_read(text: str, write: Write, desk: Context) -> None:
    assert not listen(write("", text), desk).readable
    decided = unreadable(write("", text))
    assert decided.fields["team"].value == "manual_review"
    assert decided.escalated


@pytest.mark.parametrize("text", ["ok", "无法登录", "לא עובד", "Не"])
def test_words_of_any_script_are_readable(text: str, write: Write, desk: Context) -> None:
    assert listen(write("", text), desk).readable
