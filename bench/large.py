"""A desk with 1,000,000 tickets: what each page asks of the database, and how long that takes.

Pages are rendered by Django's test client in this process, against the database of a running desk: server time without
the network, as different agents. `LARGE=100000` in the environment makes a smaller set.
"""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.rows import Row, percentile
from bench.stage import desk

TICKETS = int(os.environ.get("LARGE", "1000000"))
ROUNDS = 30
WARM = 3


def run(data: Path | None) -> list[Row]:
    with desk(LOG_LEVEL="WARNING"):
        from bench import large_set

        took = large_set.make(TICKETS)
        return [
            Row("tickets", float(TICKETS), "1,000,000", "tickets"),
            Row("making the set", sum(took.values()) / 60, "≤ 15", "min"),
            *(Row(f"making it: {name}", seconds, "", "s") for name, seconds in took.items()),
            *measure(),
        ]


def measure() -> list[Row]:
    """Every page of the list below, as agents of a team and as a lead."""
    from django.conf import settings

    settings.ALLOWED_HOSTS = ["*"]
    rows: list[Row] = []
    _save_views()
    for name, pages in _pages().items():
        rows += _page_rows(name, pages, wished=300 if name == "search of a common word" else 150)
    rows += _similar_rows()
    rows += _weight_rows()
    return rows


def _pages() -> dict[str, Callable[[int], str]]:
    from tickets.models import Status, Ticket

    numbers = list(
        Ticket.objects.filter(status=Status.IN_REVIEW).order_by("-number").values_list("pk", flat=True)[:900]
    )
    rare, common = _words()
    return {
        "queue page": lambda _: "/tickets/",
        "queue page, by when it is due": lambda _: "/tickets/?sort=due",
        "filtered queue page": lambda turn: f"/tickets/?team=large_{turn % 10}&priority=P2&category=bug",
        "resolved queue page": lambda _: "/tickets/?status=resolved",
        "ticket page": lambda turn: f"/tickets/{numbers[turn * 29 % len(numbers)]}/",
        "search of two words": lambda turn: f"/tickets/?q={rare[turn % len(rare)]}+{rare[(turn + 7) % len(rare)]}",
        "search of a common word": lambda turn: f"/tickets/?q={common[turn % len(common)]}",
        "what changed, asked by a desk": lambda _: f"/tickets/changes/?since={int(time.time() * 1000)}&shown=1",
    }


def _words() -> tuple[list[str], list[str]]:
    from bench.large_set import _word

    return [_word(number) for number in range(600, 900, 9)], [_word(number) for number in range(3)]


def _save_views() -> None:
    from tickets.models import View
    from triage.models import User

    lead = User.objects.get(username="large0")
    for number in range(8):
        query = f"priority=P{1 + number % 4}&team=large_{number}"
        View.objects.get_or_create(owner=lead, name=f"View {number}", defaults={"scope": "everyone", "query": query})


def _page_rows(name: str, address: Callable[[int], str], *, wished: int) -> Iterator[Row]:
    from django.db import connection, reset_queries
    from django.test import Client

    # Two leads, who see everything, and two agents of a team; a ticket may be another team's.
    clients = [_signed_in(Client(), number) for number in ((0, 1) if name == "ticket page" else (0, 7, 1, 23))]
    times: list[float] = []
    for turn in range(-WARM, ROUNDS):
        client = clients[turn % len(clients)]
        began = time.perf_counter()
        answer = client.get(address(turn))
        if answer.status_code != 200:
            raise RuntimeError(f"{address(turn)}: {answer.status_code}")
        if turn >= 0:
            times.append((time.perf_counter() - began) * 1000)
    connection.force_debug_cursor = True
    slowest, most = 0.0, 0
    for turn in range(4):
        reset_queries()
        clients[turn % len(clients)].get(address(turn))
        slowest = max([slowest, *(float(query["time"]) * 1000 for query in connection.queries)])
        most = max(most, len(connection.queries))
    connection.force_debug_cursor = False
    yield Row(f"{name}, p50", percentile(times, 0.5), "", "ms")
    yield Row(f"{name}, p95", percentile(times, 0.95), f"≤ {wished}", "ms")
    yield Row(f"{name}, queries", float(most), "≤ 15", "")
    yield Row(f"{name}, slowest query", slowest, "≤ 50", "ms")


def _signed_in(client: Any, number: int) -> Any:
    from triage.models import User

    client.force_login(User.objects.get(username=f"large{number}"))
    return client


def _similar_rows() -> Iterator[Row]:
    from tickets.models import Ticket
    from tickets.similar import similar_to
    from triage.models import User

    some = list(Ticket.objects.exclude(embedding=None).order_by("-number")[:ROUNDS])
    for name, user, wished in (("unscoped", "large0", 30), ("scoped to a team", "large12", 120)):
        visible = Ticket.objects.visible_to(User.objects.get(username=user))
        if name != "unscoped":
            visible = visible.filter(team__key="large_3")
        times: list[float] = []
        for ticket in some:
            with _clock(times):
                similar_to(ticket, visible)
        yield Row(f"similar tickets, {name}, p50", percentile(times, 0.5), "", "ms")
        yield Row(f"similar tickets, {name}, p95", percentile(times, 0.95), f"≤ {wished}", "ms")


@contextmanager
def _clock(times: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    times.append((time.perf_counter() - began) * 1000)


def _weight_rows() -> Iterator[Row]:
    """What a browser loads at first, and at a change, as gzip has it."""
    import re

    from django.contrib.staticfiles import finders
    from django.test import Client

    client = _signed_in(Client(), 0)
    page = client.get("/tickets/").content
    assets = re.findall(rb'(?:src|href)="(/static/[^"]+\.(?:js|css|svg))"', page)
    weight = len(gzip.compress(page))
    for asset in dict.fromkeys(assets):
        found = finders.find(asset.decode().removeprefix("/static/"))
        weight += len(gzip.compress(Path(str(found)).read_bytes()))
    yield Row("the queue at its first load, compressed", weight / 1000, "≤ 120", "KB")
    from tickets.models import Ticket

    number = Ticket.objects.filter(status="in_review").order_by("-number").values_list("pk", flat=True)[0]
    fragment = client.get(f"/tickets/{number}/pieces/", headers={"HX-Request": "true"}).content
    yield Row("the pieces of a ticket, compressed", len(gzip.compress(fragment)) / 1000, "≤ 15", "KB")
