"""Step one: every engine that can say something about the text says it; each field takes the best reading."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import structlog

from triage.embedding.clean import clean
from triage.engines import cascade, rules
from triage.engines import model as model_engine
from triage.engines.language import FOREIGN_CAP, Language, detect
from triage.pipeline.summary import summarise
from triage.pipeline.types import FIELDS, Context, FieldName, FieldReading, FieldValue, Inquiry, NoAnswer, Readings

log = structlog.get_logger(__name__)
# Below this likeness a decided ticket is no argument for a value, and is not named as one.
SPEAKS_FOR = 0.45
# Two letters in a row, of any script.
_readable = re.compile(r"[^\W\d_]{2}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Classified:
    readings: Mapping[FieldName, FieldReading]
    policy: tuple[str, ...] = ()
    model: str = ""
    prompt_version: str = ""
    notes: tuple[str, ...] = ()
    complete: bool = True
    withheld: Mapping[FieldName, FieldValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the engines that need no network say, where there are words at all."""

    readable: bool = True
    plain: Readings = field(default_factory=dict)
    local: Readings = field(default_factory=dict)
    rules: Readings = field(default_factory=dict)
    tags: FieldReading | None = None
    policy: tuple[str, ...] = ()
    broken: str = ""


async def classify(inquiry: Inquiry, context: Context, heard: Heard) -> Classified:
    """Reads with the engines of `context.engine`. The model is asked only when it is set and somebody is unsure.

    An engine that broke is told of in the notes, and the next one reads; the result is then not `complete`.
    """
    answer = model_engine.Answer()
    notes = [heard.broken] if heard.broken else []
    if context.ask is not None and _wants_model(context, heard):
        wanted = cascade.unsure_fields(heard.local, heard.plain["language"].confidence)
        try:
            answer = await model_engine.classify(
                inquiry, context, context.ask, FIELDS if context.engine == "model" else wanted
            )
        except NoAnswer as problem:
            notes.append(f"The model gave no answer: {problem}")
    elif context.engine == "model":
        notes.append("No model is configured; the other engines answered.")
    readings = cascade.best(local=heard.local, model=answer.readings, rules=heard.rules)
    if "tags" not in answer.readings and heard.tags is not None:
        readings["tags"] = cascade.joined_tags(heard.tags, readings.get("tags"))
    return Classified(
        readings=_with_examples({**heard.plain, **readings}, context),
        policy=heard.policy,
        model=answer.model,
        prompt_version=answer.prompt_version,
        notes=tuple(notes),
        complete=not notes,
        withheld={name: reading.value for name, reading in heard.local.items() if reading.withheld},
    )


def _wants_model(context: Context, heard: Heard) -> bool:
    if context.engine == "model":
        return True
    return context.engine == "cascade" and cascade.needs_model(heard.local)


def listen(inquiry: Inquiry, context: Context) -> Heard:
    """The work of the processor in a reading, for a thread. A verdict that is taken over needs the policy alone."""
    words = clean(inquiry.text)
    if not _readable.search(words):
        return Heard(readable=False)
    keywords = rules.load()
    if context.earlier is not None:
        return Heard(policy=keywords.policy(words))
    language = detect(words)
    broken = ""
    read: Readings = {}
    if context.engine != "rules":
        try:
            read = _read_locally(inquiry, context)
        except Exception as problem:  # a damaged fit or embedding must not keep a ticket from being read at all
            log.exception("local_engine_broke")
            broken = f"The local engine could not read the text ({type(problem).__name__}); the next one did."
    local = _capped(read, language)
    last = keywords.read(inquiry, context.taxonomy) if cascade.needs_rules(local) else {}
    return Heard(
        plain=_plain_readings(inquiry, language),
        local=local,
        rules=_capped(last, language),
        tags=keywords.tags(words, context.taxonomy),
        policy=keywords.policy(words),
        broken=broken,
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
            withheld=False,
        )
        for name, reading in readings.items()
    }


def _with_examples(readings: Readings, context: Context) -> dict[FieldName, FieldReading]:
    """Each reading with the decided tickets that have its value, whichever engine gave it."""
    near = sorted(context.examples, key=lambda example: -example.similarity)
    near = [example for example in near if example.number and example.similarity >= SPEAKS_FOR]

    def speak_for(name: FieldName, reading: FieldReading) -> tuple[int, ...]:
        return tuple(one.number for one in near if name in one.labels and one.labels[name] == reading.value)

    return {
        name: reading if name in ("summary", "language") else replace(reading, because=speak_for(name, reading))
        for name, reading in readings.items()
    }
