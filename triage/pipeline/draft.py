"""Step three: the first version of the reply, by the model or from templates. A person reads it first."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from triage import prompts
from triage.engines.model import ticket_text
from triage.flags import visible
from triage.mask import redact
from triage.pipeline.types import (
    Answered,
    Ask,
    Context,
    Drafted,
    FieldName,
    FieldReading,
    Inquiry,
    NoAnswer,
    Question,
)

# From here on two tickets have one cause often enough to show the old answer: of 4,548 bug reports, pairs at this
# cosine were duplicates in four of five cases.
ANSWER_LIKENESS = 0.82
# The model may learn from answers that are only akin; it does not quote them.
_AKIN = 0.55
MAX_TOKENS = 1_024
MAX_DRAFT = 6_000
MAX_QUOTE = 1_500
_REPLIES = Path(__file__).with_name("replies.json")
GREETING = re.compile(r"(?:hello|hi|hey|dear|good (?:morning|afternoon|evening))\b[^\n]{0,60}[,.!:]?", re.IGNORECASE)
_farewell = re.compile(
    r"(?:kind|best|warm) regards\b.*|(?:regards|cheers|sincerely|best wishes)\W*(?:\n.*)?", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft and how it came about."""

    draft: Drafted
    model: str = ""
    prompt_version: str = ""
    notes: tuple[str, ...] = ()


Fields = Mapping[FieldName, FieldReading]


async def draft(inquiry: Inquiry, fields: Fields, context: Context) -> Draft:
    """Ask the model when there is one; without it, or without an answer, fill the templates."""
    notes: tuple[str, ...] = ()
    if context.ask is not None and context.engine in ("cascade", "model"):
        try:
            return await _by_model(inquiry, fields, context, context.ask)
        except NoAnswer as problem:
            notes = (f"The model wrote no draft: {problem}",)
    return Draft(from_template(inquiry, fields, context), notes=notes)


def from_template(inquiry: Inquiry, fields: Fields, context: Context) -> Drafted:
    """A reply by category, sentiment and priority, quoting the answer that helped a ticket like this one."""
    replies = _replies()
    category = _held(fields, "category", "other")
    sentiment = _held(fields, "sentiment", "neutral")
    priority = _held(fields, "priority", "P3")
    quoted, citations = _quotation(context.answers)
    paragraphs = [
        hello(inquiry.requester_name),
        replies["opening"].get(sentiment, replies["opening"]["neutral"]),
        *quoted,
        replies["body"].get(category, replies["body"]["other"]),
        replies["priority"].get(priority, ""),
        replies["closing"],
    ]
    return Drafted(_ended(paragraphs, fields, context), "template", citations)


def sla_sentence(priority: str, sla_hours: Mapping[str, float]) -> str:
    """When the customer hears from a person, in words; empty without a target for this priority."""
    hours = sla_hours.get(priority)
    if not hours:
        return ""
    return str(_replies()["sla"]).format(time=_in_words(hours))


async def _by_model(inquiry: Inquiry, fields: Fields, context: Context, ask: Ask) -> Draft:
    prompt = prompts.load("draft")
    akin = [answer for answer in _nearest(context.answers) if answer.similarity >= _AKIN][:2]
    earlier = [_cleared(answer) for answer in akin]
    guidance = f"Read as: {_held(fields, 'category', 'other')}, {_held(fields, 'priority', 'P3')}.\n{context.guidance}"
    reply = await ask(
        Question(
            operation="draft",
            system=prompt.fill(guidance=guidance),
            user="\n\n".join(
                [
                    *(prompts.fenced("earlier reply to a similar ticket", text) for text in earlier if text),
                    "Write the reply.",
                    prompts.fenced("conversation", ticket_text(inquiry)),
                ]
            ),
            prompt_version=prompt.version,
            max_tokens=MAX_TOKENS,
            names=inquiry.names,
            subject_kind=inquiry.subject_kind,
            subject_id=inquiry.subject_id,
            masking=inquiry.masking,
        )
    )
    text = _tidy(reply.text)
    if reply.stop_reason == "refusal" or len(text) < 20:
        raise NoAnswer("it declined or wrote nothing")
    if reply.stop_reason == "max_tokens" or len(text) > MAX_DRAFT:
        raise NoAnswer("its draft had no end")
    citations = tuple(
        {"ticket": answer.number, "subject": answer.subject, "similarity": answer.similarity} for answer in akin
    )
    drafted = Drafted(_ended([text], fields, context), "model", citations)
    return Draft(drafted, reply.model, prompt.version)


