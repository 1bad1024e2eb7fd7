"""What leaves for the Messages API, and what its answers become."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from triage.providers import PROVIDERS, base
from triage.providers.anthropic import Anthropic, _arguments, _reply
from triage.providers.base import Ability, Reply, Request
from triage.providers.fake import FakeMessagesAPI

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "number", "minimum": 0, "maximum": 1}},
    "required": ["score"],
    "additionalProperties": False,
}


@pytest.fixture
def server(settings: Settings) -> Iterator[FakeMessagesAPI]:
    with FakeMessagesAPI() as fake:
        settings.ANTHROPIC_BASE_URL, settings.ANTHROPIC_API_KEY = fake.base_url, "test-key"
        yield fake


def answer(request: Request) -> Reply:
    return asyncio.run(Anthropic().answer(request))


def request(model: str = "claude-haiku-5-5", *, schema: dict[str, object] | None = None) -> Request:
    return Request(model, "You sort tickets.", "It has an error.", 100, schema)


def test_it_sends_a_cacheable_prompt_the_schema_and_the_least_effort(server: FakeMessagesAPI) -> None:
    answer(request(schema=SCHEMA))
    (body,) = server.bodies
    assert body["system"] == [{"type": "text", "text": "You sort tickets.", "cache_control": {"type": "ephemeral"}}]
    assert body["messages"] == [{"role": "user", "content": "It has an error."}]
    assert body["output_config"]["effort"] == "low" and body["thinking"] == {"type": "disabled"}
    assert body["output_config"]["format"]["type"] == "json_schema"
    # Bounds would be refused: they travel as words.
    assert "minimum" not in body["output_config"]["format"]["schema"]["properties"]["score"]
    assert not {"temperature", "top_p", "top_k", "tools", "stop_sequences"} & set(body)
    assert server.headers[0]["authorization"] == "Bearer test-key" or server.headers[0]["x-api-key"] == "test-key"


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("claude-haiku-5-5", True, True),
        ("claude-sonnet-5-5", True, False),
        ("claude-opus-5-5", True, False),
        ("claude-sonnet-4-6", True, False),
        ("claude-haiku-4-5", False, False),
        ("claude-sonnet-4-5-20250929", False, False),
    ],
)
def test_a_model_is_sent_only_what_it_knows(model: str, effort: bool, thinking: bool) -> None:
    sent = _arguments(request(model, schema=dict(SCHEMA)), Ability())
    assert ("effort" in sent["output_config"], "thinking" in sent) == (effort, thinking)


def test_a_reply_is_its_text_blocks_and_what_it_used(server: FakeMessagesAPI) -> None:
    server.always("thinking")
    reply = answer(request())
    assert reply.text.startswith("Hello") and "Let me see" not in reply.text
    assert (reply.model, reply.stop_reason) == ("claude-haiku-5-5", "end_turn")
    assert reply.usage.input and reply.usage.cache_write_1h == 0


@pytest.mark.parametrize(
    ("fault", "kind", "retry"),
    [
        ("rate_limited", base.RateLimited, True),
        ("overloaded", base.Overloaded, True),
        ("error", base.Broken, True),
        ("reset", base.Unreachable, True),
        ("cut", base.Unreachable, True),
        ("bad_request", base.Rejected, False),
        ("too_large", base.TooLong, False),
        ("not_json", base.Unreadable, False),
        ("broken_json", base.Unreadable, False),
        ("unauthorised", base.NotAllowed, False),
        ("unpaid", base.NotPaid, False),
        ("not_found", base.NoSuchModel, False),
    ],
)
def test_an_error_says_what_to_do(
    server: FakeMessagesAPI, fault: str, kind: type[base.ProviderError], retry: bool
) -> None:
    server.always(fault)
    with pytest.raises(kind) as caught:
        answer(request())
    assert type(caught.value) is kind and isinstance(caught.value, base.Retry) == retry
    assert "It has an error" not in str(caught.value)


def test_it_says_how_long_a_server_wants_to_be_left_alone(server: FakeMessagesAPI) -> None:
    server.retry_after = 7
    server.always("rate_limited")
    with pytest.raises(base.RateLimited) as caught:
        answer(request())
    assert caught.value.retry_after == 7 and len(server.bodies) == 1  # the SDK's own retries are off


def test_a_server_that_is_not_there_is_unreachable(settings: Settings) -> None:
    settings.ANTHROPIC_BASE_URL = "http://127.0.0.1:9"
    with pytest.raises(base.Unreachable):
        answer(request())


def test_each_event_loop_has_a_client_of_its_own_and_closes_it(server: FakeMessagesAPI) -> None:
    from triage.providers.anthropic import _clients

    for _ in range(3):
        answer(request())  # a loop each; a client of an ended loop would raise
    assert len(server.bodies) == 3 and not _clients


def test_the_host_is_what_a_breaker_opens_for(settings: Settings) -> None:
    settings.ANTHROPIC_BASE_URL = ""
    assert PROVIDERS["anthropic"]().endpoint == "api.anthropic.com"
    settings.ANTHROPIC_BASE_URL = "http://localhost:11434/"
    assert PROVIDERS["anthropic"]().endpoint == "localhost:11434"


@pytest.mark.parametrize("block", [{"type": "text"}, {"type": "text", "text": None}])
def test_a_block_without_its_text_says_nothing(block: dict[str, Any]) -> None:
    assert _reply({"content": [block, {"type": "text", "text": "Hello"}]}).text == "Hello"
