"""The language model as an engine: one structured call for the fields in doubt, one repair, else NoAnswer.

The schema is the same for every call, each field of it optional; which ones are wanted stands in the question. So the
prefix can be cached, and nothing is paid for that is known already (docs/decisions/0009).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from triage import prompts
from triage.flags import visible
from triage.pipeline.types import (
    EFFORTS,
    FIELDS,
    MAX_TAGS,
    PRIORITIES,
    SENTIMENTS,
    SEVERITIES,
    TIERS,
    Ask,
    AskedModel,
    Context,
    FieldName,
    FieldReading,
    FieldValue,
    Inquiry,
    Label,
    NoAnswer,
    Question,
    Taxonomy,
)

MAX_TICKET = 6_000
MAX_EXAMPLES = 4
MAX_ANSWER = 20_000
MAX_TOKENS = 1_024
_MOST_OBJECTS = 8  # of an answer in prose are looked at; the first that fits is the answer
# The summary and the tags come without a confidence of their own.
_UNSTATED = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, checked. Empty when it was not asked."""

    readings: Mapping[FieldName, FieldReading] = field(default_factory=dict)
    model: str = ""
    prompt_version: str = ""


async def classify(inquiry: Inquiry, context: Context, ask: Ask, fields: Sequence[FieldName] = FIELDS) -> Answer:
    """Read `fields` with one call. An answer that breaks the schema is asked for once more; then raises NoAnswer.

    A field whose taxonomy is empty is not asked for; what is answered beyond the question is not heeded.
    """
    prompt = context.prompt or prompts.load("classify")
    kind = answer_type(context.taxonomy)
    schema = json_schema(kind)
    wanted = [name for name in fields if name in kind.model_fields]
    if not wanted:
        return Answer()
    question = Question(
        operation="classify",
        system=prompt.fill(**_taxonomy_text(context.taxonomy), guidance=context.guidance),
        user="\n\n".join(
            [
                *_examples(context),
                f"Sort this ticket. Answer these fields alone: {', '.join(wanted)}.",
                prompts.fenced("ticket", ticket_text(inquiry)),
            ]
        ),
        prompt_version=prompt.version,
        max_tokens=MAX_TOKENS,
        schema=schema,
        names=inquiry.names,
        subject_kind=inquiry.subject_kind,
        subject_id=inquiry.subject_id,
        masking=inquiry.masking,
    )
    reply = await ask(question)
    try:
        said = _parse(kind, reply, wanted)
    except ValueError as problem:
        reply = await ask(_repair(question, reply, problem))
        try:
            said = _parse(kind, reply, wanted)
        except ValueError as still:
            raise NoAnswer("its answer did not follow the schema, and neither did the repaired one") from still
    return Answer(_readings(said, wanted), reply.model, prompt.version)


def ticket_text(inquiry: Inquiry) -> str:
    """Subject and conversation as the model sees them, the middle left out when long."""
    turns = _cut("\n\n".join(f"[{turn.author}]\n{_cut(turn.text)}" for turn in inquiry.turns))
    submitted = f"\nPriority the writer chose: {inquiry.submitted_priority}" if inquiry.submitted_priority else ""
    text = f"Subject: {inquiry.subject[:500]}{submitted}\n\n{turns}"
    return text.replace("\x00", "").encode("utf-8", "ignore").decode()  # lone surrogates could not be sent


def _cut(text: str) -> str:
    if len(text) <= MAX_TICKET:
        return text
    return f"{text[: MAX_TICKET * 2 // 3]}\n[…]\n{text[-MAX_TICKET // 3 :]}"


# The type of the answer. Bounds are checked here and not in the schema, which some servers refuse to hold.


