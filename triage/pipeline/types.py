"""What the pipeline reads and what it answers: frozen values, no Django, no database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from triage.embedding.clean import MAX_RAW, TURN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triage.prompts import Prompt

    Vector = NDArray[np.float32]

FieldName = Literal[
    "category",
    "priority",
    "team",
    "tier",
    "severity",
    "effort",
    "component",
    "sentiment",
    "tags",
    "language",
    "summary",
    "is_technical",
]
FIELDS: tuple[FieldName, ...] = (
    "category",
    "priority",
    "team",
    "tier",
    "severity",
    "effort",
    "component",
    "sentiment",
    "tags",
    "language",
    "summary",
    "is_technical",
)
PRIORITIES = ("P1", "P2", "P3", "P4")
TIERS = (1, 2, 3)
SEVERITIES = ("minor", "major", "critical", "blocker")
EFFORTS = ("small", "medium", "large", "extra-large")
SENTIMENTS = ("positive", "neutral", "negative", "urgent")
MAX_TAGS = 5
MANUAL_REVIEW = "manual_review"

Band = Literal["apply", "suggest", "ask"]
EngineName = Literal["local", "model", "rules"]
FieldValue = str | int | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Label:
    """One member of the taxonomy: a category, team or component."""

    key: str
    name: str
    description: str
    aliases: tuple[str, ...] = ()
    default_team: str | None = None


@dataclass(frozen=True, slots=True)
class Taxonomy:
    categories: tuple[Label, ...]
    teams: tuple[Label, ...]
    components: tuple[Label, ...]

    def values(self, name: FieldName) -> tuple[Any, ...] | None:
        """The closed set of values a field may take, or None where it is free text."""
        closed: dict[str, tuple[Any, ...]] = {
            "category": tuple(label.key for label in self.categories),
            "team": tuple(label.key for label in self.teams),
            "component": tuple(label.key for label in self.components),
            "priority": PRIORITIES,
            "tier": TIERS,
            "severity": SEVERITIES,
            "effort": EFFORTS,
            "sentiment": SENTIMENTS,
            "is_technical": (True, False),
        }
        return closed.get(name)


@dataclass(frozen=True, slots=True)
class Turn:
    """One text of the conversation, oldest first in an Inquiry."""

    author: Literal["customer", "agent"]
    text: str


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is read: the subject and the whole conversation of one ticket, or one bare text."""

    subject: str
    turns: tuple[Turn, ...]
    source: str = ""
    requester_name: str = ""
    requester_email: str = ""
    submitted_priority: str | None = None
    submitted_tier: int | None = None
    subject_kind: str = ""
    subject_id: str = ""
    masking: bool = True
    others: tuple[str, ...] = ()  # what those are called who wrote beside the requester
    link_follows: bool = True  # whether the channel ends a reply with a link to the customer's own page

    @property
    def names(self) -> tuple[str, ...]:
        """What everybody is called who wrote here."""
        return tuple(filter(None, (self.requester_name, *self.others)))

    @property
    def text(self) -> str:
        """The customer's own words, subject first: what is embedded, and what the local engine and the rules read.

        Form feeds part the turns, so that cleaning ends a quote or a signature with its own message. Each turn is cut
        at what cleaning reads of it.
        """
        own = [turn.text[:MAX_RAW] for turn in self.turns if turn.author == "customer"]
        return f"\n{TURN}\n".join([self.subject[:MAX_RAW], *own])


@dataclass(frozen=True, slots=True)
class Decided:
    """A text whose labels a person decided: an example for the model and for its neighbours."""

    text: str  # empty where no model can be asked
    labels: Mapping[FieldName, FieldValue]
    similarity: float
    number: int = 0  # the ticket it comes from


