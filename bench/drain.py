"""One worker process reads many tickets through a model that answers in 1.5 seconds, 50 calls in flight."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.rows import Row
from bench.stage import ROOT, free_port

TICKETS = 400
TEXT = "Something is odd with our plan and the invoice, and the export too; please look. " * 3


def run(data: Path | None) -> list[Row]:
    port = free_port()
    command = [sys.executable, "-m", "triage.providers.fake", "--port", str(port), "--latency", "1.5"]
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as folder:
        Path(folder).chmod(0o755)  # root's database runs as another user, who must reach it
        os.environ |= {
            "TRIAGE_VAR": f"{folder}/var",
            "DJANGO_SETTINGS_MODULE": "triage.settings",
            "LOG_LEVEL": "WARNING",
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
            "TRIAGE_MODEL": "claude-haiku-5-5",
        }
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            _plant()
            worker = [sys.executable, "-m", "bench.drain"]  # of its own: nobody else's memory counts as the worker's
            env = {**os.environ, "TRIAGE_ROLE": "worker"}
            done = subprocess.run(worker, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
        finally:
            server.terminate()
            server.wait(10)
            subprocess.run([sys.executable, "manage.py", "stop"], cwd=ROOT, check=False, stdout=sys.stderr)
    return [Row(*row) for row in json.loads(done.stdout.splitlines()[-1])]


def _plant() -> None:
    """Tables, taxonomy, the local engine, and tickets that wait."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from tickets import tasks
    from tickets.actions import intake
    from tickets.actions.seeding import plant_taxonomy
    from tickets.channels.base import Inbound
    from tickets.models import Source

    call_command("migrate", verbosity=0)
    plant_taxonomy()
    tasks.warm()
    form = Source.objects.get(kind="form")
    for number in range(TICKETS):
        address = f"c{number}@example.com"
        inbound = Inbound(title=f"Export {number} fails", text=f"{TEXT} {number}", requester_email=address)
        intake.receive(inbound, source=form)
    connections.close_all()


def _drain() -> list[Row]:
    import django

    django.setup()
    from tickets import tasks
    from tickets.management.commands.work import COLLECT
    from tickets.models import Ticket
    from triage.models import Call

    tasks.warm()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)  # as the worker has it
    began, busy = time.perf_counter(), time.process_time()
    while Ticket.objects.filter(triage_state="submitted").exists():
        asyncio.run(tasks.Drain("interactive").run())
    whole, used = time.perf_counter() - began, time.process_time() - busy
    assert Ticket.objects.filter(triage_state="triaged").count() == TICKETS
    calls = Call.objects.filter(status="ok").count()
    status = Path("/proc/self/status").read_text()
    return [
        Row(f"tickets classified and drafted by one process, {TICKETS} in all", TICKETS / whole, "≥ 14", "a second"),
        Row("calls of them", calls / whole, "≥ 28", "a second"),
        Row("processor time of one ticket", used / TICKETS * 1000, "", "ms"),
        Row("memory of the process, most (RSS)", int(status.split("VmHWM:")[1].split()[0]) / 1024, "≤ 360", "MB"),
    ]


if __name__ == "__main__":
    print(json.dumps(_drain()))
