"""The night's fit under a live worker: killed at work it is made again, and what it makes is read with at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from django.utils import timezone

from tests.running import RunningDesk, running_desk, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]
READ = "SELECT count(*) = 0 FROM tickets_ticket WHERE triage_state IN ('submitted', 'processing')"
# Nothing the desk comes with knows these: only a fit that has seen them can.
PLANTS = [
    f"The {plant} {place} is dry and drops its leaves. Could somebody water it and look after the soil?"
    for plant in ("ficus", "palm", "fern", "orchid", "yucca", "cactus")
    for place in ("in the lobby", "by the lift", "in the canteen", "on the fourth floor")
]


@pytest.fixture
def desk(open_folder_factory: Callable[[], Path]) -> Iterator[RunningDesk]:
    with running_desk(open_folder_factory(), TIME_ZONE=zone_at(hour=12)) as one:
        wait_for(partial(is_read, one), seconds=60, what="the demo tickets are read")
        yield one


def zone_at(*, hour: int) -> str:
    """A time zone in which it is that hour now: the clock of the desk's people, not the machine's."""
    ahead = (hour - timezone.now().hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}"  # POSIX counts westwards


def is_read(desk: RunningDesk) -> bool:
    return desk.rows(READ) == [(True,)]


def send(desk: RunningDesk, key: str, text: str) -> int:
    body = {"title": "Plants", "description": text, "requester": {"email": "kim@example.com"}}
    number: int = desk.api("POST", "/tickets", key, body)[1]["number"]
    return number


def read_as(desk: RunningDesk, number: int) -> str | None:
    wait_for(partial(is_read, desk), seconds=60, what=f"ticket {number} is read")
    query = "SELECT fields #>> '{category,value}' FROM tickets_suggestion WHERE ticket_id = %s ORDER BY id DESC LIMIT 1"
    category: str | None = desk.rows(query, number)[0][0]
    return category


def fitting_process(desk: RunningDesk) -> psutil.Process | None:
    with suppress(psutil.Error):  # what ends while it is looked at
        below = psutil.Process(desk.running()["worker"]).children(recursive=True)
        return next((one for one in below if {"fit", "--claimed"} <= set(one.cmdline())), None)
    return None


def clusters(desk: RunningDesk) -> set[int]:
    """The worker's supervisor and the main processes beneath it, which fork all that reads."""
    supervisor = psutil.Process(desk.running()["worker"])
    return {supervisor.pid, *(main.pid for main in supervisor.children())}


def runs(desk: RunningDesk) -> list[tuple[object, ...]]:
    return desk.rows("SELECT cause, state, attempts, outcome FROM tickets_fitrun ORDER BY id")


def test_a_killed_fit_of_the_night_is_taken_up_again_and_swaps_in_under_a_live_worker(desk: RunningDesk) -> None:
    key = desk.api_key("the gardener")
    desk.rows(
        "INSERT INTO tickets_category (key, name, description, aliases, active) "
        "VALUES ('greenery', 'Greenery', '', '{}', true) RETURNING id"
    )
    for text in PLANTS[:-1]:
        desk.api("PATCH", f"/tickets/{send(desk, key, text)}", key, {"category": "greenery"})
    wait_for(partial(is_read, desk), seconds=60, what="all are read")
    assert runs(desk) == []  # by day so few decisions are worth no fit
    assert not reads_greenery(desk, key)

    desk.stop()
    desk.environment["TIME_ZONE"] = zone_at(hour=2)
    desk.start()
    before = desk.rows("SELECT version FROM triage_artifact WHERE live")
    victim = wait_for(partial(fitting_process, desk), seconds=60, what="the night's fit is being made")
    alive = clusters(desk)  # not sooner: the desk is ready before its supervisor has begun them all
    os.kill(victim.pid, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(victim.pid), seconds=10, what="the fit's process is gone")
    assert [run[:3] for run in runs(desk)] == [("night", "fitting", 1)]
    assert desk.rows("SELECT version FROM triage_artifact WHERE live") == before
    # Nobody renews its lease any more: let the minute pass.
    desk.rows("UPDATE tickets_fitrun SET lease_until = now() RETURNING id")

    wait_for(lambda: runs(desk)[0][1] == "done", seconds=180, what="the fit is made after all")
    ((cause, _, attempts, outcome),) = runs(desk)
    assert (cause, attempts) == ("night", 2) and str(outcome).startswith("In force.")
    assert desk.rows("SELECT version FROM triage_artifact WHERE live") != before
    wait_for(lambda: reads_greenery(desk, key), seconds=30, what="the worker reads with the new fit")
    assert clusters(desk) == alive


def reads_greenery(desk: RunningDesk, key: str) -> bool:
    return read_as(desk, send(desk, key, PLANTS[-1].replace("Could", "Would"))) == "greenery"
