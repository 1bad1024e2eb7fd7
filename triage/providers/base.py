"""What stands before a language model, whichever it is: one question in, one reply out, and errors by what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class ProviderError(Exception):
    """No reply. `code` is for figures, the sentence for people; neither holds words of the request.

    ├── Retry            the provider cannot now; the same request may do later
    │   ├── RateLimited      429
    │   ├── Overloaded       503, 529
    │   ├── Broken           408, 409, other 5xx
    │   └── Unreachable      no connection, or one that ended in the middle
    │       └── TimedOut
    ├── Stop             this request will never do, others may
    │   ├── Rejected         400, 422
    │   ├── TooLong          413
    │   └── Unreadable       an answer that is none
    └── AskPerson        nothing will do until somebody changes the configuration
        ├── NotAllowed       401, 403
        ├── NotPaid          402
        └── NoSuchModel      404
    """

    code = "error"
    # A provider charges nothing for a request it refused to serve; who hung up on it cannot know.
    maybe_charged = False
    # What one model suffers from, another at the same place may not: it has its own load, limits and name.
    of_the_model = False

    def __init__(self, sentence: str, *, request_id: str = "", retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.request_id = request_id
        self.retry_after = retry_after


class Retry(ProviderError):
    code = "retry"


class RateLimited(Retry):
    code = "rate_limited"
    of_the_model = True


class Overloaded(Retry):
    code = "overloaded"
    of_the_model = True


class Broken(Retry):
    code = "server_error"
    of_the_model = True


class Unreachable(Retry):
    code = "unreachable"
    maybe_charged = True


class TimedOut(Unreachable):
    code = "timed_out"


class Stop(ProviderError):
    code = "stop"


class Rejected(Stop):
    code = "rejected"


class TooLong(Stop):
    code = "too_long"


class Unreadable(Stop):
    code = "unreadable"
    maybe_charged = True


class AskPerson(ProviderError):
    code = "ask_person"


class NotAllowed(AskPerson):
    code = "not_allowed"


class NotPaid(AskPerson):
    code = "not_paid"


class NoSuchModel(AskPerson):
    code = "no_such_model"
    of_the_model = True


@dataclass(frozen=True, slots=True)
class Ability:
    """What a server takes of the newer API.

    `structured`: output_config, thinking and cache marks; `shown`: the schema has to stand in the prompt.
    """

    structured: bool = True
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What a provider is asked, personal values already masked, and as what this server is known to take."""

    model: str
    system: str
    user: str
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    ability: Ability = Ability()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens by part; None where the server did not say. `us_only`: served in the United States at their price."""

    input: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    us_only: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whatever it is worth: usage is known even when the text is useless.

    `stop_reason` is one of end_turn, max_tokens, refusal, stop_sequence, tool_use, pause_turn,
    model_context_window_exceeded, or empty. `ability` is what the server turned out to take.
    """

    text: str
    model: str
    stop_reason: str
    request_id: str
    usage: Usage
    ability: Ability = Ability()


class Provider(Protocol):
    @property
    def endpoint(self) -> str:
        """The host that is asked; what a breaker opens for."""

    @property
    def doubtful(self) -> bool:
        """Whether this server may lack what the newer API offers."""

    def configured(self) -> bool:
        """Whether the environment says enough to ask."""

    def warm(self) -> None:
        """Load what takes long, so that no request is late for it. Once a process; then it costs nothing."""

    async def prepare(self) -> None:
        """The same before a request, where nobody did it in time."""

    async def answer(self, request: Request) -> Reply:
        """One attempt, as long as the caller lets it take. Raises a ProviderError, and nothing else of its own."""
