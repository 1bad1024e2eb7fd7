"""Text in, typed verdict out. This file is the table of contents; each step is a file of its own."""

from __future__ import annotations

import asyncio

from triage.pipeline.classify import Classified, classify
from triage.pipeline.decide import decide, readable, unreadable
from triage.pipeline.draft import draft
from triage.pipeline.types import Context, Inquiry, Verdict

__all__ = ["read"]


async def read(inquiry: Inquiry, context: Context) -> Verdict:
    """What the machine thinks of one inquiry. Raises nothing on account of the text or of a model's answer."""
    if await asyncio.to_thread(readable, inquiry):
        classified = await classify(inquiry, context)
        decided = decide(inquiry, classified, context)
    else:
        classified = Classified({})
        decided = unreadable(inquiry)
    drafted = await draft(inquiry, decided.fields, context) if context.want_draft else None
    return Verdict(
        fields=decided.fields,
        escalated=decided.escalated,
        escalation_reason=decided.reason,
        draft=drafted.draft if drafted else None,
        model=classified.model or (drafted.model if drafted else ""),
        prompt_version=classified.prompt_version or (drafted.prompt_version if drafted else ""),
        complete=classified.complete,
        notes=(*classified.notes, *(drafted.notes if drafted else ())),
    )
