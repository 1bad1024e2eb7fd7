"""kill -9 of anything at any moment: what was acknowledged is done once, what was approved is sent once or unknown."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.faults.load import Load
from tests.faults.processes import KINDS, find
from tests.running import RunningDesk, running_desk, wait_for
from triage.postgres import server

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]
MOMENTS = 20
SETTLED = """
    SELECT count(*) FILTER (WHERE triage_state IN ('submitted', 'processing')),
           (SELECT count(*) FROM tickets_delivery WHERE state IN ('queued', 'sending'))
    FROM tickets_ticket
"""


@pytest.fixture(scope="module")
def desk(open_folder_factory: Callable[[], Path]) -> Iterator[RunningDesk]:
    with running_desk(open_folder_factory()) as one:
        wait_for(lambda: settled(one), seconds=60, what="the demo tickets are read")
        yield one


def settled(desk: RunningDesk) -> bool:
    return desk.rows(SETTLED) == [(0, 0)]


def settle(desk: RunningDesk, what: str) -> None:
    try:
        wait_for(lambda: settled(desk), seconds=60, what=what)
    except AssertionError as stuck:
        left = desk.rows(
            "SELECT 'ticket', number, triage_state, attempts, error, lease_until - now(), not_before - now() "
            "FROM tickets_ticket WHERE triage_state IN ('submitted', 'processing') UNION ALL "
            "SELECT 'delivery', id, state, attempts, error, lease_until - now(), not_before - now() "
            "FROM tickets_delivery WHERE state IN ('queued', 'sending') LIMIT 20"
        )
        raise AssertionError(f"{stuck} Left: {left}. The worker said last:\n{desk.said_last('worker')}") from stuck


def kill_at_random(desk: RunningDesk, chance: random.Random) -> Counter[str]:
    """Twenty kills, each kind at least twice, half a second to three apart."""
    plan = [*KINDS, *KINDS, *chance.choices(KINDS, k=MOMENTS - 2 * len(KINDS))]
    chance.shuffle(plan)
    killed: Counter[str] = Counter()
    for kind in plan:
        time.sleep(chance.uniform(0.5, 3.0))
        victim = wait_for(partial(find, desk, kind, chance), seconds=30, what=f"a {kind} lives again")
        os.kill(victim.pid, signal.SIGKILL)
        killed[kind] += 1
    return killed


def test_nothing_is_lost_and_nothing_done_twice_while_processes_are_killed(desk: RunningDesk) -> None:
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(10**6)))
    print(f"FAULTS_SEED={seed}")
    chance = random.Random(seed)
    load = Load(desk, "kills", desk.api_key("the load", "read,write,approve", "--user", "admin"))
    load.start()
    killed = kill_at_random(desk, chance)
    time.sleep(2)
    load.stop()
    settle(desk, "all work is done after the last kill")
    print(f"{dict(killed)}; {len(load.tickets)} tickets, {len(load.approved)} approvals, {load.refusals} asked again")

    assert load.surprises == [], f"seed {seed}"
    assert len(load.tickets) > 30, f"seed {seed}: too little load to say anything"
    assert len(load.approved) > 2, f"seed {seed}: too few approvals to say anything"
    every_ticket_is_triaged_once(desk, load)
    every_reply_is_sent_once_or_unknown(desk, load)


def every_ticket_is_triaged_once(desk: RunningDesk, load: Load) -> None:
    stored = desk.rows(
        """
        SELECT split_part(t.idempotency_key, ':', 2), t.number, t.triage_state,
               (SELECT count(*) FROM tickets_suggestion WHERE ticket_id = t.number),
               (SELECT count(*) FROM tickets_message WHERE ticket_id = t.number AND kind = 'inbound')
        FROM tickets_ticket t WHERE t.idempotency_key LIKE %s
        """,
        f"%:{load.name}-%",
    )
    assert {key: number for key, number, *_ in stored} == load.tickets
    assert [row for row in stored if row[2:] != ("triaged", 1, 1)] == []


def every_reply_is_sent_once_or_unknown(desk: RunningDesk, load: Load) -> None:
    deliveries = desk.rows(
        "SELECT d.ticket_id, d.state, d.recipient FROM tickets_delivery d "
        "JOIN tickets_ticket t ON t.number = d.ticket_id WHERE t.idempotency_key LIKE %s ORDER BY ticket_id",
        f"%:{load.name}-%",
    )
    assert [ticket for ticket, _, _ in deliveries] == sorted(load.approved)
    mails = desk.mails()
    for ticket, state, recipient in deliveries:
        copies = sum(f"To: {recipient}" in mail for mail in mails)
        allowed = {"sent": {1}, "unknown": {0, 1}}[state]
        assert copies in allowed, f"ticket {ticket} is {state} and left {copies} times"
    assert len(mails) <= len(deliveries)


def test_a_connection_lost_in_the_middle_of_a_reading_does_not_stay_lost(desk: RunningDesk) -> None:
    key = desk.api_key("the cut connections")
    stored = desk.api("POST", "/tickets", key, {"title": "Before the cut", "description": "Hello?"})[1]["number"]
    settle(desk, "the ticket is read")
    with desk.holding("tickets_suggestion") as holder:
        desk.api("POST", f"/tickets/{stored}/reprocess", key, {})
        wait_for(partial(is_in, desk, stored, "processing"), seconds=10, what="it is being read again")
        time.sleep(1)
        desk.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = 'triage' AND pid NOT IN (pg_backend_pid(), %s)",
            holder,
        )
    wait_for(partial(is_in, desk, stored, "triaged"), seconds=40, what="it is read over a new connection")


def is_in(desk: RunningDesk, number: int, state: str) -> bool:
    return desk.rows("SELECT triage_state FROM tickets_ticket WHERE number = %s", number) == [(state,)]


def test_killing_the_starter_ends_everything_and_loses_nothing(desk: RunningDesk) -> None:
    load = Load(desk, "starter", desk.api_key("the load of the restart"))
    load.start()
    wait_for(lambda: len(load.tickets) >= 10, seconds=30, what="ten tickets are stored")
    parts = [psutil.Process(desk.running()["up"])]
    parts += parts[0].children(recursive=True)
    os.kill(parts[0].pid, signal.SIGKILL)
    load.ebb()
    _, alive = psutil.wait_procs(parts, timeout=15)
    assert alive == []
    wait_for(lambda: not server.status(desk.var).running, seconds=15, what="the database server ends too")
    desk.start()
    load.stop()
    settle(desk, "all work is done after the restart")
    every_ticket_is_triaged_once(desk, load)
