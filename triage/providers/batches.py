"""Message Batches of Anthropic: many requests as one, answered within a day at a lower price.

Only what `triage.batches` needs: send, look up, look for, collect, cancel. Errors are those of `providers.base`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from triage.providers import base
from triage.providers.anthropic import Anthropic, _arguments, _client, _reply
from triage.providers.base import Ability, Reply, Request

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse

T = TypeVar("T")
UPLOAD_SECONDS = 300.0
LOOKED_THROUGH = 500  # of the provider's newest batches, when one of ours is looked for


@dataclass(frozen=True, slots=True)
class Remote:
    """A batch as the provider sees it. `size` counts its requests in whatever state."""

    id: str
    created_at: datetime
    ended: bool
    size: int


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one request: a reply, or why there is none."""

    custom_id: str
    reply: Reply | None
    code: str = ""


class AnthropicBatches(Anthropic):
    async def create(self, requests: Sequence[tuple[str, Request]]) -> Remote:
        """Send these as one batch, each under its custom id. Raises a ProviderError."""
        client = await self._ready()
        listed = [{"custom_id": name, "params": _arguments(request, Ability())} for name, request in requests]
        sending = client.messages.batches.create(requests=listed, timeout=UPLOAD_SECONDS)  # type: ignore[arg-type]
        return _remote(await self._translating(sending))

    async def retrieve(self, name: str) -> Remote:
        client = await self._ready()
        return _remote(await self._translating(client.messages.batches.retrieve(name)))

    async def cancel(self, name: str) -> None:
        """Ask the provider to stop; what was answered by then is charged and can be collected once it has ended."""
        client = await self._ready()
        await self._translating(client.messages.batches.cancel(name))

    async def since(self, moment: datetime) -> list[Remote]:
        """The provider's batches made at or after `moment`, newest first."""
        client = await self._ready()
        found: list[Remote] = []
        page = await self._translating(client.messages.batches.list(limit=100))
        while True:
            found += [_remote(batch) for batch in page.data]
            if not page.has_next_page() or len(found) >= LOOKED_THROUGH or found[-1].created_at < moment:
                return [remote for remote in found if remote.created_at >= moment]
            page = await self._translating(page.get_next_page())

    async def results(self, name: str) -> AsyncIterator[Result]:
        """What came back, in any order, read as it arrives. The batch must have ended. Raises a ProviderError."""
        import httpx2

        client = await self._ready()
        lines = await self._translating(client.messages.batches.results(name, timeout=UPLOAD_SECONDS))
        try:
            async for line in lines:
                if (result := _result(line)) is not None:
                    yield result
        except httpx2.HTTPError:
            raise base.Unreachable(f"the connection to {self.endpoint} ended in the middle of the results") from None
        except (ValueError, RecursionError):
            raise base.Unreadable(f"{self.endpoint} sent results that cannot be read") from None
        finally:
            await lines.close()

    async def _ready(self) -> AsyncAnthropic:
        await self.prepare()
        return await _client(self.base_url)

    async def _translating(self, asked: Awaitable[T]) -> T:
        import anthropic

        try:
            return await asked
        except anthropic.AnthropicError as problem:
            raise self._translated(problem) from None
        except (ValueError, TypeError, RecursionError):
            raise base.Unreadable(f"{self.endpoint} sent something that is no answer") from None


def _remote(batch: MessageBatch) -> Remote:
    counts = batch.request_counts
    size = sum((counts.canceled, counts.errored, counts.expired, counts.processing, counts.succeeded))
    return Remote(batch.id, batch.created_at, batch.processing_status == "ended", size)


def _result(line: MessageBatchIndividualResponse) -> Result | None:
    """Read by type, as a reply is; None for a line that names no request."""
    name, result = getattr(line, "custom_id", None), getattr(line, "result", None)
    if not isinstance(name, str):
        return None
    kind = str(getattr(result, "type", "") or "unreadable")
    if kind != "succeeded":
        return Result(name, None, kind[:40])
    try:
        return Result(name, _reply(result.message))  # type: ignore[union-attr]
    except (base.ProviderError, AttributeError):
        return Result(name, None, "unreadable")
