from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from tickets.actions import keys
from tickets.mcp.door import Door
from tickets.models import ApiKey
from triage.proxies import networks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def key(db: None) -> str:
    return keys.create(name="Robot", scopes=["read"], username=None, source_name="API")[1]


def knock(key: str = "", *, client: str = "192.0.2.7", **headers: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """A GET, which a key in force has answered with 405: the server behind the door is not begun for it."""
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(event: Any) -> None:
        sent.append(event)

    given = {"host": "localhost", **headers, **({"authorization": f"Bearer {key}"} if key else {})}
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/mcp",
        "client": (client, 5000),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()],
    }
    asyncio.run(Door()(scope, receive, send))
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], head, json.loads(sent[1]["body"])


def test_an_address_that_guesses_keys_is_held_up_and_a_key_at_it_is_not(key: str, settings: Settings) -> None:
    settings.API_KEYLESS_PER_WINDOW = 3
    answers = [knock(f"td_guess{number}", x_forwarded_for=f"10.0.0.{number}") for number in range(5)]
    assert [status for status, _, _ in answers] == [401, 401, 401, 429, 429]
    _, headers, problem = answers[-1]
    assert problem["code"] == "too_many" and 1 <= int(headers["retry-after"]) <= 2 * settings.API_WINDOW
    assert knock()[0] == 429
    assert knock(key)[0] == 405
    assert knock("td_guess", client="192.0.2.8")[0] == 401


def test_guesses_at_the_api_and_here_are_counted_together(settings: Settings) -> None:
    settings.API_KEYLESS_PER_WINDOW = 3
    for _ in range(3):
        assert Client(REMOTE_ADDR="192.0.2.7").get("/api/v1/tickets", headers={"X-API-KEY": "td_x"}).status_code == 401
    assert knock("td_guess")[0] == 429


def test_behind_a_proxy_each_client_is_counted_for_itself(key: str, settings: Settings) -> None:
    settings.API_KEYLESS_PER_WINDOW = 1
    settings.TRUSTED_PROXIES = networks("10.0.0.0/8")
    guesses = [knock("td_guess", client="10.0.0.1", x_forwarded_for=f"192.0.2.{number}") for number in (1, 2, 1)]
    assert [status for status, _, _ in guesses] == [401, 401, 429]
    assert knock(key, client="10.0.0.1", x_forwarded_for="192.0.2.9")[0] == 405
    assert ApiKey.objects.get().last_used_from == "192.0.2.9"
