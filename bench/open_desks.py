"""500 open desks: how soon each of them hears of a change to a ticket.

Each desk is a WebSocket of its own, as the queue's page opens it; they belong to 50 people. Client and server share the
machine, and reading 500 messages takes the client its time too.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from pathlib import Path

from bench.rows import Row, percentile
from bench.stage import Desk, desk

DESKS = 500
PEOPLE = 50
CHANGES = 30
APART = 1.0  # seconds
OPENED_AT_ONCE = 20


def run(data: Path | None) -> list[Row]:
    with desk() as running:
        cookies = _cookies()
        began = time.monotonic()
        delays, opened = asyncio.run(_listen(running, cookies))
        heard = len(delays)
    return [
        Row("desks opened, by 50 people", float(DESKS), "500", "desks"),
        Row("opening them", opened - began, "", "s"),
        Row("changes heard, of 30 at 500 desks", float(heard), f"{DESKS * CHANGES:,}", ""),
        Row("a change at a desk after it was made, p50", percentile(delays, 0.5), "", "s"),
        Row("a change at a desk after it was made, p95", percentile(delays, 0.95), "≤ 0.5", "s"),
        Row("the last of them", max(delays), "", "s"),
    ]


def _cookies() -> list[str]:
    from django.conf import settings
    from django.test import Client

    from tickets.models import Agent
    from triage.models import User

    cookies = []
    for number in range(PEOPLE):
        client = Client()
        person = User.objects.create_user(f"desk{number}", is_staff=True)
        Agent.objects.update_or_create(user=person, defaults={"role": Agent.Role.LEAD})
        client.force_login(person)
        cookies.append(client.cookies[settings.SESSION_COOKIE_NAME].OutputString().split(";")[0])
    return cookies


async def _listen(running: Desk, cookies: list[str]) -> tuple[list[float], float]:
    """The delays of all changes at all desks, and when the last desk was open."""
    gate = asyncio.Semaphore(OPENED_AT_ONCE)

    async def opened(number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with gate:
            return await _open(running, cookies[number % PEOPLE])

    sockets = await asyncio.gather(*(opened(number) for number in range(DESKS)))
    at = time.monotonic()
    await asyncio.sleep(2)
    made: dict[int, float] = {}
    delays: list[float] = []
    listening = [asyncio.create_task(_hear(reader, made, delays)) for reader, _ in sockets]
    for number in await asyncio.to_thread(_numbers):
        await asyncio.to_thread(_change, number)
        made[number] = time.monotonic()
        await asyncio.sleep(APART)
    await asyncio.sleep(3)
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    return delays, at


def _numbers() -> list[int]:
    from tickets.models import Ticket

    return list(Ticket.objects.open().order_by("-number").values_list("number", flat=True)[:CHANGES])


def _change(number: int) -> None:
    from tickets.actions import review
    from tickets.models import Ticket
    from triage.models import User

    ticket = Ticket.objects.get(pk=number)
    other = "P2" if ticket.priority != "P2" else "P3"
    review.correct(ticket=ticket, changes={"priority": other}, by=User.objects.get(username="desk0"))


async def _open(running: Desk, cookie: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket after its handshake (RFC 6455). Nothing is ever said into it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ws/desk/?queue=1 HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nOrigin: {running.url}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Cookie: {cookie}\r\n\r\n".encode()
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in answer.split(b"\r\n")[0]:
        raise RuntimeError(answer.decode(errors="replace")[:200])
    return reader, writer


async def _hear(reader: asyncio.StreamReader, made: dict[int, float], delays: list[float]) -> None:
    """Note when a desk was told of each change, by the row it was given."""
    heard: set[int] = set()
    while True:
        head = await reader.readexactly(2)
        size = head[1] & 127
        if size >= 126:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
        message = await reader.readexactly(size)
        now = time.monotonic()
        if not message.startswith(b'{"type": "tickets"'):
            continue
        for number, since in made.items():
            if number not in heard and b'"%d": ' % number in message:
                heard.add(number)
                delays.append(now - since)