def _is_probability(value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ValueError("must lie between 0 and 1")
    return value


_leading = re.compile(r"(?i)[a-z][a-z0-9+.-]+:/|www\.|(?:https?|javascript|vbscript|mailto|tel):\S|data:\w+/")


def _is_short(value: str) -> str:
    if len(value) > 300:
        raise ValueError("is longer than 300 characters")
    if _leading.search(visible(value)) or re.search(r"[\x00-\x08\x0b-\x1f]", value):
        raise ValueError("must not hold links or control characters")
    return " ".join(visible(value).split())


def _are_tags(value: list[str]) -> list[str]:
    if len(value) > MAX_TAGS:
        raise ValueError(f"must be at most {MAX_TAGS}")
    for tag in value:
        if not re.fullmatch(r"[^\W_][\w+#.-]{0,39}", tag):
            raise ValueError("must be words joined by hyphens, of at most 40 characters")
    return list(dict.fromkeys(tag.lower() for tag in value))


def _is_language(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}", value):
        raise ValueError("must be a language code of ISO 639")
    return value


Probability = Annotated[float, AfterValidator(_is_probability)]
Short = Annotated[str, AfterValidator(_is_short)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def answer_type(taxonomy: Taxonomy) -> type[BaseModel]:
    """The type a valid answer has; its closed fields take the values of this taxonomy alone.

    Every field is optional: a question names those it wants. A field without values to choose from is not there.
    """
    return _answer_type(
        tuple(taxonomy.values("category") or ()),
        tuple(taxonomy.values("team") or ()),
        tuple(taxonomy.values("component") or ()),
    )


@lru_cache(maxsize=8)
def _answer_type(categories: tuple[str, ...], teams: tuple[str, ...], components: tuple[str, ...]) -> type[BaseModel]:
    closed: dict[str, Any] = {
        "category": Literal[categories] if categories else None,
        "priority": Literal[PRIORITIES],
        "team": Literal[teams] if teams else None,
        "tier": Literal[TIERS],
        "severity": Literal[SEVERITIES],
        "effort": Literal[EFFORTS],
        "component": Literal[(*components, None)] if components else None,
        "sentiment": Literal[SENTIMENTS],
        "is_technical": bool,
    }
    fields: dict[str, Any] = {
        name: (
            create_model(
                name, __base__=_Strict, value=(values, ...), confidence=(Probability, ...), reason=(Short, ...)
            ),
            None,
        )
        for name, values in closed.items()
        if values is not None
    }
    fields["tags"] = (Annotated[list[str], AfterValidator(_are_tags)], Field(None, description="At most 5."))
    fields["language"] = (Annotated[str, AfterValidator(_is_language)], None)
    fields["summary"] = (Short, None)
    return cast(type[BaseModel], create_model("Answer", __base__=_Strict, **fields))


@lru_cache(maxsize=8)
def json_schema(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of the type, references put in place and titles left out: shorter, and more servers take it."""
    schema = kind.model_json_schema()
    definitions = schema.pop("$defs", {})

    def settled(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return settled(definitions[node["$ref"].rsplit("/", 1)[-1]])
            return {key: settled(value) for key, value in node.items() if not _is_noise(key, value)}
        return [settled(item) for item in node] if isinstance(node, list) else node

    return cast(dict[str, Any], settled(schema))


def _is_noise(key: str, value: Any) -> bool:
    """A title, or the default of an optional field: nothing that an answer needs to know."""
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)


def _parse(kind: type[BaseModel], reply: AskedModel, wanted: Sequence[FieldName]) -> BaseModel:
    """The checked answer, taken out of a fence or of prose around it. Raises ValueError."""
    if reply.stop_reason == "refusal":
        raise NoAnswer("it declined")
    if len(reply.text) > MAX_ANSWER:
        raise ValueError("The answer is far too long.")
    wrong = ""
    for text in _objects(reply.text):
        try:
            said = kind.model_validate_json(text)
        except ValidationError as problem:
            lines = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in problem.errors()[:12]]
            wrong = wrong or "\n".join(lines)
            continue
        missing = [name for name in wanted if name not in said.model_fields_set]
        if not missing:
            return said
        wrong = wrong or "\n".join(f"{name}: Field required" for name in missing)
    raise ValueError(wrong or "There is no JSON object in the answer.")


def _objects(text: str) -> Iterator[str]:
    """The JSON objects that stand in a text, in their order, none within another. Raises ValueError on depth."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    for _ in range(_MOST_OBJECTS):
        if at < 0:
            return
        try:
            _, end = decoder.raw_decode(text, at)
        except RecursionError as problem:
            raise ValueError("The answer is nested too deeply.") from problem
        except ValueError:
            at = text.find("{", at + 1)
        else:
            yield text[at:end]
            at = text.find("{", end)


def _repair(question: Question, reply: AskedModel, problem: ValueError) -> Question:
    prompt = prompts.load("repair")
    parts = [
        f"The schema:\n{json.dumps(question.schema, ensure_ascii=False)}",
        f"What was wrong:\n{str(problem)[:1_500]}",
        prompts.fenced("answer", reply.text[:4_000]),
        "The ticket it was about:",
        question.user,
    ]
    return Question(
        operation="repair",
        system=f"{prompt.text.strip()}\n\n{question.system}",
        user="\n\n".join(parts),
        prompt_version=prompt.version,
        max_tokens=question.max_tokens,
        schema=question.schema,
        names=question.names,
        subject_kind=question.subject_kind,
        subject_id=question.subject_id,
        masking=question.masking,
    )


def _readings(said: BaseModel, wanted: Sequence[FieldName]) -> dict[FieldName, FieldReading]:
    readings: dict[FieldName, FieldReading] = {}
    for name in wanted:
        value = getattr(said, name)
        if isinstance(value, BaseModel):
            stated = cast(Any, value)
            reading = FieldReading(stated.value, stated.confidence, _sentence(stated.reason), "model")
        else:
            kept: FieldValue = tuple(value) if isinstance(value, list) else value
            reading = FieldReading(kept, _UNSTATED, "As the model reads it.", "model")
        readings[name] = reading
    return readings


def _sentence(reason: str) -> str:
    return reason if not reason or reason[-1] in ".!?" else f"{reason}."


def _taxonomy_text(taxonomy: Taxonomy) -> dict[str, str]:
    def listed(labels: Iterable[Label]) -> str:
        return "\n".join(f"- {label.key}: {label.description}" for label in labels) or "- none"

    return {
        "categories": listed(taxonomy.categories),
        "teams": listed(taxonomy.teams),
        "components": listed(taxonomy.components),
    }


def _examples(context: Context) -> list[str]:
    nearest = sorted(context.examples, key=lambda example: -example.similarity)[:MAX_EXAMPLES]
    parts = []
    for example in nearest:
        labels = ", ".join(f"{name} {value}" for name, value in example.labels.items() if isinstance(value, str | int))
        parts.append(f"{prompts.fenced('example', example.text[:400])}\nA person decided: {labels}")
    return parts
