from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.triage.conftest import SLA, Model, Write
from triage.pipeline.classify import classify, listen
from triage.pipeline.draft import Draft, draft
from triage.pipeline.replies import sla_sentence, texts
from triage.pipeline.replies.template import from_template
from triage.pipeline.types import PRIORITIES, Answered, Context, FieldReading, Inquiry

FIELDS: dict[Any, FieldReading] = {
    "category": FieldReading("access", 0.9, "", "local"),
    "priority": FieldReading("P2", 0.9, "", "local"),
    "sentiment": FieldReading("negative", 0.9, "", "local"),
}
OLD = """Hello Petra,

please open the sign-in page and choose "Forgotten password". The mail comes within a minute; look for spam.
Call +49 30 1234567 if it does not, and give the code 4411-9 to Jonas.

You can expect to hear from a person within 4 hours.

Kind regards,
Jonas"""


def _draft(inquiry: Inquiry, desk: Context, fields: Any = FIELDS) -> Draft:
    return asyncio.run(draft(inquiry, fields, desk))


@pytest.fixture
def inquiry(write: Write) -> Inquiry:
    return write("Locked out", "I cannot sign in, see https://desk.example.org/help", requester_name="Ann O'Neil")


def test_a_template_follows_category_sentiment_and_priority(inquiry: Inquiry, desk: Context) -> None:
    text = from_template(inquiry, FIELDS, desk).text
    assert text.startswith("Hello Ann O'Neil,\n\nThank you for telling us plainly.")
    assert "never send a password" in text
    assert "high priority" in text
    assert text.endswith("You can expect to hear from a person within 4 hours.")


def test_no_link_is_promised_where_none_follows(inquiry: Inquiry, desk: Context) -> None:
    closing = texts("en")["closing"]
    assert closing in from_template(inquiry, FIELDS, desk).text
    assert closing not in from_template(replace(inquiry, link_follows=False), FIELDS, desk).text


@pytest.mark.parametrize("priority", PRIORITIES)
def test_every_draft_ends_with_the_sla_of_its_priority(priority: str, inquiry: Inquiry, desk: Context) -> None:
    fields = {**FIELDS, "priority": FieldReading(priority, 0.9, "", "local")}
    assert _draft(inquiry, desk, fields).draft.text.endswith(sla_sentence(priority, SLA))
    said = Model({"draft": ["Hello, thank you for your message. Please tell us more about it."]})
    assert _draft(inquiry, replace(desk, ask=said), fields).draft.text.endswith(sla_sentence(priority, SLA))


def test_the_sla_speaks_plainly() -> None:
    assert "within 1 hour." in sla_sentence("P1", {"P1": 1})
    assert "within 30 minutes." in sla_sentence("P1", {"P1": 0.5})
    assert "within 5 days." in sla_sentence("P4", {"P4": 120})
    assert sla_sentence("P4", {}) == ""


def test_a_value_in_question_is_not_written_about(inquiry: Inquiry, desk: Context) -> None:
    fields: dict[Any, FieldReading] = {"category": FieldReading("billing", 0.2, "", "local", "ask")}
    assert "payment" not in from_template(inquiry, fields, desk).text


@pytest.mark.parametrize("name", ["", "ann@example.org", "<b>Ann</b>", "Visit http://evil.example", "A" * 100, "R2D2"])
def test_what_does_not_look_like_a_name_is_not_used_as_one(name: str, desk: Context, write: Write) -> None:
    assert from_template(write("x", "y", requester_name=name), FIELDS, desk).text.startswith("Hello,\n")


def test_it_quotes_the_answer_that_helped_a_ticket_like_it(inquiry: Inquiry, desk: Context) -> None:
    answers = [Answered(12, "Password", "unlike", 0.5), Answered(7, "Locked out", OLD, 0.9, ("Petra Muster", "Jonas"))]
    drafted = from_template(inquiry, FIELDS, replace(desk, answers=answers))
    assert '> please open the sign-in page and choose "Forgotten password".' in drafted.text
    assert drafted.citations[0]["ticket"] == 7
    assert "unlike" not in drafted.text


def test_the_quotation_is_cleared_of_its_customer(inquiry: Inquiry, desk: Context) -> None:
    answers = [Answered(7, "Locked out", OLD, 0.9, ("Petra Muster", "Jonas"))]
    text = from_template(inquiry, FIELDS, replace(desk, answers=answers)).text
    for private in ("Petra", "Jonas", "1234567"):
        assert private not in text
    assert text.count("You can expect to hear") == 1


def test_an_answer_that_is_only_akin_is_not_quoted(inquiry: Inquiry, desk: Context) -> None:
    drafted = from_template(inquiry, FIELDS, replace(desk, answers=[Answered(7, "x", OLD, 0.8)]))
    assert ">" not in drafted.text
    assert drafted.citations == ()


def test_an_old_reply_made_of_templates_is_no_answer(inquiry: Inquiry, desk: Context) -> None:
    old = from_template(inquiry, FIELDS, desk).text
    assert ">" not in from_template(inquiry, FIELDS, replace(desk, answers=[Answered(7, "x", old, 0.99)])).text


