"""A reply from the texts alone, by category, sentiment and priority, in the customer's language."""

from __future__ import annotations

from collections.abc import Sequence

from triage.flags import visible
from triage.pipeline.replies import hello, language_of, sla_sentence, texts
from triage.pipeline.replies.asks import missing
from triage.pipeline.replies.quotation import quotation
from triage.pipeline.types import Context, Drafted, FieldName, Inquiry, Readings


def from_template(inquiry: Inquiry, fields: Readings, context: Context) -> Drafted:
    """Greeting, opening, the answer that helped a ticket like this one, what is still needed, and what happens next."""
    language = language_of(fields)
    words = texts(language)
    category = held(fields, "category", "other")
    if category not in words["about"]:
        category = "other"
    quote, citations = quotation(context.answers, language)
    paragraphs = [
        hello(inquiry.requester_name, language),
        words["opening"].get(held(fields, "sentiment", "neutral"), words["opening"]["neutral"]),
        *((words["answer_intro"], quote) if quote else ()),
        words["about"][category],
        _request(missing(category, inquiry, language), language),
        words["note"][category],
        words["priority"].get(held(fields, "priority", "P3"), ""),
        words["closing"] if inquiry.link_follows else "",
    ]
    return Drafted(ended(paragraphs, fields, context), "template", citations)


def _request(asks: Sequence[str], language: str) -> str:
    words = texts(language)
    if not asks:
        return str(words["complete"])
    return "\n".join([words["lead"], *(f"- {words['asks'][ask]}" for ask in asks)])


def ended(paragraphs: Sequence[str], fields: Readings, context: Context) -> str:
    """The paragraphs, the sentence on the SLA last. The channel adds the signature of its source when it sends."""
    sla = sla_sentence(held(fields, "priority", "P3"), context.sla_hours, language_of(fields))
    kept = [part.strip().removesuffix(sla).strip() if sla else part.strip() for part in paragraphs]
    return visible("\n\n".join(part for part in [*kept, sla] if part))


def held(fields: Readings, name: FieldName, otherwise: str) -> str:
    """A value that may be written about: not one in question."""
    reading = fields.get(name)
    if reading is None or reading.value is None or reading.band == "ask":
        return otherwise
    return str(reading.value)
