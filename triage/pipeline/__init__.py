"""Text in, typed verdict out. This file is the table of contents; each step is a file of its own."""

from __future__ import annotations

import asyncio

from triage.pipeline.classify import Classified, Heard, classify, listen
from triage.pipeline.decide import decide, unreadable
from triage.pipeline.draft import Draft, Fields, draft
from triage.pipeline.repeat import classify_again, draft_again
from triage.pipeline.types import Context, Inquiry, Verdict

__all__ = ["Heard", "listen", "read"]


async def read(inquiry: Inquiry, context: Context, heard: Heard | None = None) -> Verdict:
    """What the machine thinks of one inquiry. Raises nothing on account of the text or of a model's answer.

    `heard` is what `listen` gave for them, where that was done in a thread already.
    """
    if heard is None:
        heard = await asyncio.to_thread(listen, inquiry, context)
    if heard.readable:
        again = context.earlier
        classified = classify_again(again, heard) if again else await classify(inquiry, context, heard)
        decided = decide(inquiry, classified, context)
    else:
        classified = Classified({})
        decided = unreadable(inquiry)
    drafted = await _drafted(inquiry, decided.fields, context) if context.want_draft else None
    return Verdict(
        fields=decided.fields,
        escalated=decided.escalated,
        escalation_reason=decided.reason,
        draft=drafted.draft if drafted else None,
        model=classified.model or (drafted.model if drafted else ""),
        prompt_version=classified.prompt_version or (drafted.prompt_version if drafted else ""),
        complete=classified.complete,
        withheld=classified.withheld,
        repeat_of=context.earlier.number if context.earlier else None,
        notes=(*classified.notes, *(drafted.notes if drafted else ())),
    )


async def _drafted(inquiry: Inquiry, fields: Fields, context: Context) -> Draft:
    if context.earlier is not None:
        return draft_again(inquiry, fields, context, context.earlier)
    return await draft(inquiry, fields, context)
