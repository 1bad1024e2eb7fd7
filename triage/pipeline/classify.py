"""Step one: every engine that can say something about the text says it; each field takes the best reading."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from triage.embedding.clean import clean
from triage.engines import cascade, rules
from triage.engines import model as model_engine
from triage.engines.language import FOREIGN_CAP, Language, detect
from triage.pipeline.summary import summarise
from triage.pipeline.types import Context, FieldName, FieldReading, Inquiry, NoAnswer, Readings


@dataclass(frozen=True, slots=True)
class Classified:
    readings: Mapping[FieldName, FieldReading]
    policy: tuple[str, ...] = ()
    model: str = ""
    prompt_version: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Heard:
    """What the engines that need no network say."""

    plain: Readings
    local: Readings
    rules: Readings
    tags: FieldReading | None
    policy: tuple[str, ...]


async def classify(inquiry: Inquiry, context: Context) -> Classified:
    """Reads with the engines of `context.engine`. The model is asked only when it is set and somebody is unsure."""
    heard = await asyncio.to_thread(_listen, inquiry, context)
    answer = model_engine.Answer()
    notes: list[str] = []
    if context.ask is not None and _wants_model(context, heard):
        try:
            answer = await model_engine.classify(inquiry, context, context.ask)
        except NoAnswer as problem:
            notes.append(f"The model gave no answer: {problem}")
    elif context.engine == "model":
        notes.append("No model is configured; the other engines answered.")
    readings = cascade.best(local=heard.local, model=answer.readings, rules=heard.rules)
    if "tags" not in answer.readings and heard.tags is not None:
        readings["tags"] = cascade.joined_tags(heard.tags, readings.get("tags"))
    return Classified(
        readings={**heard.plain, **readings},
        policy=heard.policy,
        model=answer.model,
        prompt_version=answer.prompt_version,
        notes=tuple(notes),
    )


def _wants_model(context: Context, heard: _Heard) -> bool:
    if context.engine == "model":
        return True
    return context.engine == "cascade" and cascade.needs_model(heard.local)


def _listen(inquiry: Inquiry, context: Context) -> _Heard:
    """The work of the processor, for a thread of its own."""
    words = clean(inquiry.text)
    language = detect(words)
    keywords = rules.load()
    local = {} if context.engine == "rules" else _capped(_read_locally(inquiry, context), language)
    last = keywords.read(inquiry, context.taxonomy) if cascade.needs_rules(local) else {}
    return _Heard(
        plain=_plain_readings(inquiry, language),
        local=local,
        rules=_capped(last, language),
        tags=keywords.tags(words, context.taxonomy),
        policy=keywords.policy(words),
    )


def _read_locally(inquiry: Inquiry, context: Context) -> Readings:
    if context.local is None:
        return {}
    vector = context.vector
    if vector is None:
        from triage.embedding import embed

        vector = embed(inquiry.text)
    return context.local.read(inquiry, vector, context.taxonomy, context.examples)


def _plain_readings(inquiry: Inquiry, language: Language) -> dict[FieldName, FieldReading]:
    reason = "Letter sequences of the text." if language.confidence else "Too short to tell."
    return {
        "language": FieldReading(language.code, language.confidence, reason, "local"),
        "summary": FieldReading(summarise(inquiry), 0.5, "The first sentences that say something.", "local"),
    }


def _capped(readings: Readings, language: Language) -> dict[FieldName, FieldReading]:
    """In a language these engines were not made for, nothing is certain and nothing is applied."""
    if language.known:
        return dict(readings)
    note = f"The text is in another language ({language.code}), so this is a guess."
    return {
        name: replace(
            reading,
            confidence=min(reading.confidence, FOREIGN_CAP),
            reason=f"{note} {reading.reason}".strip(),
            band="suggest" if reading.band == "apply" else reading.band,
        )
        for name, reading in readings.items()
    }
