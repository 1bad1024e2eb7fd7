"""What the API takes and gives, as its documentation shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    StrictBool,
    StrictInt,
)
from pydantic_core import PydanticCustomError

from tickets.channels.api.pages import DEFAULT, MOST
from tickets.channels.base import (
    Body,
    Key,
    Line,
    PersonName,
    PriorityWord,
    RequiredAddress,
    TierNumber,
    Title,
    clean_line,
)
from tickets.models import Tier

StatusWord = Literal["new", "in_review", "escalated", "waiting", "resolved", "closed"]
StateWord = Literal["submitted", "processing", "triaged", "failed"]
BandWord = Literal["apply", "suggest", "ask"]
EngineWord = Literal["local", "model", "rules", "rule", "person"]
PriorityCode = Literal["P1", "P2", "P3", "P4"]
MOST_AT_ONCE = 1_000  # tickets of one call
Words = Annotated[str, BeforeValidator(clean_line)]


class Given(BaseModel):
    """A body. A field that is not known is refused: it is a misspelling more often than not."""

    model_config = ConfigDict(extra="forbid")


WORDS: dict[str, Any] = {"minLength": 1}  # the upper limits hold for what is left of a text when it is cleaned
PRIORITY: dict[str, Any] = {"examples": ["P1", "high"]}
TIER: dict[str, Any] = {"enum": [*Tier.values, None]}


class RequesterIn(Given):
    email: RequiredAddress = Field(json_schema_extra={"format": "email"})
    name: PersonName | None = ""


class NewTicket(Given):
    title: Title = Field(description="Up to 300 characters", json_schema_extra=WORDS)
    description: Body = Field(description="Up to 100,000 characters", json_schema_extra=WORDS)
    requester: RequesterIn | None = None
    priority: PriorityWord = Field(
        None, description="P1 to P4, or urgent, high, medium, normal, low", json_schema_extra=PRIORITY
    )
    tier: TierNumber = Field(None, description="1, 2 or 3", json_schema_extra=TIER)
    external_id: Key | None = Field("", description="Your own id; the same one again gives the first ticket back")
    source: Line | None = Field(None, description="The name of a source; the key's own by default")


class BulkTicket(NewTicket):
    idempotency_key: Key | None = Field("", description="As the header Idempotency-Key, for this ticket alone")


class NewTickets(Given):
    """Each ticket is looked at for itself, and its own result says what is wrong with it."""

    tickets: Annotated[list[Annotated[BulkTicket, SkipValidation]], Field(min_length=1, max_length=MOST_AT_ONCE)]


class TicketChange(Given):
    """Status, assignee, and any field that is decided. A value set here is a person's: no engine overwrites it."""

    status: StatusWord | None = None
    category: str | None = None
    priority: str | None = None
    team: str | None = None
    tier: StrictInt | None = None
    severity: str | None = None
    effort: str | None = None
    component: str | None = None
    sentiment: str | None = None
    tags: list[str] | None = None
    language: str | None = None
    summary: str | None = None
    is_technical: StrictBool | None = None
    assignee: str | None = Field(None, description="The name or user name of somebody of the staff; null for nobody")


class NewComment(Given):
    text: Body = Field(json_schema_extra=WORDS)


class Approval(Given):
    text: Body | None = Field(None, description="The reply as it shall be sent; without it, the draft as it is")
    version: StrictInt | None = Field(None, description="The draft's version that was read; 409 when it is another now")
    answers: StrictInt | None = Field(None, description="The draft's answers that was read; 409 when it is another now")
    accept_flags: StrictBool = Field(False, description="Send it although it names what nobody gave; else 409 flagged")
    keep_open: StrictBool = Field(False, description="Wait for the customer instead of resolving the ticket")


class Text(Given):
    title: Title = Field(json_schema_extra=WORDS)
    description: Body = Field(json_schema_extra=WORDS)


class RequesterOut(BaseModel):
    email: str
    name: str


class FlagOut(BaseModel):
    kind: Literal["link", "address", "phone", "account", "secret", "machine", "ticket", "promise"]
    words: str


class DraftOut(BaseModel):
    text: str
    citations: list[dict[str, Any]]
    stale: bool
    version: int = Field(description="Goes up with every change of the text")
    answers: int | None = Field(description="The customer's message that the draft answers")
    flags: list[FlagOut] = Field(description="What a person should look at before it is sent")


class SubmittedOut(BaseModel):
    priority: PriorityCode | None
    tier: int | None


class PromiseOut(BaseModel):
    due_at: datetime | None = Field(description="null while it stands still")
    met_at: datetime | None
    state: Literal["running", "paused", "met", "breached"]


