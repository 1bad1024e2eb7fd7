"""Claude, and every server that speaks the Messages API (a gateway, Ollama, llama.cpp) by ANTHROPIC_BASE_URL.

The SDK is imported where it is first needed: it takes 55 MB. Its own retries are off, for they wait as long as a
server tells them to.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import structlog
from django.conf import settings

from triage.providers import base
from triage.providers.base import Ability, Reply, Request, Usage

if TYPE_CHECKING:
    from ssl import SSLContext

    from anthropic import APIStatusError, AsyncAnthropic

log = structlog.get_logger(__name__)
OFFICIAL = "https://api.anthropic.com"
# Models that know no effort, or may have their thinking switched off (thinking counts into max_tokens, and is billed).
WITHOUT_EFFORT = (
    "claude-3",
    "claude-haiku-4-5",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-sonnet-4-0",
    "claude-sonnet-4-5",
)
MAY_NOT_THINK = ("claude-haiku-5-5",)


@lru_cache(maxsize=1)
def _loaded() -> SSLContext:
    """Import the SDK and read the certificates: seconds once a process, and none of it again with the next client."""
    import httpx2
    from anthropic.resources import messages  # noqa: F401  where most of its types are

    context: SSLContext = httpx2.create_ssl_context()
    return context


class Anthropic:
    def __init__(self) -> None:
        self.base_url = (settings.ANTHROPIC_BASE_URL or OFFICIAL).rstrip("/")

    @property
    def endpoint(self) -> str:
        return urlsplit(self.base_url).netloc or self.base_url

    @property
    def doubtful(self) -> bool:
        return self.base_url != OFFICIAL

    def configured(self) -> bool:
        return bool(settings.ANTHROPIC_API_KEY or settings.ANTHROPIC_BASE_URL)

    def warm(self) -> None:
        _loaded()

    async def prepare(self) -> None:
        """Warm, without stopping the event loop for as long as that takes."""
        if not _loaded.cache_info().currsize:
            await asyncio.to_thread(_loaded)

    async def answer(self, request: Request) -> Reply:
        """Ask as this server can be asked; where it refuses the newer API, once more without."""
        import anthropic

        ability = request.ability
        try:
            reply = await self._send(request, ability)
        except anthropic.BadRequestError as problem:
            if not self._may_be_too_new(problem):
                raise self._translated(problem) from None
            ability = Ability(structured=False, shown=True)
            reply = await self._send(request, ability)
        if request.schema and self.doubtful and reply.stop_reason == "end_turn" and not _is_object(reply.text):
            ability = Ability(ability.structured, shown=True)  # it took the schema and paid no heed to it
        return replace(reply, ability=ability)

    async def _send(self, request: Request, ability: Ability) -> Reply:
        import anthropic

        client = await _client(self.base_url)
        try:
            answer = await client.messages.with_raw_response.create(**_arguments(request, ability))
            # As it came: to build the SDK's types of it takes longer than all else that is done with it.
            return replace(_reply(await answer.json()), request_id=answer.request_id or "")
        except anthropic.BadRequestError as problem:
            if ability.structured:
                raise
            raise self._translated(problem) from None
        except anthropic.AnthropicError as problem:
            raise self._translated(problem) from None
        except (ValueError, TypeError, RecursionError):
            raise base.Unreadable(f"{self.endpoint} sent something that is no answer") from None

    def _may_be_too_new(self, problem: APIStatusError) -> bool:
        """Anthropic itself says which argument it dislikes; of any other server it may be all of them."""
        said = (problem.api_message or "").lower()
        return self.doubtful or any(
            word in said for word in ("output_config", "effort", "thinking", "cache_control", "schema")
        )

    def _translated(self, problem: Exception) -> base.ProviderError:
        import anthropic

        if isinstance(problem, anthropic.APIStatusError):
            return _by_status(problem, self.endpoint)
        if isinstance(problem, anthropic.APITimeoutError):
            return base.TimedOut(f"the connection to {self.endpoint} timed out")
        if isinstance(problem, anthropic.APIConnectionError):
            return base.Unreachable(f"the connection to {self.endpoint} failed or ended early")
        return base.Unreadable(f"{self.endpoint} sent something that is no answer")


def _arguments(request: Request, ability: Ability) -> dict[str, Any]:
    system = request.system
    if request.schema and ability.shown:
        schema = json.dumps(request.schema, ensure_ascii=False)
        system += f"\n\nAnswer with one JSON object that follows this JSON schema, without a fence around it:\n{schema}"
    arguments: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": [{"role": "user", "content": request.user or " "}],
    }
    if not ability.structured:
        return arguments | {"system": system}
    output: dict[str, Any] = {}
    if not request.model.startswith(WITHOUT_EFFORT):
        output["effort"] = "low"
    if request.schema:
        output["format"] = {"type": "json_schema", "schema": _transformed(json.dumps(request.schema))}
    if output:
        arguments["output_config"] = output
    if request.model.startswith(MAY_NOT_THINK):
        arguments["thinking"] = {"type": "disabled"}
    # The system prompt is the same for many tickets: read from the cache where it is long enough for one.
    return arguments | {"system": [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]}


def _transformed(schema: str) -> Any:
    """The schema as the API takes it: bounds become words. Transformed once, for it is the same all day."""
    if schema not in _schemas:
        from anthropic import transform_schema

        _schemas.clear()
        _schemas[schema] = transform_schema(json.loads(schema))
    return _schemas[schema]


_schemas: dict[str, Any] = {}


def _reply(message: object) -> Reply:
    """Of the SDK's Message, or of its JSON. Read by type: a server may send blocks, fields and stop reasons that nobody
    asked for, or leave some out.
    """
    blocks = _part(message, "content")
    if not isinstance(blocks, list):
        raise base.Unreadable("the model server sent something that is no answer")
    usage = _part(message, "usage")
    written = _part(usage, "cache_creation")
    five_minutes = _count(written, "ephemeral_5m_input_tokens")
    return Reply(
        text="".join(str(_part(block, "text") or "") for block in blocks if _part(block, "type") == "text"),
        model=str(_part(message, "model") or ""),
        stop_reason=str(_part(message, "stop_reason") or ""),
        request_id=str(_part(message, "_request_id") or ""),
        usage=Usage(
            input=_count(usage, "input_tokens"),
            cache_read=_count(usage, "cache_read_input_tokens"),
            cache_write_5m=five_minutes if written is not None else _count(usage, "cache_creation_input_tokens"),
            cache_write_1h=_count(written, "ephemeral_1h_input_tokens"),
            output=_count(usage, "output_tokens"),
            us_only=_part(usage, "inference_geo") == "us",
        ),
    )


def _part(holder: object, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


def _count(holder: object, name: str) -> int | None:
    value = _part(holder, name)
    return value if isinstance(value, int) and value >= 0 else None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


_kinds: dict[int, tuple[type[base.ProviderError], str]] = {
    401: (base.NotAllowed, "does not accept the API key"),
    402: (base.NotPaid, "asks for payment before it serves more"),
    403: (base.NotAllowed, "does not allow this API key to do that"),
    404: (base.NoSuchModel, "knows no such model or address"),
    413: (base.TooLong, "finds the request too large"),
    429: (base.RateLimited, "is asked too often"),
    503: (base.Overloaded, "is overloaded"),
    529: (base.Overloaded, "is overloaded"),
}


def _by_status(problem: APIStatusError, endpoint: str) -> base.ProviderError:
    status = problem.status_code
    if status in _kinds:
        kind, words = _kinds[status]
    elif status in (408, 409) or status >= 500:
        kind, words = base.Broken, "failed to answer"
    else:
        kind, words = base.Rejected, "does not take the request"
    if issubclass(kind, base.AskPerson):  # says what to put right, and these speak of accounts and names of models
        words = f"{words}: {problem.api_message[:200]}" if problem.api_message else words
    return kind(
        f"{endpoint} {words} (HTTP {status})",
        request_id=str(problem.request_id or ""),
        retry_after=_seconds(problem.response.headers.get("retry-after")),
    )


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header is not None else None
    except ValueError:
        return None  # a date: rare, and too far off to wait for


# One client an event loop, closed with its loop: connections belong to the loop they were opened in.
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], AsyncAnthropic]] = WeakKeyDictionary()
_ends: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = WeakKeyDictionary()


async def _client(base_url: str) -> AsyncAnthropic:
    from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = {}
        _ends[loop] = _until_the_loop_ends(_clients[loop])
        await anext(_ends[loop])
    clients = _clients[loop]
    key = (base_url, settings.ANTHROPIC_API_KEY)
    if key not in clients:
        clients[key] = AsyncAnthropic(
            api_key=settings.ANTHROPIC_API_KEY or "none",  # a server of one's own asks for none
            base_url=base_url,
            max_retries=0,
            timeout=settings.TRIAGE_MODEL_TIMEOUT,
            http_client=DefaultAsyncHttpxClient(verify=_loaded()),
            open_telemetry=False,
        )
    return clients[key]


async def _until_the_loop_ends(clients: dict[tuple[str, str], AsyncAnthropic]) -> AsyncGenerator[None, None]:
    """A loop closes the asynchronous generators that were started in it before it ends; with this one, its clients."""
    try:
        yield
    finally:
        loop = asyncio.get_running_loop()
        _clients.pop(loop, None)
        _ends.pop(loop, None)
        for client in clients.values():
            await client.close()
