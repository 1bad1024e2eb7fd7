"""The official client at a real desk: over HTTP through daphne, and over the standard streams of `manage.py mcp`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.running import ROOT, RunningDesk, running_desk, wait_for

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
# In one process: each of `manage.py create_api_key` would load all of Django anew. Bruno's team has no ticket.
KEYS = """
import json
from tickets.actions import keys
from tickets.models import Agent, Team
from triage.models import User
bruno = User.objects.create_user("bruno")
Agent.objects.create(user=bruno).teams.set([Team.objects.create(key="nobody", name="Nobody's")])
made = {}
for name, scopes, user in (
    ("writer", ["read", "write"], None), ("legacy", ["read", "write"], None), ("stdio", ["read", "write"], None),
    ("reader", ["read"], None), ("door", ["read"], None), ("bruno", ["read", "write"], "bruno"),
):
    made[name] = keys.create(name=name, scopes=scopes, username=user, source_name="MCP")[1]
print(json.dumps(made))
"""
CALLS: dict[str, dict[str, Any]] = {
    "get_ticket": {},
    "search_similar": {},
    "post_escalation_alert": {"reason": "Production is down."},
    "add_note": {"text": "The export again."},
    "propose_reply": {"text": "Thank you for telling us."},
}

pytestmark = pytest.mark.timeout(400)  # a whole desk is started


@pytest.fixture(scope="module")
def desk(open_folder_factory: Callable[[], Path]) -> Iterator[RunningDesk]:
    unread = "SELECT count(*) FROM tickets_ticket WHERE triage_state IN ('submitted', 'processing')"
    with running_desk(open_folder_factory(), TRIAGE_MCP_PER_MINUTE="30") as one:
        wait_for(lambda: one.rows(unread) == [(0,)], seconds=90, what="the demo tickets are read")
        yield one


@pytest.fixture(scope="module")
def keys(desk: RunningDesk) -> dict[str, str]:
    made: dict[str, str] = json.loads(desk.manage("shell", "-c", KEYS).splitlines()[-1])
    return made


def _over_http(desk: RunningDesk, key: str, work: Any, mode: str = "auto") -> Any:
    async def talk() -> Any:
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
            transport = streamable_http_client(f"{desk.address}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                return await work(client)

    return asyncio.run(talk())


def _raw(desk: RunningDesk, body: Any, method: str = "POST", **headers: str) -> tuple[int, dict[str, str], Any]:
    given = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{desk.port}/mcp", method=method, data=data, headers=given)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            said = refused.read()
            return refused.code, dict(refused.headers), json.loads(said) if said.startswith(b"{") else said


def test_over_http_every_tool_does_what_it_says_and_nothing_is_sent(desk: RunningDesk, keys: dict[str, str]) -> None:
    async def work(client: Any) -> Any:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        listed = await client.call_tool("list_open_tickets", {"limit": 5})
        number = listed.structured_content["items"][0]["number"]
        said = {name: await client.call_tool(name, {"number": number, **more}) for name, more in CALLS.items()}
        text = {"title": "Invoice", "description": "The invoice of May shows a wrong sum."}
        said["classify_text"] = await client.call_tool("classify_text", text)
        return tools, number, said

    before = desk.rows("SELECT count(*) FROM tickets_delivery")
    tools, number, said = _over_http(desk, keys["writer"], work)
    assert tools == {*said, "list_open_tickets"}
    assert [name for name, one in said.items() if one.is_error] == []
    shown, similar = said["get_ticket"].structured_content, said["search_similar"].structured_content["items"]
    assert (shown["number"], bool(shown["conversation"])) == (number, True)
    assert similar
    assert number not in {one["number"] for one in similar}
    assert said["classify_text"].structured_content["confidence"]["category"] > 0
    ticket = desk.rows("SELECT status, escalation_reason FROM tickets_ticket WHERE number = %s", number)
    assert ticket == [("escalated", "Production is down.")]
    note = desk.rows("SELECT kind, author_name FROM tickets_message WHERE text = %s", CALLS["add_note"]["text"])
    assert note == [("comment", "writer")]
    draft = desk.rows("SELECT text, proposed_by, editor_id FROM tickets_draft WHERE ticket_id = %s", number)
    assert draft == [(CALLS["propose_reply"]["text"], "writer", None)]
    assert desk.rows("SELECT count(*) FROM tickets_delivery") == before


def test_a_client_of_the_older_protocol_reads_prompts_and_resources(desk: RunningDesk, keys: dict[str, str]) -> None:
    async def work(client: Any) -> Any:
        prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
        prompt = await client.get_prompt("draft_a_reply", {"number": "7"})
        return prompts, prompt.messages[0].content.text, await client.read_resource("desk://taxonomy")

    prompts, prompt, taxonomy = _over_http(desk, keys["legacy"], work, "legacy")
    assert prompts == {"triage_this_ticket", "draft_a_reply"}
    assert "ticket 7" in prompt
    assert "nobody" in {team["key"] for team in json.loads(taxonomy.contents[0].text)["teams"]}


def test_over_stdio_the_same_is_read_and_a_note_written(desk: RunningDesk, keys: dict[str, str]) -> None:
    environment = {**desk.environment, "TRIAGE_API_KEY": keys["stdio"]}
    server = StdioServerParameters(command=sys.executable, args=["manage.py", "mcp"], cwd=ROOT, env=environment)

    async def talk() -> Any:
        async with Client(stdio_client(server)) as client:
            listed = await client.call_tool("list_open_tickets", {"limit": 1})
            number = listed.structured_content["items"][0]["number"]
            noted = await client.call_tool("add_note", {"number": number, "text": "Over stdio."})
            read = await client.call_tool("classify_text", {"title": "Invoice", "description": "A wrong invoice."})
            ticket = await client.read_resource(f"desk://tickets/{number}")
            prompt = await client.get_prompt("triage_this_ticket", {"number": str(number)})
            return number, noted, read, ticket, prompt

    number, noted, read, ticket, prompt = asyncio.run(talk())
    assert not noted.is_error
    assert read.structured_content["category"]
    assert json.loads(ticket.contents[0].text)["number"] == number
    assert f"ticket {number}" in prompt.messages[0].content.text
    kept = desk.rows("SELECT ticket_id, author_name FROM tickets_message WHERE text = 'Over stdio.'")
    assert kept == [(number, "stdio")]


def test_without_a_key_in_force_nobody_speaks(desk: RunningDesk) -> None:
    for headers in ({}, {"Authorization": "Bearer td_wrong"}, {"X-API-KEY": "td_wrong"}):
        status, said, problem = _raw(desk, PING, **headers)
        assert (status, "Bearer" in said["WWW-Authenticate"], problem["status"]) == (401, True, 401)
    environment = {**desk.environment, "TRIAGE_API_KEY": "td_wrong"}
    command = [sys.executable, "manage.py", "mcp"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "no API key in force" in done.stderr


def test_a_key_does_no_more_than_its_scopes_and_sees_no_other_team_s_ticket(
    desk: RunningDesk, keys: dict[str, str]
) -> None:
    of_a_team = """
        SELECT min(number) FROM tickets_ticket JOIN tickets_team ON tickets_team.id = team_id
        WHERE key <> 'manual_review' AND merged_into_id IS NULL"""
    number = desk.rows(of_a_team)[0][0]

    async def work(client: Any) -> Any:
        said = {name: await client.call_tool(name, {"number": number, **more}) for name, more in CALLS.items()}
        listed = await client.call_tool("list_open_tickets", {})
        try:
            ticket = (await client.read_resource(f"desk://tickets/{number}")).contents[0].text
        except MCPError:
            ticket = ""
        refused = {name: one.content[0].text for name, one in said.items() if one.is_error}
        return refused, listed.structured_content["items"], ticket

    refused, listed, ticket = _over_http(desk, keys["reader"], work)
    assert set(refused) == {"post_escalation_alert", "add_note", "propose_reply"}
    assert all("scope write" in sentence for sentence in refused.values())
    assert listed
    assert ticket
    refused, listed, ticket = _over_http(desk, keys["bruno"], work)
    assert set(refused) == set(CALLS)
    assert all(f"There is no ticket {number}" in sentence for sentence in refused.values())
    assert {one["team"] for one in listed} <= {None, "manual_review"}, "which is everybody's"
    assert ticket == ""


def test_what_is_no_request_of_this_protocol_is_refused_and_the_desk_goes_on(
    desk: RunningDesk, keys: dict[str, str]
) -> None:
    key = {"Authorization": f"Bearer {keys['door']}"}
    assert _raw(desk, PING, **key, Host="evil.example")[0] == 400
    assert _raw(desk, PING, **key, Origin="https://evil.example")[0] == 403
    began = time.monotonic()
    assert _raw(desk, None, method="GET", **key)[0] == 405, "no stream is held open for whoever asks"
    assert time.monotonic() - began < 10
    assert _raw(desk, {**PING, "params": {"y": "z" * 1_100_000}}, **key)[0] == 413
    assert _raw(desk, ["not", "a", "request"], **key)[0] in (400, 422)
    answers = [_raw(desk, PING, **key) for _ in range(30)]
    assert answers[0][0] not in (429, 500)
    status, headers, problem = answers[-1]
    assert (status, problem["code"], 0 < int(headers["Retry-After"]) <= 60) == (429, "too_many", True)


def test_the_desk_stops_in_time_although_somebody_spoke_mcp(desk: RunningDesk, keys: dict[str, str]) -> None:
    """A tool must leave no thread behind that keeps the web process from ending. It is the last test of this desk."""
    _over_http(desk, keys["legacy"], lambda client: client.call_tool("list_open_tickets", {}))
    began = time.monotonic()
    desk.stop()
    assert time.monotonic() - began < 25
