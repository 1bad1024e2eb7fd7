"""A taxonomy as a desk has it, a local engine fitted on the starter set, and a model that answers what a test wants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import pytest

from triage.embedding import embed
from triage.engines.local import LocalEngine
from triage.engines.weights import from_bytes, version_of
from triage.learning import starter
from triage.learning.payload import starter_fit
from triage.pipeline.types import AskedModel, Context, FieldName, Inquiry, Label, Question, Taxonomy, Turn

SLA = {"P1": 1.0, "P2": 4.0, "P3": 24.0, "P4": 72.0}
DEFAULT_TEAMS = {"bug": "software", "access": "security", "billing": "billing", "question": "product"}


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    """The labels of the starter set, as a desk would hold them."""

    def labels(name: FieldName) -> tuple[Label, ...]:
        keys = sorted({str(row.labels[name]) for row in starter.rows() if row.labels[name] is not None})
        return tuple(Label(key, key.title(), f"All about {key}.", (), DEFAULT_TEAMS.get(key)) for key in keys)

    return Taxonomy(labels("category"), labels("team"), labels("component"))


@pytest.fixture(scope="session")
def payload() -> bytes:
    return starter_fit()[0]


@pytest.fixture(scope="session")
def local(payload: bytes) -> LocalEngine:
    return LocalEngine(from_bytes(payload), version_of(payload))


@pytest.fixture
def desk(taxonomy: Taxonomy) -> Context:
    """Rules alone: no artifact, no model."""
    return Context(taxonomy, sla_hours=SLA)


Write = Callable[..., Inquiry]


@pytest.fixture
def write() -> Write:
    def inquiry(subject: str, *texts: str, **more: str) -> Inquiry:
        return Inquiry(subject, tuple(Turn("customer", text) for text in texts), **more)  # type: ignore[arg-type]

    return inquiry


@pytest.fixture
def locally(local: LocalEngine, taxonomy: Taxonomy) -> Callable[[Inquiry], Context]:
    """What a reading by the local engine leans on."""

    def make(inquiry: Inquiry) -> Context:
        return Context(taxonomy, vector=embed(inquiry.text), local=local, sla_hours=SLA)

    return make


class Model:
    """Answers each operation with the next text prepared for it, the last one again and again; keeps the questions."""

    def __init__(self, answers: Mapping[str, list[str]], stop_reason: str = "end_turn") -> None:
        self.answers = {operation: list(texts) for operation, texts in answers.items()}
        self.stop_reason = stop_reason
        self.questions: list[Question] = []

    def __call__(self, question: Question) -> Awaitable[AskedModel]:
        self.questions.append(question)
        return self._answer(question)

    async def _answer(self, question: Question) -> AskedModel:
        texts = self.answers[question.operation]
        text = texts.pop(0) if len(texts) > 1 else texts[0]
        return AskedModel(text, "claude-haiku-5-5", self.stop_reason, call_id=len(self.questions), cost_usd="0.0001")

    @property
    def operations(self) -> list[str]:
        return [question.operation for question in self.questions]