@dataclass(frozen=True, slots=True)
class Answered:
    """A resolved ticket like this one, with the reply that a person approved."""

    number: int
    subject: str
    reply: str
    similarity: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldReading:
    """What one engine thinks of one field. `confidence` is a calibrated probability, 0 to 1.

    `because` are the numbers of the decided tickets that speak for the value, nearest first. They stand apart from the
    reason, for not everybody who reads it may know of those tickets. `withheld`: sure enough to be applied, but the
    audit sample has shown that too little of what was applied is right.
    """

    value: FieldValue
    confidence: float
    reason: str
    engine: EngineName
    band: Band = "suggest"
    because: tuple[int, ...] = ()
    withheld: bool = False


Readings = Mapping[FieldName, FieldReading]


@dataclass(frozen=True, slots=True)
class AskedModel:
    """The answer of one model call, as much of it as the pipeline may know."""

    text: str
    model: str
    stop_reason: str
    call_id: int | None
    cost_usd: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """One request to a language model. `schema` is a JSON schema the answer must follow, or None for prose.

    Without `masking` it leaves as it is.
    """

    operation: Literal["classify", "draft", "summary", "repair"]
    system: str
    user: str
    prompt_version: str
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    names: tuple[str, ...] = ()
    subject_kind: str = ""
    subject_id: str = ""
    masking: bool = True


Ask = Callable[[Question], Awaitable[AskedModel]]


class NoAnswer(Exception):
    """No model can answer now (no key, budget spent, breaker open, refused, timed out). Use the next engine."""


class LocalReader(Protocol):
    """A loaded local engine; `triage.engines.local` is the one that ships."""

    @property
    def version(self) -> str:
        """Which fit this is: the hash of its artifact."""

    @property
    def suggested_only(self) -> frozenset[str]:
        """The fields that it reads and never applies: too little was decided, or the audit sample stopped them."""

    def read(self, inquiry: Inquiry, vector: Vector, taxonomy: Taxonomy, examples: Sequence[Decided] = ()) -> Readings:
        """A reading for every field this engine knows; fields it can not judge are left out.

        `examples` are the nearest decided texts: what is like one of them is not new.
        """


@dataclass(frozen=True, slots=True)
class Drafted:
    text: str
    engine: Literal["model", "template"]
    citations: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the same text was read as before, on ticket `number`, people's decisions put in.

    `draft` is one that this requester may see, `notes` what is to be said about it; without one the templates serve.
    """

    number: int
    readings: Readings
    draft: Drafted | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a reading may lean on; gathered by the caller, so that the pipeline needs no database.

    `local` is a loaded local engine or None; `ask` is `triage.calls.ask` or None when no model is configured;
    `vector` is the embedding of the cleaned text, 384 float32, unit length; `prompt` stands in for the one that ships,
    where another is tried.
    """

    taxonomy: Taxonomy
    vector: Vector | None = None
    local: LocalReader | None = None
    ask: Ask | None = None
    examples: Sequence[Decided] = ()
    answers: Sequence[Answered] = ()
    sla_hours: Mapping[str, float] = field(default_factory=dict)
    guidance: str = ""
    escalate_below: float = 0.7
    want_draft: bool = True
    engine: Literal["cascade", "local", "model", "rules"] = "cascade"
    prompt: Prompt | None = None
    earlier: Earlier | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the machine thinks of a ticket: a reading for each field, whether a person must look first, a draft.

    `withheld` is what the local engine would have applied of the fields that the audit sample stopped.
    """

    fields: Mapping[FieldName, FieldReading]
    escalated: bool
    escalation_reason: str
    draft: Drafted | None
    model: str = ""
    prompt_version: str = ""
    notes: tuple[str, ...] = ()
    complete: bool = True  # False: an engine that should have read it could not
    repeat_of: int | None = None
    withheld: Mapping[FieldName, FieldValue] = field(default_factory=dict)

    @property
    def confidence(self) -> float:
        """The figure a queue shows: how sure the category is."""
        reading = self.fields.get("category")
        return reading.confidence if reading else 0.0