def _ended(paragraphs: Sequence[str], fields: Fields, context: Context) -> str:
    """The paragraphs, the sentence on the SLA last. The channel adds the signature of its source when it sends."""
    sla = sla_sentence(_held(fields, "priority", "P3"), context.sla_hours)
    kept = [part.strip().removesuffix(sla).strip() if sla else part.strip() for part in paragraphs]
    return visible("\n\n".join(part for part in [*kept, sla] if part))


def _quotation(answers: Sequence[Answered]) -> tuple[list[str], tuple[Mapping[str, Any], ...]]:
    for answer in _nearest(answers):
        if answer.similarity < ANSWER_LIKENESS:
            break
        text = _cleared(answer)
        if text:
            quote = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
            citation = {"ticket": answer.number, "subject": answer.subject, "similarity": answer.similarity}
            return [_replies()["answer_intro"], quote], (citation,)
    return [], ()


def _cleared(answer: Answered) -> str:
    """What an old reply said, without its greeting, farewell and phrases of ours, and without its customer."""
    kept = []
    for paragraph in re.split(r"\n\s*\n", answer.reply[:MAX_DRAFT]):
        text = paragraph.strip()
        if not text or text in _phrases() or text.startswith(">"):
            continue
        if GREETING.fullmatch(text) or _farewell.fullmatch(text) or _is_sla(text):
            continue
        kept.append(text)
    return redact("\n\n".join(kept)[:MAX_QUOTE], answer.names).strip()


def _nearest(answers: Sequence[Answered]) -> list[Answered]:
    return sorted(answers, key=lambda answer: -answer.similarity)


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", visible(text.replace("\r\n", "\n"))).strip()


def _held(fields: Fields, name: FieldName, otherwise: str) -> str:
    reading = fields.get(name)
    return (
        str(reading.value) if reading is not None and reading.value is not None and reading.band != "ask" else otherwise
    )


def hello(name: str) -> str:
    """The first line of a letter, with the name where it looks like one."""
    plain = " ".join(name.split())
    greeting = _replies()["greeting"]
    # A name is put into a letter only when it looks like one: no addresses, links or markup.
    if 1 < len(plain) <= 60 and all(part.isalpha() for part in re.split(r"[ .'\u2019-]+", plain) if part):
        return str(greeting["named"]).format(name=plain)
    return str(greeting["unnamed"])


def _in_words(hours: float) -> str:
    if hours < 1:
        return f"{round(hours * 60)} minutes"
    if hours > 72 and hours % 24 == 0:
        return f"{round(hours / 24)} days"
    return "1 hour" if hours == 1 else f"{hours:g} hours"


def _is_sla(paragraph: str) -> bool:
    before, _, after = str(_replies()["sla"]).partition("{time}")
    return paragraph.startswith(before) and paragraph.endswith(after)


@lru_cache(maxsize=1)
def _replies() -> dict[str, Any]:
    replies: dict[str, Any] = json.loads(_REPLIES.read_text(encoding="utf-8"))
    return replies


@lru_cache(maxsize=1)
def _phrases() -> frozenset[str]:
    """Every paragraph of the templates: an old reply made of them alone answers nothing."""
    replies = _replies()
    texts = [replies["answer_intro"], replies["closing"]]
    for part in ("opening", "body", "priority"):
        texts.extend(replies[part].values())
    return frozenset(paragraph.strip() for text in texts for paragraph in text.split("\n\n"))
