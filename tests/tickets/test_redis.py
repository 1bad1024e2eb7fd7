"""With REDIS_URL the bell and the live events go through Redis: real processes against a real server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from triage.postgres import server

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.redis, pytest.mark.timeout(240)]

TAKE_ONE_IN = """
import asyncio, sys, time
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from tickets.actions import intake
from tickets.channels.base import Inbound
from tickets.models import Source, Ticket

def take_in():
    inbound = Inbound(title="Printer jams", text="Tray two is stuck again.", requester_email="kim@example.com")
    return intake.receive(inbound, source=Source.objects.get(kind="form")).ticket.number

async def main():
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add("desk", channel)
    number = await sync_to_async(take_in)()
    kinds = []
    while "read" not in kinds:
        message = await asyncio.wait_for(layer.receive(channel), 60)
        if message["number"] == number:
            kinds.append(message["kind"])
    state = await Ticket.objects.values_list("triage_state", flat=True).aget(pk=number)
    print(type(layer).__name__, *kinds, state)

asyncio.run(main())
"""


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    assert program, "redis-server is missing; `make test` installs it or leaves these tests out"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
        process.terminate()


@pytest.fixture
def environment(redis_url: str, open_folder: Path) -> Iterator[dict[str, str]]:
    var = open_folder / "var"
    kept = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "PYTEST_VERSION"}}
    yield {**kept, "TRIAGE_VAR": str(var), "REDIS_URL": redis_url}
    server.stop(var)


def _manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_ticket_is_rung_for_read_and_announced_through_redis(environment: dict[str, str]) -> None:
    _manage(environment, "migrate", "-v0")
    _manage(environment, "seed", "--no-demo")
    worker = subprocess.Popen([sys.executable, "manage.py", "work"], cwd=ROOT, env=environment)
    try:
        said = _manage(environment, "shell", "-v0", "-c", TAKE_ONE_IN)
    finally:
        worker.terminate()
        worker.wait(30)
    words = said.split()
    assert words[0] == "RedisChannelLayer"
    assert words[1] == "created" and words[-2:] == ["read", "triaged"]
