"""A drain through a model, over real HTTP: many tickets in flight, and what stops them in the middle."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.utils import timezone
from pytest_django import Settings

from tests.tickets.conftest import MakeTicket
from tickets import tasks
from tickets.models import Suggestion, Ticket, TriageState
from tickets.threads import CROWD, MOST, Threads
from triage import ledger
from triage.models import Breaker, Budget, Call, Pause, Price, Spending
from triage.providers.fake import FakeMessagesAPI

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_connection_left() -> Iterator[None]:
    yield
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMessagesAPI]:
    with FakeMessagesAPI(latency=0.2) as fake:
        settings.ANTHROPIC_BASE_URL, settings.ANTHROPIC_API_KEY = fake.base_url, "test-key"
        settings.TRIAGE_MODEL = "claude-haiku-5-5"
        # No local engine: fitting one would take longer than all of this.
        monkeypatch.setattr("triage.learning.live.load_local", lambda: None)
        yield fake


def drain() -> None:
    asyncio.run(tasks.Drain("interactive").run())


def notes() -> str:
    return " ".join(note for row in Suggestion.objects.all() for note in row.notes)


def test_no_more_calls_are_in_flight_than_the_setting_says(
    server: FakeMessagesAPI, settings: Settings, make_ticket: MakeTicket
) -> None:
    settings.TRIAGE_CONCURRENCY = 5
    for number in range(14):
        make_ticket(title=f"Ticket {number}")
    drain()
    assert server.most_in_flight == 5
    assert Ticket.objects.filter(triage_state=TriageState.TRIAGED).count() == 14
    assert Call.objects.filter(status="ok").count() == 28


def test_a_budget_that_ends_in_the_middle_of_a_drain_degrades_what_is_left_and_loses_no_ticket(
    server: FakeMessagesAPI, settings: Settings, make_ticket: MakeTicket
) -> None:
    settings.TRIAGE_CONCURRENCY = 50
    for number in range(60):
        make_ticket(title=f"Ticket {number}")
    _one_dollar_and_a_price()
    # What is left pays for less than one call: all that are in flight then may still end, and no further one begins.
    Spending.objects.create(month=timezone.localdate().replace(day=1), cost=Decimal("0.999999"))
    drain()
    assert Ticket.objects.filter(triage_state=TriageState.TRIAGED).count() == 60
    begun = Call.objects.count()
    assert 1 <= begun <= 50 and begun == len(server.bodies)
    assert Budget.state().spent <= Decimal(1) + sum(call.cost or 0 for call in Call.objects.all())
    assert "The model gave no answer: the budget of $1.00 for this month is spent" in notes()
    assert Suggestion.objects.filter(draft_engine="template").count() >= 60 - begun


def _one_dollar_and_a_price() -> None:
    """What migrations planted is gone after the first test that commits."""
    Budget.objects.update_or_create(pk=1, defaults={"monthly_limit": Decimal("1")})
    rates = dict.fromkeys(("input", "cache_read", "cache_write_5m", "cache_write_1h", "output"), Decimal("0.5"))
    Price.objects.update_or_create(model="claude-haiku-5-5", valid_from=date(2026, 1, 1), defaults=rates)
    ledger._price.cache_clear()


def test_a_cap_degrades_to_the_engines_that_run_here_with_a_note(
    server: FakeMessagesAPI, settings: Settings, make_ticket: MakeTicket
) -> None:
    settings.TRIAGE_CALLS_A_DAY = 3
    for number in range(5):
        make_ticket(title=f"Ticket {number}")
    drain()
    assert Ticket.objects.filter(triage_state=TriageState.TRIAGED).count() == 5
    assert Call.objects.count() == 3
    assert "the 3 calls that are allowed a day are used up" in notes()


def test_a_provider_that_is_down_is_asked_a_few_times_and_every_ticket_is_read_all_the_same(
    server: FakeMessagesAPI, settings: Settings, make_ticket: MakeTicket
) -> None:
    settings.TRIAGE_CONCURRENCY = 5
    server.always("unauthorised")
    for number in range(20):
        make_ticket(title=f"Ticket {number}")
    drain()
    assert Ticket.objects.filter(triage_state=TriageState.TRIAGED).count() == 20
    assert len(server.bodies) == Call.objects.count() <= 10  # five open the breaker; five more were under way
    assert Breaker.objects.get().state == "open"


def test_a_pause_lets_what_is_being_read_end_and_begins_nothing_new(
    server: FakeMessagesAPI, settings: Settings, make_ticket: MakeTicket
) -> None:
    settings.TRIAGE_CONCURRENCY = 1  # two tickets in flight
    for number in range(6):
        make_ticket(title=f"Ticket {number}")
    server.latency = 0.5

    async def paused_in_the_middle() -> None:
        under_way = asyncio.create_task(tasks.Drain("interactive").run())
        while not server.bodies:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.to_thread(_pause)
        await under_way

    asyncio.run(paused_in_the_middle())
    states = list(Ticket.objects.order_by("number").values_list("triage_state", flat=True))
    assert states == ["triaged", "triaged", "submitted", "submitted", "submitted", "submitted"]
    assert Pause.end(by="Ada")
    drain()
    assert Ticket.objects.filter(triage_state=TriageState.TRIAGED).count() == 6


def _pause() -> None:
    try:
        Pause.begin(by="Ada")
    finally:
        connection.close()


def test_the_tickets_of_one_drain_share_a_few_threads_and_no_connection_is_left_of_them() -> None:
    seen: set[int] = set()
    open_at_once: list[int] = []

    def look() -> None:
        connection.ensure_connection()
        seen.add(threading.get_ident())
        open_at_once.append(_connections())

    async def crowd(tickets: int) -> None:
        threads = Threads()

        async def work() -> None:
            await sync_to_async(look)()
            await asyncio.sleep(0.05)

        await asyncio.gather(*(threads.run(work) for _ in range(tickets)))
        await threads.close()

    assert _settled(1) == 1  # what the test before left is gone
    asyncio.run(crowd(CROWD))
    assert len(seen) == 1  # a few tickets need no second connection
    before = _connections()
    asyncio.run(crowd(10 * CROWD))
    assert len(seen) == MOST
    assert max(open_at_once) == before + MOST - 1
    assert _settled(before) == before


def _settled(wished: int) -> int:
    """How many connections there are, when no more are left than wished or 10 s are over: a server closes them late."""
    until = time.monotonic() + 10
    while (there := _connections()) > wished and time.monotonic() < until:
        time.sleep(0.05)
    return there


def _connections() -> int:
    clients = "backend_type = 'client backend' AND datname = current_database()"  # not a vacuum that is at work
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {clients}")
        return int(cursor.fetchone()[0])
