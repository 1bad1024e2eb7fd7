"""1,000 events to 20 webhooks, five of which are dead or slow: how soon each live one hears of them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.rows import Row, percentile
from bench.stage import desk, free_port

EVENTS = 1_000
LIVE = 15
PATIENCE = 240.0  # seconds
Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Receivers:
    """Servers on loopback in one loop: live ones, one that is slow, one that never ends, one that answers 500.

    `heard` holds for each port when which message came, as [(monotonic, webhook-id)].
    """

    def __init__(self) -> None:
        self.heard: dict[int, list[tuple[float, str]]] = defaultdict(list)
        self.live: list[int] = []
        self.ill: list[int] = []
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._start())
        self._ready.set()
        self.loop.run_forever()

    async def _start(self) -> None:
        for number in range(LIVE + 3):
            temper = {LIVE: "slow", LIVE + 1: "endless", LIVE + 2: "broken"}.get(number, "live")
            server = await asyncio.start_server(self._serve(temper), "127.0.0.1", 0, backlog=512)
            port = server.sockets[0].getsockname()[1]
            (self.live if temper == "live" else self.ill).append(port)

    def _serve(self, temper: str) -> Serving:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            port = writer.get_extra_info("sockname")[1]
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    at = time.monotonic()
                    headers = dict(
                        line.lower().split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line
                    )
                    await reader.readexactly(int(headers["content-length"]))
                    self.heard[port].append((at, headers["webhook-id"]))
                    await self._answer(temper, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        return serve

    async def _answer(self, temper: str, writer: asyncio.StreamWriter) -> None:
        if temper == "slow":
            await asyncio.sleep(8)
        elif temper == "endless":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.5)
        status = b"500 Internal Server Error" if temper == "broken" else b"204 No Content"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    def start(self) -> None:
        self.thread.start()
        self._ready.wait(10)


@contextmanager
def mute() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        yield listening.getsockname()[1]


def run(data: Path | None) -> list[Row]:
    receivers = Receivers()
    receivers.start()
    switches = {"TRIAGE_WEBHOOKS_PRIVATE": "true", "TRIAGE_WEBHOOKS_HTTP": "true"}
    with mute() as silent, desk(**switches):
        return _measure(receivers, [*receivers.ill, silent, free_port()])


def _measure(receivers: Receivers, ill: list[int]) -> list[Row]:
    from tickets.actions import webhooks
    from tickets.actions.webhooks import Subscription
    from tickets.models import Ticket
    from triage.models import User

    by = User.objects.get(is_superuser=True)
    ticket = Ticket.objects.order_by("pk").first()
    assert ticket is not None
    for port in [*receivers.live, *ill]:
        url = f"http://127.0.0.1:{port}/hook"
        webhooks.keep(name=str(port), url=url, by=by, subscription=Subscription(["ticket.updated"]))
    time.sleep(3)  # the desk is at rest
    began, committed = time.monotonic(), []
    for number in range(EVENTS):
        Ticket.objects.filter(pk=ticket.pk).update(priority=f"P{number % 2 + 1}")
        committed.append(time.monotonic())
    while time.monotonic() - began < PATIENCE:
        if all(len({one for _, one in receivers.heard[port]}) >= EVENTS for port in receivers.live):
            break
        time.sleep(0.1)
    firsts = [receivers.heard[port][0][0] - committed[0] for port in receivers.live if receivers.heard[port]]
    lasts = [receivers.heard[port][-1][0] - began for port in receivers.live if receivers.heard[port]]
    missing = sum(EVENTS - len({one for _, one in receivers.heard[port]}) for port in receivers.live)
    twice = sum(len(heard) - len({one for _, one in heard}) for heard in (receivers.heard[p] for p in receivers.live))
    return [
        Row("1,000 events committed, each for 20 webhooks", committed[-1] - began, "", "s"),
        Row("the first of them at every one of 15 live webhooks", max(firsts, default=PATIENCE), "≤ 1", "s"),
        Row("the median of the first", percentile(firsts, 0.5), "", "s"),
        Row("all of them at every live webhook, 5 others dead or slow", max(lasts, default=PATIENCE), "≤ 120", "s"),
        Row("not told, or told twice, to live webhooks", float(missing + twice), "0", "messages"),
    ]
