"""The proposal: what is held for each field, who says so, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tickets.actions.decided import LABELS, spelled
from tickets.models import Effort, Priority, Review, Sentiment, Severity, Suggestion, Ticket, Tier
from tickets.models.history import Change
from tickets.models.labels import Named, all_labels
from tickets.models.ticket import TicketQuerySet
from triage.pipeline.types import FIELDS

CHOICES: dict[str, list[tuple[str, str]]] = {
    "priority": [(key, f"{key} {word}") for key, word in Priority.choices],
    "tier": [(str(key), word) for key, word in Tier.choices],
    "severity": [(str(key), word) for key, word in Severity.choices],
    "effort": [(str(key), word) for key, word in Effort.choices],
    "sentiment": [(str(key), word) for key, word in Sentiment.choices],
    "is_technical": [("true", "Yes"), ("false", "No")],
}
WORDS = {"is_technical": "Technical"}
ENGINES = {
    "local": "Local model",
    "model": "Language model",
    "rules": "Keywords",
    "rule": "A rule",
    "person": "A person",
}
BANDS = {"apply": "Applied", "suggest": "Suggested", "ask": "Unsure"}


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of the proposal. `value` and `suggested` are spelled as a form sends them.

    `because` are decided tickets with the same value, (number, subject), as far as the reader may see them.
    """

    name: str
    word: str
    value: str
    shown: str
    suggested: str
    suggested_shown: str
    choices: list[tuple[str, str]]
    band: str
    band_word: str
    confidence: float | None
    engine: str
    engine_word: str
    reason: str
    because: list[tuple[int, str]]
    undo: Change | None = None  # the machine's, which can be taken back
    decided: Review | None = None  # by whom, when and why, where a person did

    @property
    def by_person(self) -> bool:
        return self.engine == "person"

    @property
    def acceptable(self) -> bool:
        """Whether there is a value of the machine's that a person could say yes to."""
        return not self.by_person and bool(self.value or self.suggested)


def rows_of(
    ticket: Ticket,
    suggestion: Suggestion | None,
    visible: TicketQuerySet | None = None,
    known: Mapping[str, Sequence[Named]] | None = None,
) -> list[FieldRow]:
    """A row a field, in the order people look: what it is, how urgent, whose, then the rest.

    Of the tickets that a value leans on, those in `visible` are named.
    """
    decided = decisions_of(ticket)
    known = all_labels() if known is None else known
    labels = {name: [one for one in named if one.active] for name, named in known.items()}
    read = suggestion.fields if suggestion else {}
    leaning = {name: _because(ticket, name, read.get(name, {})) for name in FIELDS}
    numbers = {number for some in leaning.values() for number in some}
    subjects: dict[int, str] = {}
    if visible is not None and numbers:
        subjects = dict(visible.filter(pk__in=numbers).values_list("pk", "subject"))
    named = {name: [(number, subjects[number]) for number in leaning[name] if number in subjects] for name in FIELDS}
    return [
        replace(_row(ticket, name, read.get(name, {}), labels, named[name]), decided=decided.get(name))
        for name in FIELDS
    ]


def decisions_of(ticket: Ticket) -> dict[str, Review]:
    """The last decision of each field that a person decided."""
    decisions = ticket.reviews.exclude(field="").select_related("by", "api_key").order_by("pk")
    return {review.field: review for review in decisions if ticket.decided_by_person(review.field)}


def _because(ticket: Ticket, name: str, reading: dict[str, Any]) -> list[int]:
    if ticket.decided_by_person(name):
        return []
    return list((ticket.provenance.get(name) or reading).get("because", ()))


def _row(
    ticket: Ticket,
    name: str,
    reading: dict[str, Any],
    labels: Mapping[str, Sequence[Named]],
    because: list[tuple[int, str]],
) -> FieldRow:
    held = ticket.provenance.get(name, {})
    value = spelled(ticket.value_of(name))
    choices = CHOICES.get(name) or [(label.key, label.name) for label in labels.get(name, [])]
    current = getattr(ticket, name)
    if name in LABELS and current is not None and current.key not in dict(choices):
        choices = [(current.key, f"{current.name} (retired)"), *choices]
    words = dict(choices)
    engine = held.get("engine") or reading.get("engine", "")
    suggested = "" if value or engine == "person" else spelled(reading.get("value"))
    band = held.get("band") or reading.get("band", "")
    return FieldRow(
        name=name,
        word=WORDS.get(name, name.capitalize()),
        value=value,
        shown=words.get(value, value),
        suggested=suggested,
        suggested_shown=words.get(suggested, suggested),
        choices=choices,
        band="" if engine == "person" else band,
        band_word="" if engine == "person" else BANDS.get(band, ""),
        confidence=held.get("confidence", reading.get("confidence")),
        engine=engine,
        engine_word=ENGINES.get(engine, ""),
        reason=held.get("reason") or reading.get("reason", ""),
        because=because,
    )
