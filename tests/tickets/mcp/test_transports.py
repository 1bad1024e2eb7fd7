"""The official client at a real desk: over HTTP through daphne, and over the standard streams of `manage.py mcp`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.running import ROOT, RunningDesk, running_desk


@pytest.fixture(scope="module")
def desk(open_folder_factory: Callable[[], Path]) -> Iterator[RunningDesk]:
    with running_desk(open_folder_factory(), TRIAGE_MCP_PER_MINUTE="60") as one:
        yield one


def _over_http(desk: RunningDesk, key: str, work: Any, mode: str = "auto") -> Any:
    async def talk() -> Any:
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as http:
            transport = streamable_http_client(f"{desk.address}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                return await work(client)

    return asyncio.run(talk())


def _raw(desk: RunningDesk, body: Any, **headers: str) -> tuple[int, dict[str, str], Any]:
    given = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
    request = urllib.request.Request(
        f"http://127.0.0.1:{desk.port}/mcp", method="POST", data=json.dumps(body).encode(), headers=given
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            said = refused.read()
            return refused.code, dict(refused.headers), json.loads(said) if said.startswith(b"{") else said


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_over_http_a_ticket_is_listed_read_and_escalated(desk: RunningDesk, mode: str) -> None:
    async def work(client: Client) -> Any:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        listed = await client.call_tool("list_open_tickets", {"limit": 5})
        number = listed.structured_content["items"][0]["number"]
        shown = await client.call_tool("get_ticket", {"number": number})
        alert = await client.call_tool("post_escalation_alert", {"number": number, "reason": f"By {mode}"})
        return tools, number, shown.structured_content, alert

    tools, number, shown, alert = _over_http(desk, desk.api_key(f"http {mode}"), work, mode)
    assert {"propose_reply", "search_similar"} <= tools
    assert shown["number"] == number
    assert not alert.is_error
    kept = desk.rows("SELECT status, escalation_reason FROM tickets_ticket WHERE number = %s", number)
    assert kept == [("escalated", f"By {mode}")]


def test_over_stdio_the_same_is_read_and_a_note_written(desk: RunningDesk) -> None:
    key = desk.api_key("stdio")
    server = StdioServerParameters(
        command=sys.executable,
        args=["manage.py", "mcp"],
        cwd=ROOT,
        env={**desk.environment, "TRIAGE_API_KEY": key},
    )

    async def talk() -> Any:
        async with Client(stdio_client(server)) as client:
            listed = await client.call_tool("list_open_tickets", {"limit": 1})
            number = listed.structured_content["items"][0]["number"]
            noted = await client.call_tool("add_note", {"number": number, "text": "Over stdio."})
            read = await client.call_tool("classify_text", {"title": "Invoice", "description": "A wrong invoice."})
            return number, noted, read

    number, noted, read = asyncio.run(talk())
    assert not noted.is_error
    assert read.structured_content["category"]
    kept = desk.rows("SELECT ticket_id, author_name FROM tickets_message WHERE text = 'Over stdio.'")
    assert kept == [(number, "stdio")]


def test_without_a_key_in_force_nobody_speaks(desk: RunningDesk) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for headers in ({}, {"Authorization": "Bearer td_wrong"}, {"X-API-KEY": "td_wrong"}):
        status, said, problem = _raw(desk, ping, **headers)
        assert (status, "Bearer" in said["WWW-Authenticate"], problem["status"]) == (401, True, 401)
    environment = {**desk.environment, "TRIAGE_API_KEY": "td_wrong"}
    command = [sys.executable, "manage.py", "mcp"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "no API key in force" in done.stderr


def test_pages_of_other_addresses_and_other_names_of_this_one_are_turned_away(desk: RunningDesk) -> None:
    key = {"Authorization": f"Bearer {desk.api_key('rebinding')}"}
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert _raw(desk, ping, **key, Host="evil.example")[0] == 400
    assert _raw(desk, ping, **key, Origin="https://evil.example")[0] == 403


def test_too_large_and_broken_requests_are_refused_and_the_desk_goes_on(desk: RunningDesk) -> None:
    key = {"Authorization": f"Bearer {desk.api_key('large')}"}
    assert _raw(desk, {"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"y": "z" * 1_100_000}}, **key)[0] == 413
    assert _raw(desk, ["not", "a", "request"], **key)[0] in (400, 422)

    async def work(client: Client) -> Any:
        return await client.list_prompts()

    assert len(_over_http(desk, desk.api_key("after"), work).prompts) == 2


def test_who_asks_too_often_is_told_when_to_come_back(desk: RunningDesk) -> None:
    key = {"Authorization": f"Bearer {desk.api_key('often')}"}
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answers = [_raw(desk, ping, **key) for _ in range(65)]
    status, headers, problem = answers[-1]
    assert (status, problem["code"], 0 < int(headers["Retry-After"]) <= 60) == (429, "too_many", True)
    assert answers[0][0] != 429


def test_the_desk_stops_in_time_although_somebody_spoke_mcp(open_folder_factory: Callable[[], Path]) -> None:
    """A tool must leave no thread behind that keeps the web process from ending."""
    import time

    with running_desk(open_folder_factory()) as one:
        _over_http(one, one.api_key("stop"), lambda client: client.call_tool("list_open_tickets", {}))
        began = time.monotonic()
        one.stop()
        assert time.monotonic() - began < 15