class SlaOut(BaseModel):
    """What is promised to the ticket; a target that its policy does not name is null."""

    due_at: datetime | None = Field(description="The next of them that is due")
    first_replied_at: datetime | None
    breached: bool = Field(description="Whether any of them was met too late, or is overdue")
    first_response: PromiseOut | None
    next_response: PromiseOut | None = Field(description="The answer to what the customer wrote after the last reply")
    resolution: PromiseOut | None


class DecidedOut(BaseModel):
    model_config = ConfigDict(extra="forbid")

    category: str | None
    priority: PriorityCode | None
    team: str | None
    tier: int | None
    severity: str | None
    effort: str | None
    component: str | None
    sentiment: str | None
    tags: list[str]
    language: str | None
    summary: str | None
    is_technical: bool | None
    confidence: dict[str, float]
    band: dict[str, BandWord]
    engine: dict[str, EngineWord]
    reasons: dict[str, str]
    escalated: bool
    escalation_reason: str | None


class ReadingOut(DecidedOut):
    notes: list[str] = Field(
        description="What the reading went without, in sentences: a pause, a model that was silent"
    )


class TicketOut(DecidedOut):
    number: int
    id: str
    url: str
    title: str
    description: str
    status: StatusWord
    triage_state: StateWord
    source: str
    requester: RequesterOut | None
    assignee: str | None
    cluster: int | None
    merged_into: int | None = Field(description="The number of the ticket whose thread this one is part of")
    snoozed_until: datetime | None
    draft: DraftOut | None
    cost_usd: float
    submitted: SubmittedOut
    sla: SlaOut
    created_at: datetime
    updated_at: datetime
    triaged_at: datetime | None


class TicketPage(BaseModel):
    items: list[TicketOut]
    next: str | None


class AttachmentOut(BaseModel):
    id: int
    name: str
    content_type: str
    size: int
    sha256: str
    url: str


class CommentOut(BaseModel):
    id: int
    text: str
    author: str
    created_at: datetime
    attachments: list[AttachmentOut]


class MessageOut(CommentOut):
    kind: Literal["customer", "reply"]


class MessagePage(BaseModel):
    items: list[MessageOut]
    next: str | None


class CommentPage(BaseModel):
    items: list[CommentOut]
    next: str | None


class SimilarOut(BaseModel):
    number: int
    title: str
    similarity: float


class SimilarPage(BaseModel):
    items: list[SimilarOut]


class DeliveryOut(BaseModel):
    state: str
    channel: str
    approved_by: str
    text: str


class KnownTicketOut(BaseModel):
    """A ticket that was stored before and that the key may not see."""

    model_config = ConfigDict(extra="forbid")

    number: int
    id: str
    url: str
    source: str
    created_at: datetime


class ApprovalOut(BaseModel):
    delivery: DeliveryOut
    ticket: TicketOut


class StatsOut(BaseModel):
    total: int
    by_status: dict[str, int]
    by_triage_state: dict[str, int]
    by_category: dict[str, int]
    by_priority: dict[str, int]
    by_team: dict[str, int]


class ProblemOut(BaseModel):
    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] | None = None
    flags: list[FlagOut] | None = Field(None, description="With code flagged: what an approval has to accept")
    correlation_id: str


class RowOut(BaseModel):
    """What became of one ticket of a call: its own status, with the ticket or with what is wrong."""

    index: int = Field(description="Its place among those that were sent, from 0")
    status: Literal[200, 201, 403, 409, 422]
    ticket: KnownTicketOut | None
    problem: ProblemOut | None


class BulkOut(BaseModel):
    created: int
    known: int
    refused: int
    results: list[RowOut]


def _moment(given: Any) -> Any:
    """A space that was a plus before somebody put it into an address unescaped."""
    return given.replace(" ", "+") if isinstance(given, str) and given.count(" ") == 1 and "T" in given else given


def _utc(moment: datetime) -> datetime:
    """In UTC: ISO 8601 knows offsets that PostgreSQL does not."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not 1 < aware.year < 9999:
        raise PydanticCustomError("not_a_date", "This date is out of range.")
    return aware.astimezone(UTC)


Moment = Annotated[datetime, BeforeValidator(_moment), AfterValidator(_utc)]


class Filters(BaseModel):
    """What a list of tickets may be narrowed by, all at once."""

    status: StatusWord | None = None
    triage_state: StateWord | None = None
    category: Words | None = None
    priority: PriorityWord = None
    team: Words | None = None
    source: Words | None = None
    q: Annotated[Words, Field(max_length=200)] | None = None
    updated_since: Moment | None = None
    cursor: Annotated[str, Field(max_length=200)] = ""
    limit: Annotated[int, Field(ge=1, le=MOST)] = DEFAULT


class Paging(BaseModel):
    cursor: Annotated[str, Field(max_length=200)] = ""
    limit: Annotated[int, Field(ge=1, le=MOST)] = DEFAULT


class HowMany(BaseModel):
    limit: Annotated[int, Field(ge=1, le=20)] = 5
