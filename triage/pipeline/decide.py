"""Step two, in code and never a model's wish: what may be applied, and what a person must see first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from triage.embedding.clean import clean
from triage.engines.cascade import ASK_BELOW
from triage.flags import visible
from triage.pipeline.classify import Classified
from triage.pipeline.types import MANUAL_REVIEW, Context, FieldName, FieldReading, Inquiry

_ROUTING: tuple[FieldName, ...] = ("category", "team")
_DESCRIPTIVE: tuple[FieldName, ...] = ("language", "summary", "tags")


@dataclass(frozen=True, slots=True)
class Decided:
    fields: Mapping[FieldName, FieldReading]
    escalated: bool
    reason: str


def decide(inquiry: Inquiry, classified: Classified, context: Context) -> Decided:
    """Put each reading into its band, send what nobody knows to Manual Review, escalate with all reasons."""
    fields = {name: _banded(name, reading) for name, reading in classified.readings.items()}
    unknown = [name for name in _ROUTING if name not in fields or _is_open(fields[name])]
    if unknown:
        fields["team"] = _manual_review(fields.get("team"))
    reasons = _reasons(inquiry, classified, context, fields)
    return Decided(fields=fields, escalated=bool(reasons), reason=" ".join(reasons))


def unreadable(inquiry: Inquiry) -> Decided:
    """The verdict on a text without words: a person has a look."""
    reason = "There is no text to read."
    subject = visible(" ".join(clean(inquiry.subject).split()))[:200]
    fields: dict[FieldName, FieldReading] = {
        "team": FieldReading(MANUAL_REVIEW, 1.0, reason, "rules"),
        "language": FieldReading("und", 0.0, reason, "rules"),
        "summary": FieldReading(subject, 0.0, reason, "rules"),
    }
    return Decided(fields=fields, escalated=True, reason=reason)


def _banded(name: FieldName, reading: FieldReading) -> FieldReading:
    if isinstance(reading.value, str):  # it may be the ticket's own words
        reading = replace(reading, value=visible(reading.value))
    if name in _DESCRIPTIVE:
        return replace(reading, band="suggest") if reading.engine != "local" else reading
    if reading.confidence < ASK_BELOW:
        return replace(reading, band="ask")
    if reading.engine != "local":  # only the local engine's confidence was measured on decisions
        return replace(reading, band="suggest")
    return reading


def _is_open(reading: FieldReading) -> bool:
    return reading.band == "ask" or reading.value is None


def _manual_review(team: FieldReading | None) -> FieldReading:
    if team is None or team.value is None:
        return FieldReading(MANUAL_REVIEW, 1.0, "No engine could tell which team this is for.", "rules")
    if team.value == MANUAL_REVIEW:
        return replace(team, band="suggest")
    likely = f"Perhaps {team.value}, at {team.confidence:.0%}, which is too little to route by."
    return FieldReading(MANUAL_REVIEW, 1.0 - team.confidence, likely, team.engine)


def _reasons(
    inquiry: Inquiry, classified: Classified, context: Context, fields: Mapping[FieldName, FieldReading]
) -> list[str]:
    reasons = []
    category = fields.get("category")
    if category is None or category.value is None:
        reasons.append("No engine could tell what this is about.")
    elif category.confidence < context.escalate_below:
        reasons.append(f"Confidence in the category is {category.confidence:.0%}, below {context.escalate_below:.0%}.")
    priority = fields.get("priority")
    if priority is not None and priority.value == "P1":
        reasons.append("Read as P1.")
    if inquiry.submitted_priority == "P1":
        reasons.append("Submitted as P1.")
    return [*reasons, *classified.policy]
