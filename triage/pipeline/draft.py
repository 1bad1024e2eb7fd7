"""Step three: the first version of the reply, by the model or from templates. A person reads it first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from triage import prompts
from triage.engines.model import ticket_text
from triage.pipeline.replies.quotation import citation, cleared, nearest
from triage.pipeline.replies.template import ended, from_template, held
from triage.pipeline.types import Ask, Context, Drafted, Inquiry, NoAnswer, Question, Readings

# The model may learn from answers that are only akin; it does not quote them.
_AKIN = 0.55
MAX_TOKENS = 1_024
MAX_DRAFT = 6_000
_link = re.compile(r"(?:https?://|www\.)[^\s<>()\"']+|[\w.+-]+@[\w-]+\.[\w.-]+", re.IGNORECASE)
_promise = re.compile(
    r"\b(?:we|i|you)(?:'ll| will) (?:\w+ ){0,3}(?:refund|credit|compensat\w+|reimburs\w+)\b"
    r"|\bguarantee[ds]?\b|\bwe promise\b"
    r"|\bwill be (?:fixed|resolved|refunded|ready|released|delivered) (?:by|on|within|before|today|tomorrow)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft and how it came about."""

    draft: Drafted
    model: str = ""
    prompt_version: str = ""
    notes: tuple[str, ...] = ()


Fields = Readings


async def draft(inquiry: Inquiry, fields: Fields, context: Context) -> Draft:
    """Ask the model when there is one; without it, or without an answer, fill the templates."""
    notes: tuple[str, ...] = ()
    if context.ask is not None and context.engine in ("cascade", "model"):
        try:
            return await _by_model(inquiry, fields, context, context.ask)
        except NoAnswer as problem:
            notes = (f"The model wrote no draft: {problem}",)
    return Draft(from_template(inquiry, fields, context), notes=notes)


async def _by_model(inquiry: Inquiry, fields: Fields, context: Context, ask: Ask) -> Draft:
    prompt = prompts.load("draft")
    akin = [answer for answer in nearest(context.answers) if answer.similarity >= _AKIN][:2]
    earlier = [cleared(answer) for answer in akin]
    guidance = f"Read as: {held(fields, 'category', 'other')}, {held(fields, 'priority', 'P3')}.\n{context.guidance}"
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
            names=(inquiry.requester_name,) if inquiry.requester_name else (),
            subject_kind=inquiry.subject_kind,
            subject_id=inquiry.subject_id,
        )
    )
    text = _tidy(reply.text)
    if reply.stop_reason == "refusal" or len(text) < 20:
        raise NoAnswer("it declined or wrote nothing")
    if reply.stop_reason == "max_tokens" or len(text) > MAX_DRAFT:
        raise NoAnswer("its draft had no end")
    drafted = Drafted(ended([text], fields, context), "model", tuple(citation(answer) for answer in akin))
    return Draft(drafted, reply.model, prompt.version, _warnings(text, inquiry, earlier))


def _warnings(text: str, inquiry: Inquiry, earlier: Sequence[str]) -> tuple[str, ...]:
    """What the person who approves should look at twice."""
    known = "\n".join([inquiry.subject, *(turn.text for turn in inquiry.turns), *earlier]).lower()
    links = dict.fromkeys(match.group().rstrip(".,;:") for match in _link.finditer(text))
    notes = [f"The draft names an address that nobody gave: {link}" for link in links if link.lower() not in known]
    promise = _promise.search(text)
    if promise:
        notes.append(f"The draft may promise something: \u201c{promise.group()}\u201d")
    return tuple(notes)


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[\x00-\x08\x0b-\x1f]", "", text)).strip()
