"""The processes of a running desk by what they are, so that a test can choose its victim."""

from __future__ import annotations

import random
from contextlib import suppress

import psutil

from tests.running import RunningDesk
from triage.postgres import server

KINDS = ("web", "supervisor", "main", "sentinel", "worker", "monitor", "pusher", "postmaster", "backend")
# django-q2 forks them in this order; the ones it replaces later come last, and are hit all the same.
_BENEATH = ("worker", "monitor", "pusher")


def find(desk: RunningDesk, kind: str, chance: random.Random) -> psutil.Process | None:
    """A living process of that kind, or None while there is none: it was just killed."""
    with suppress(psutil.Error, OSError, ValueError, KeyError, IndexError):
        if kind in ("postmaster", "backend"):
            return _of_the_database(desk, kind, chance)
        if kind in ("web", "supervisor"):
            return psutil.Process(desk.running()["web" if kind == "web" else "worker"])
        sentinel = chance.choice(_sentinels(desk))
        if kind == "sentinel":
            return sentinel
        if kind == "main":
            return sentinel.parent()
        return sorted(sentinel.children(), key=lambda child: child.pid)[_BENEATH.index(kind)]
    return None


def _sentinels(desk: RunningDesk) -> list[psutil.Process]:
    """Children of a cluster's main process, which the supervisor forked: those that have children themselves."""
    supervisor = psutil.Process(desk.running()["worker"])
    return [one for main in supervisor.children() for one in main.children() if len(one.children()) >= len(_BENEATH)]


def _of_the_database(desk: RunningDesk, kind: str, chance: random.Random) -> psutil.Process:
    recorded = server.location(desk.var) / "data" / "postmaster.pid"
    postmaster = psutil.Process(int(recorded.read_text().splitlines()[0]))
    if kind == "postmaster":
        return postmaster
    return chance.choice([one for one in postmaster.children() if " triage " in " ".join(one.cmdline())])
