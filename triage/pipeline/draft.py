"""Step three: the first version of the reply, by the model or from templates. A person reads it first."""

from __future__ import annotations

import re
from dataclasses import dataclass

from triage import prompts
from triage.engines.model import ticket_text
from triage.flags import visible
from triage.pipeline.replies.quotation import citation, cleared, nearest
from triage.pipeline.replies.template import ended, from_template, held
from triage.pipeline.types import Ask, Context, Drafted, Inquiry, NoAnswer, Question, Readings

# The model may learn from answers that are only akin; it does not quote them.
_AKIN = 0.55
MAX_TOKENS = 1_024
MAX_DRAFT = 6_000


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
    drafted = Drafted(ended([text], fields, context), "model", tuple(citation(answer) for answer in akin))
    return Draft(drafted, reply.model, prompt.version)


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", visible(text.replace("\r\n", "\n"))).strip()
