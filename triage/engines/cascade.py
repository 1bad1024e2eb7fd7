"""Whose word counts: local first, the model where local is unsure, rules where there is nothing better."""

from __future__ import annotations

from dataclasses import replace

from triage.engines.tags import sensible
from triage.pipeline.types import FIELDS, FieldName, FieldReading, Readings

# The fields that move a ticket. The model is asked unless the local engine may apply all three.
DECISIVE: tuple[FieldName, ...] = ("category", "priority", "team")
# From here on the letters of a text have told its language well enough.
_LANGUAGE_TOLD = 0.8
# Below this a value is no better than a guess: the desk shows it as a question, and holds none.
ASK_BELOW = 0.4
# A model's own confidence is not calibrated: it may suggest, and never claim certainty.
MODEL_CAP = 0.9


def needs_model(local: Readings) -> bool:
    """Whether the local engine left one of the decisive fields open."""
    return any(name not in local or local[name].band != "apply" for name in DECISIVE)


def unsure_fields(local: Readings, language_confidence: float) -> tuple[FieldName, ...]:
    """What a call to the model asks for: every field that the local engine may not apply."""
    known = {name for name, reading in local.items() if reading.band == "apply"}
    if language_confidence >= _LANGUAGE_TOLD:
        known.add("language")
    return tuple(name for name in FIELDS if name not in known)


def needs_rules(readings: Readings) -> bool:
    """Whether a decisive field has no reading that is better than a guess."""
    return any(name not in readings or readings[name].confidence < ASK_BELOW for name in DECISIVE)


def best(*, local: Readings, model: Readings, rules: Readings) -> dict[FieldName, FieldReading]:
    """The best reading of each field: local where it may apply, else the model's, else local's, last the rules'."""
    chosen: dict[FieldName, FieldReading] = {}
    for name in FIELDS:
        reading = _best_of(local.get(name), model.get(name), rules.get(name))
        if reading is not None:
            chosen[name] = reading
    return chosen


def joined_tags(words: FieldReading, likeness: FieldReading | None) -> FieldReading:
    """Tags whose words stand in the text, then those of texts like it: up to five."""
    if likeness is None or not isinstance(words.value, tuple) or not isinstance(likeness.value, tuple):
        return words
    tags = sensible([*words.value, *likeness.value])
    confidence = min(words.confidence, likeness.confidence)
    return replace(likeness, value=tags, confidence=confidence, reason=f"{words.reason} {likeness.reason}")


def _best_of(local: FieldReading | None, model: FieldReading | None, rules: FieldReading | None) -> FieldReading | None:
    if model is not None and (local is None or local.band != "apply"):
        model = replace(model, confidence=min(model.confidence, MODEL_CAP), band="suggest")
        if local is not None and local.value == model.value:
            confidence = max(model.confidence, local.confidence)
            return replace(model, confidence=confidence, reason=f"{model.reason} The local engine agrees.".strip())
        return model
    if local is not None and rules is not None and local.confidence < ASK_BELOW < rules.confidence:
        return rules
    return local or rules
