from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from triage.gate import Gate

pytestmark = pytest.mark.asyncio

START = {"type": "http.response.start", "status": 200, "headers": []}


class Desk:
    """An application that answers when it is let go, and knows how many it had at once."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.now = self.most = 0
        self.seen: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope["path"])
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if scope["path"] == "/breaks":
                raise RuntimeError
            if scope["path"] == "/download":
                await send(START)
            await self.go.wait()
            if scope["path"] != "/download":
                await send(START)
        finally:
            self.now -= 1


async def ask(gate: Gate, path: str) -> list[Any]:
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    await gate({"type": "http", "path": path}, None, send)  # type: ignore[arg-type]
    return sent


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_so_many_are_inside_and_the_others_follow_in_their_order() -> None:
    desk = Desk()
    gate = Gate(desk, at_once=2, patience=60)
    asked = [asyncio.create_task(ask(gate, f"/{number}")) for number in range(6)]
    await settled()
    assert desk.seen == ["/0", "/1"]
    desk.go.set()
    answers = await asyncio.gather(*asked)
    assert [sent[0]["status"] for sent in answers] == [200] * 6
    assert (desk.most, desk.seen) == (2, [f"/{number}" for number in range(6)])


async def test_who_waits_too_long_is_told_to_come_again() -> None:
    desk = Desk()
    gate = Gate(desk, at_once=1, patience=0.05)
    inside = asyncio.create_task(ask(gate, "/tickets/"))
    await settled()
    start, body = await ask(gate, "/api/v1/tickets")
    assert start["status"] == 503 and (b"retry-after", b"5") in start["headers"]
    assert json.loads(body["body"])["code"] == "busy"
    start, body = await ask(gate, "/tickets/")
    assert start["status"] == 503 and body["body"].startswith(b"Triage Desk has more to do")
    desk.go.set()
    assert (await inside)[0]["status"] == 200
    assert (await ask(gate, "/tickets/"))[0]["status"] == 200


async def test_health_and_static_files_do_not_wait() -> None:
    desk = Desk()
    gate = Gate(desk, at_once=1, patience=60)
    waiting = [asyncio.create_task(ask(gate, path)) for path in ("/tickets/", "/readyz", "/static/app.css")]
    await settled()
    assert desk.now == 3
    desk.go.set()
    await asyncio.gather(*waiting)


async def test_a_place_is_given_back_by_errors_by_who_hangs_up_and_by_who_begins_a_long_answer() -> None:
    desk = Desk()
    gate = Gate(desk, at_once=1, patience=0.2)
    for _ in range(3):
        results = await asyncio.gather(ask(gate, "/breaks"), return_exceptions=True)
        assert isinstance(results[0], RuntimeError)
    gone = asyncio.create_task(ask(gate, "/tickets/"))
    queued = asyncio.create_task(ask(gate, "/tickets/"))
    await settled()
    queued.cancel()
    gone.cancel()
    await asyncio.gather(gone, queued, return_exceptions=True)
    download = asyncio.create_task(ask(gate, "/download"))
    await settled()
    page = asyncio.create_task(ask(gate, "/tickets/"))
    await settled()
    assert desk.now == 2
    desk.go.set()
    assert [(await one)[0]["status"] for one in (download, page)] == [200, 200]
    assert not gate.places.locked()
