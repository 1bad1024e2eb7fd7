"""Who reads a ticket: the engines in force, or another engine, model, prompt or fit that is being tried."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from string import Template

from tickets.models import Replay, ReplayTicket, Ticket
from tickets.models.choices import ReadWith
from triage import batches, calls
from triage.engines.local import LocalEngine
from triage.engines.weights import Unreadable, from_bytes
from triage.models import Artifact
from triage.pipeline import listen
from triage.pipeline.classify import classify
from triage.pipeline.types import AskedModel, Context, Inquiry, NoAnswer, Question
from triage.prompts import Prompt

PLACES = ("categories", "teams", "components", "guidance")


class Gone(Exception):
    """What is to read is not there: the sentence says what."""


@dataclass(frozen=True, slots=True)
class Reader:
    """An engine, and what of it is other than in force. All empty: as the desk reads."""

    engine: str = ReadWith.CASCADE
    model: str = ""
    prompt: str = ""
    fit: int | None = None
    fit_version: str = ""

    @classmethod
    def of(cls, replay: Replay) -> Reader:
        return cls(replay.engine, replay.model, replay.prompt, replay.fit_id, replay.fit_version)

    @property
    def may_ask_model(self) -> bool:
        return self.engine in (ReadWith.CASCADE, ReadWith.MODEL) and calls.configured()

    def over(self, gathered: Context) -> Context:
        """What a reading by this reader leans on. It drafts nothing. Raises Gone."""
        context = replace(gathered, engine=self.engine, want_draft=False)  # type: ignore[arg-type]
        if self.fit_version:
            context = replace(context, local=_fit(self.fit) if self.fit else _gone(self.fit_version))
        if self.model and context.ask is not None:
            context = replace(context, ask=partial(calls.ask, model=self.model))
        if self.prompt:
            context = replace(context, prompt=prompt_of(self.prompt))
        return context


def prompt_of(text: str) -> Prompt:
    """A prompt to be tried, its version told from those that ship."""
    return Prompt("classify", text, f"trial-{hashlib.sha256(text.encode()).hexdigest()[:12]}")


def flaw_in(prompt: str) -> str:
    """Why this text cannot be the prompt for sorting, in a sentence; empty when it can."""
    template = Template(prompt)
    if not template.is_valid():
        return "It holds a $ that stands for nothing. Write $$ for the sign itself."
    named = set(template.get_identifiers())
    if unknown := sorted(named - set(PLACES)):
        return f"${unknown[0]} stands for nothing. It may hold {', '.join(f'${place}' for place in PLACES)}."
    missing = [f"${place}" for place in PLACES[:2] if place not in named]
    return f"It lacks {' and '.join(missing)}: the model would not know the labels." if missing else ""


def _gone(version: str) -> LocalEngine:
    raise Gone(f"The fit {version[:12]} is not kept any more")


@lru_cache(maxsize=2)
def _fit(pk: int) -> LocalEngine:
    """The local engine of a fit that is not in force; a megabyte to load, so the last two stay."""
    artifact = Artifact.objects.filter(pk=pk).first()
    if artifact is None:
        raise Gone("The fit is not kept any more")
    try:
        return LocalEngine(from_bytes(bytes(artifact.payload)), artifact.version)
    except Unreadable as problem:
        raise Gone(f"The fit {artifact.version[:12]} cannot be read: {problem}") from problem


class _Asked(Exception):
    """Carries the question out of a reading that was only begun to have it."""

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question


async def question_for(inquiry: Inquiry, context: Context) -> Question | None:
    """What the model would be asked to sort this inquiry, not asked; None where the other engines know enough, or
    there is nothing to read.

    It asks for every field: by the time a batch comes back, others may be in doubt than now.
    """

    async def carry_out(question: Question) -> AskedModel:
        raise _Asked(question)

    heard = await asyncio.to_thread(listen, inquiry, context)
    if not heard.readable:
        return None
    try:
        await classify(inquiry, replace(context, ask=carry_out), heard)
    except _Asked:
        pass
    else:
        return None
    try:
        await classify(inquiry, replace(context, ask=carry_out, engine="model"), heard)
    except _Asked as asked:
        return asked.question
    raise NoAnswer("the model would not be asked about it")


def with_answer(context: Context, ticket: Ticket) -> Context:
    """The context of a ticket whose answer came back with a batch: no other is asked for.

    An answer that breaks the schema is not repaired: the next engine reads. The draft comes from the templates unless
    the replay wants the model's.
    """
    row = (
        ReplayTicket.objects.filter(ticket=ticket, state=ReplayTicket.State.HANDED, request__isnull=False)
        .select_related("request", "replay")
        .order_by("-pk")
        .first()
    )
    if row is None or row.request is None:
        return replace(context, engine="local")
    request, live = row.request, context.ask if row.replay.drafts else None

    async def ask(question: Question) -> AskedModel:
        if question.operation == "classify":
            return batches.answer(request)
        if question.operation == "draft" and live is not None:
            return await live(question)
        raise NoAnswer("its batch holds no other answer")

    return replace(context, engine=row.replay.engine, ask=ask)  # type: ignore[arg-type]
