"""GitHub's webhooks at a whole desk: 25 KB each, from the door to 202, while the worker reads; and nothing lost.

BENCH_GITHUB_SECONDS shortens the minute at 60 a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from bench.rows import Row, percentile
from bench.stage import Desk, desk

SECRET = "a secret for the benchmark only"
SIZE = 25_000  # bytes of a payload
LOST = "http://127.0.0.1:9"  # no GitHub: nothing is asked of it here


def run(data: Path | None) -> list[Row]:
    seconds = int(os.environ.get("BENCH_GITHUB_SECONDS", "60"))
    with desk() as running:
        running.manage("connect_github", "acme/shop", "--secret", SECRET, "--base-url", LOST)
        asyncio.run(_steadily(running, rate=5, seconds=2, first=1))  # warm
        slow, failed = asyncio.run(_steadily(running, rate=20, seconds=30, first=100))
        rows = [
            Row("25 KB webhook to 202, 20 a second for 30 s, p50", percentile(slow, 0.5), "", "ms"),
            Row("25 KB webhook to 202, 20 a second for 30 s, p95", percentile(slow, 0.95), "≤ 50", "ms"),
            Row("refused or broken of 600", float(failed), "0", "deliveries"),
        ]
        running.wait_until_read()
        quick, failed = asyncio.run(_steadily(running, rate=60, seconds=seconds, first=10_000))
        rows += [
            Row(f"25 KB webhook to 202, 60 a second for {seconds} s, p95", percentile(quick, 0.95), "", "ms"),
            Row(f"refused or broken of {60 * seconds:,}", float(failed), "0", "deliveries"),
        ]
        rows += _settled(10 + 600 + 60 * seconds)
        running.wait_until_read(900)
        same = asyncio.run(_the_same(running, 100))
        rows.append(Row("tickets of one delivery sent 100 times at once", same, "1", "tickets"))
    return rows


def _settled(sent: int) -> list[Row]:
    """How long the worker takes to make tickets of what waits, and what is missing then."""
    from tickets.models import GithubEvent, Ticket

    began = time.monotonic()
    while GithubEvent.objects.filter(state__in=("queued", "working")).exists() and time.monotonic() - began < 600:
        time.sleep(0.1)
    waited = time.monotonic() - began
    lost = sent - Ticket.objects.filter(source__name="acme/shop").count()
    return [
        Row("until all of them are tickets, after the last was sent", waited, "", "s"),
        Row(f"lost of {sent:,}", float(lost), "0", "tickets"),
    ]


async def _the_same(running: Desk, times: int) -> float:
    from asgiref.sync import sync_to_async

    from tickets.models import GithubEvent, Ticket

    body = _payload(99_999)
    await asyncio.gather(*(_post(running, body, "the-same") for _ in range(times)))
    for _ in range(300):
        if not await sync_to_async(GithubEvent.objects.filter(state__in=("queued", "working")).exists)():
            break
        await asyncio.sleep(0.1)
    return float(await sync_to_async(Ticket.objects.filter(external_id="99999").count)())


async def _steadily(running: Desk, *, rate: float, seconds: float, first: int) -> tuple[list[float], int]:
    """(milliseconds of each that was answered 202, how many were not)."""
    times: list[float] = []
    failed = 0

    async def one(number: int) -> None:
        nonlocal failed
        body = _payload(number)
        began = time.perf_counter()
        try:
            status = await asyncio.wait_for(_post(running, body, str(uuid.uuid4())), 30)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, IndexError, ValueError):
            status = 0
        if status == 202:
            times.append((time.perf_counter() - began) * 1000)
        else:
            failed += 1

    began, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one(first + number)))
    await asyncio.gather(*tasks)
    return times, failed


def _payload(number: int) -> bytes:
    issue: dict[str, Any] = {
        "id": 5_000_000 + number, "number": number, "title": f"Export {number} stops half way",
        "body": f"Since this morning the CSV export of list {number} stops half way and shows an error. " * 8,
        "state": "open", "user": {"login": f"user{number % 500}", "id": 1_000 + number % 500, "type": "User"},
        "labels": [{"name": "bug", "color": "d73a4a"}], "assignees": [], "author_association": "NONE",
        "created_at": "2026-01-05T09:00:00Z", "updated_at": "2026-01-05T09:00:00Z",
        "html_url": f"https://github.com/acme/shop/issues/{number}",
    }  # fmt: skip
    content = {"action": "opened", "issue": issue, "repository": {"full_name": "acme/shop", "id": 1}}
    content["sender"] = issue["user"]
    content["more"] = "x" * (SIZE - len(json.dumps(content)) - 12)
    return json.dumps(content).encode()


async def _post(running: Desk, body: bytes, delivery: str) -> int:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    head = (
        f"POST /webhooks/github HTTP/1.1\r\nHost: localhost:{running.port}\r\nContent-Type: application/json\r\n"
        f"X-GitHub-Event: issues\r\nX-GitHub-Delivery: {delivery}\r\nX-Hub-Signature-256: sha256={signature}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    await reader.read()
    writer.close()
    return status
