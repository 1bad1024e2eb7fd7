"""What every door has in common: what comes in as one frozen object, and how a reply leaves.

SendError
├── TryAgain      certainly not sent, but may go later: try again after a while
├── SendRefused   certainly not sent, and will not be: a person reads why
└── SendUnknown   it may have left: never again by itself, a person decides
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.validators import validate_email
from django.utils import timezone
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Strict, ValidationError
from pydantic_core import PydanticCustomError

from tickets.models import SUBJECT_LIMIT, TEXT_LIMIT, Lane, Tier, priority_of

if TYPE_CHECKING:
    from tickets.models import Delivery, Ticket

NAME_LIMIT = 200
KEY_LIMIT = 200
EMAIL_LIMIT = 254
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATES = re.compile("[\ud800-\udfff]")


class SendError(Exception):
    """A reply was not sent, or nobody can tell. The message is for the person who reads the ticket."""


class TryAgain(SendError):
    """`until`: not before then, where the other side said so."""

    def __init__(self, sentence: str, *, until: datetime | None = None) -> None:
        super().__init__(sentence)
        self.until = until


class SendRefused(SendError):
    pass


class SendUnknown(SendError):
    pass


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """The other side took the reply. `reference` is what it can be found by there."""

    reference: str


class Channel(ABC):
    """One kind of door. `kind` is its key in CHANNELS; `replies_by` the key of the channel that answers leave by.

    `links_back`: a reply ends with a link to the customer's status page, which opens the thread for whoever has it.
    `carries_files`: the files of a reply go along with it.
    `can_be_asked`: `send` finds out what became of an earlier attempt before it sends again, so that nobody has to.
    """

    kind: ClassVar[str]
    replies_by: ClassVar[str]
    can_be_asked: ClassVar[bool] = False
    links_back: ClassVar[bool] = True
    carries_files: ClassVar[bool] = False

    @classmethod
    def replies_for(cls, ticket: Ticket) -> str:
        """The key of the channel that answers to this ticket leave by."""
        return cls.replies_by

    def recipient_of(self, ticket: Ticket) -> str:
        """Whom a reply goes to, as it is kept with the delivery; empty where there is nobody."""
        return ticket.requester.email if ticket.requester else ""

    def why_nobody(self, ticket: Ticket) -> str:
        """A sentence for whoever would answer, where `recipient_of` gives nobody."""
        return "This ticket has no address to answer to. Write to the customer yourself."

    @abstractmethod
    def send(self, delivery: Delivery) -> SendReceipt:
        """Hand one reply to the customer's side, once. Raises a SendError and nothing else."""


def clean_text(given: Any) -> Any:
    """Text without NUL bytes, other control characters and halves of surrogate pairs, which no database stores."""
    if not isinstance(given, str):
        return given
    lines = given.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", lines))


def clean_line(given: Any) -> Any:
    """The same on one line, with each run of white space folded into a space."""
    if not isinstance(given, str):
        return given
    return clean_text(" ".join(clean_text(given).split()))


def clean_raw(given: Any) -> Any:
    """A JSON value whose every text can be stored."""
    if isinstance(given, dict):
        return {clean_text(str(key)): clean_raw(value) for key, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [clean_raw(value) for value in given]
    if isinstance(given, float) and not math.isfinite(given):
        return str(given)  # JSON has no word for it
    return clean_text(given)


def _limit(length: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > length:
            raise PydanticCustomError("too_long", "Keep this under {limit} characters.", {"limit": f"{length:,}"})
        return text

    return AfterValidator(check)


def _refuse_blank(text: str) -> str:
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise PydanticCustomError("blank", "This must not be empty.")
    return text


def _address(given: str | None) -> str | None:
    if not given:
        return None
    try:
        validate_email(given)
    except DjangoValidationError:
        raise PydanticCustomError("not_an_email", "Enter an e-mail address like name@example.com.") from None
    return given


def _priority(given: Any) -> Any:
    if given is None or given == "":
        return None
    try:
        return priority_of(given).value
    except (ValueError, AttributeError):
        raise PydanticCustomError(
            "not_a_choice", "Choose P1, P2, P3 or P4, or urgent, high, medium, normal or low."
        ) from None


def _tier(given: int | None) -> int | None:
    if given is not None and given not in Tier.values:
        raise PydanticCustomError("not_a_choice", "Choose tier 1, 2 or 3.")
    return given


def _moment(given: datetime | None) -> datetime | None:
    """Aware, and neither in the future nor before there was support by computer."""
    if given is None:
        return None
    moment = given if given.tzinfo else given.replace(tzinfo=UTC)
    if moment.year < 1970 or moment.year > 9000:
        raise PydanticCustomError("not_a_date", "This date is out of range.")
    return min(moment, timezone.now())


Line = Annotated[str, BeforeValidator(clean_line)]
Title = Annotated[Line, _limit(SUBJECT_LIMIT), AfterValidator(_refuse_blank)]
Body = Annotated[
    str, BeforeValidator(clean_text), AfterValidator(str.rstrip), _limit(TEXT_LIMIT), AfterValidator(_refuse_blank)
]
Address = Annotated[Line, _limit(EMAIL_LIMIT), AfterValidator(_address)]
RequiredAddress = Annotated[Line, AfterValidator(_refuse_blank), _limit(EMAIL_LIMIT), AfterValidator(_address)]
PersonName = Annotated[Line, _limit(NAME_LIMIT)]
Key = Annotated[Line, _limit(KEY_LIMIT)]
PriorityWord = Annotated[str | None, BeforeValidator(_priority)]
TierNumber = Annotated[Annotated[int, Strict()] | None, AfterValidator(_tier)]


class Inbound(BaseModel):
    """One new request as it came through a door, cleaned and checked. Raises pydantic's ValidationError otherwise.

    `raw` is what the door knew besides, kept and never taken as a decision; `priority` and `tier` are the customer's
    own choice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Title
    text: Body
    requester_email: Address | None = None
    requester_name: PersonName = ""
    external_id: Key = ""
    idempotency_key: Key = ""
    priority: PriorityWord = None
    tier: TierNumber = None
    raw: Annotated[dict[str, Any] | None, BeforeValidator(clean_raw)] = None
    lane: Lane = Lane.INTERACTIVE
    created_at: Annotated[datetime | None, AfterValidator(_moment)] = None


def complaints(error: ValidationError) -> dict[str, str]:
    """{field of Inbound: a sentence for whoever filled it in}, the first complaint of each field."""
    found: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        found.setdefault(str(problem["loc"][0]) if problem["loc"] else "", problem["msg"])
    return found