GERMAN = "Guten Tag, mein Drucker funktioniert seit gestern nicht mehr, bitte helfen Sie mir."
SWITCH = "Bitte schalten Sie den Drucker aus und nach einer Minute wieder ein, dann druckt er wieder."


def _in(language: str, confidence: float = 0.99) -> Any:
    reading = FieldReading(language, confidence, "", "local")
    return {**FIELDS, "category": FieldReading("bug", 0.9, "", "local"), "language": reading}


def test_a_ticket_in_another_language_is_answered_in_it(desk: Context, write: Write) -> None:
    inquiry = write("Drucker", GERMAN, requester_name="Ann O'Neil")
    read = asyncio.run(classify(inquiry, desk, listen(inquiry, desk))).readings
    text = from_template(inquiry, {**FIELDS, "language": read["language"]}, desk).text
    assert text.startswith("Guten Tag Ann O'Neil,\n\nvielen Dank, dass Sie uns das so offen schreiben.")
    assert text.endswith(sla_sentence("P2", SLA, "de"))
    assert "Thank you" not in text


@pytest.mark.parametrize("fields", [_in("de", 0.6), _in("ru")])
def test_where_the_language_is_doubtful_or_without_texts_it_is_english(
    fields: Any, desk: Context, write: Write
) -> None:
    assert from_template(write("Drucker", GERMAN), fields, desk).text.startswith("Hello,\n\nThank you")


def test_the_sla_after_a_models_draft_is_in_the_customers_language(desk: Context, write: Write) -> None:
    said = Model({"draft": ["Guten Tag, vielen Dank. Wir sehen uns den Drucker an."]})
    text = _draft(write("Drucker", GERMAN), replace(desk, ask=said), _in("de")).draft.text
    assert text.endswith(sla_sentence("P2", SLA, "de"))


@pytest.mark.parametrize(("language", "quoted"), [("de", SWITCH), ("en", OLD.splitlines()[2])])
def test_an_answer_is_quoted_in_its_own_language_alone(language: str, quoted: str, desk: Context, write: Write) -> None:
    answers = [Answered(7, "x", SWITCH, 0.95), Answered(8, "y", OLD, 0.9, ("Petra Muster", "Jonas"))]
    drafted = from_template(write("Drucker", GERMAN), _in(language), replace(desk, answers=answers))
    assert next(line for line in drafted.text.splitlines() if line.startswith(">")) == f"> {quoted}"
    assert len(drafted.citations) == 1


def test_it_asks_for_what_is_missing_and_not_for_what_was_told(desk: Context, write: Write) -> None:
    fields = _in("en")
    asked = from_template(write("Export", "It is broken."), fields, desk).text
    assert "- when it began" in asked and "- the exact words of the error message" in asked
    inquiry = write("Export", "Since Monday it says \u201cno rows to export\u201d when I press Export in Firefox 120.")
    text = from_template(inquiry, fields, desk).text
    assert "- a picture or a log" in text
    assert not any(line in text for line in ("when it began", "exact words", "just before", "device", "version"))
    everything = f"{inquiry.text} A screenshot is attached. My colleagues have it, too."
    assert texts("en")["complete"] in from_template(write("Export", everything), fields, desk).text


def test_the_model_writes_when_there_is_one(inquiry: Inquiry, desk: Context) -> None:
    said = Model({"draft": ["Hello Ann, please use the link on the sign-in page to choose a new password."]})
    drafted = _draft(inquiry, replace(desk, ask=said, answers=[Answered(7, "Locked out", OLD, 0.7, ("Petra",))]))
    assert drafted.draft.engine == "model"
    assert drafted.model == "claude-haiku-5-5"
    assert drafted.prompt_version.startswith("draft-")
    question = said.questions[0]
    assert question.schema is None
    assert "Forgotten password" in question.user
    assert "Petra" not in question.user
    assert drafted.notes == ()


@pytest.mark.parametrize(
    ("text", "stop_reason"),
    [
        ("", "end_turn"),
        ("Hello, I was about to", "max_tokens"),
        ("x" * 99_999, "end_turn"),
        ("I will not do this at all.", "refusal"),
    ],
)
def test_a_draft_that_is_none_gives_way_to_the_template(
    text: str, stop_reason: str, inquiry: Inquiry, desk: Context
) -> None:
    drafted = _draft(inquiry, replace(desk, ask=Model({"draft": [text]}, stop_reason)))
    assert drafted.draft.engine == "template"
    assert "wrote no draft" in drafted.notes[0]


def test_what_cannot_be_seen_is_in_no_draft(inquiry: Inquiry, desk: Context) -> None:
    hidden = "\u200b\u202e\U000e0041\ud800\x07"
    said = Model({"draft": [f"Thank you{hidden} for writing to us. Somebody looks at it."]})
    assert "Thank you for writing" in _draft(inquiry, replace(desk, ask=said)).draft.text
    old = OLD.replace("spam", f"sp{hidden}am")
    quoting = from_template(inquiry, FIELDS, replace(desk, answers=[Answered(7, "Locked out", old, 0.9)]))
    assert "look for spam" in quoting.text
