"""The door to a language model: many calls in flight against a server that answers in 1.5 seconds, in one process; and
what a ticket costs.

Tokens are estimated at 3.2 characters each, by the server that stands in for the real one; the prices are the seeded
ones of claude-haiku-5-5. The schema of the answer is counted as input of each call, whatever a real server makes of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.rows import Row, percentile
from bench.stage import ROOT, free_port

CALLS = 600
IN_FLIGHT = 50
LATENCY = 1.5
CHARACTERS = 3.2  # to a token, an estimate
# A reason of 12 words for each of nine fields, a summary of 200 characters, five tags and the JSON around them; then a
# reply of 150 words. Six characters a word, the space with it.
LONGEST_ANSWER = 9 * (12 * 6 + 60) + 200 + 5 * 15 + 60 + 150 * 6
SYSTEM = "You sort support tickets for a help desk. Answer with one JSON object that follows the schema. " * 30
TICKET = (
    "Dear team, I am Jane Doe (jane.doe@example.com, +49 30 1234567). Since the update the export shows an error 500 "
    "and nobody in our office can finish the invoices. The deadline is on Friday, so please look into it soon. "
) * 6
SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("category", "priority", "team", "reason", "summary")},
    "required": ["category"],
    "additionalProperties": False,
}


def run(data: Path | None) -> list[Row]:
    port = free_port()
    command = [sys.executable, "-m", "triage.providers.fake", "--port", str(port), "--latency", str(LATENCY)]
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as folder:
        Path(folder).chmod(0o755)  # root's database runs as another user, who must reach it
        os.environ |= {
            "TRIAGE_VAR": f"{folder}/var",
            "DJANGO_SETTINGS_MODULE": "triage.settings",
            "LOG_LEVEL": "WARNING",
        }
        os.environ |= {"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}", "TRIAGE_MODEL": "claude-haiku-5-5"}
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            return _measure()
        finally:
            server.terminate()
            server.wait(10)
            subprocess.run([sys.executable, "manage.py", "stop"], cwd=ROOT, check=False, stdout=sys.stderr)


def _measure() -> list[Row]:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from triage.models import Call

    call_command("migrate", verbosity=0)
    asyncio.run(_crowd(IN_FLIGHT))  # the imports and connections that a worker has made long before
    began, busy = time.perf_counter(), time.process_time()
    latencies = asyncio.run(_crowd(CALLS))
    whole, used = time.perf_counter() - began, time.process_time() - busy
    masking = _masking()
    assert Call.objects.filter(status="ok").count() == CALLS + IN_FLIGHT
    memory = _most_memory()
    costs = _costs()
    connection.close()
    return [
        *costs,
        Row(
            f"calls through the door, {IN_FLIGHT} in flight, server answers in {LATENCY} s",
            CALLS / whole,
            "≥ 28",
            "a second",
        ),
        Row("one call, p95", percentile(latencies, 0.95), "", "s"),
        Row("processor time of one call, mask, rows and SDK", used / CALLS * 1000, "≤ 4", "ms"),
        Row(f"of that, masking {len(SYSTEM) + len(TICKET):,} characters", masking, "", "ms"),
        Row("memory of the process, most (RSS)", memory, "≤ 360", "MB"),
    ]


def _costs() -> list[Row]:
    """The demo tickets classified and drafted, each with the prompt, examples and conversation it really has."""
    from django.db.models import Sum
    from django.utils import timezone

    from tickets import tasks
    from tickets.actions.seeding import plant_demo, plant_taxonomy
    from tickets.context import taxonomy
    from tickets.models import Ticket
    from triage.engines.model import answer_type, json_schema
    from triage.models import Call, Price

    plant_taxonomy()
    plant_demo()
    while Ticket.objects.filter(triage_state="submitted").exists():
        asyncio.run(tasks.Drain("interactive").run())
    calls = Call.objects.filter(subject_kind="ticket", status="ok")
    # Closed tickets get no draft: what is asked for is a ticket that is classified and drafted.
    both = set(calls.filter(operation="draft").values_list("subject_id", flat=True))
    whole = calls.filter(subject_id__in=both)
    price = Price.of("claude-haiku-5-5", timezone.localdate())
    assert price is not None and both
    schema = json.dumps(json_schema(answer_type(taxonomy()[0])), separators=(",", ":"))
    of_schema = float(price.input) * len(schema) / CHARACTERS / 1e6
    measured = float(whole.aggregate(sum=Sum("cost"))["sum"]) / len(both) + of_schema
    written = whole.aggregate(sum=Sum("output_tokens"))["sum"] / len(both)
    longest = measured + float(price.output) * max(0.0, LONGEST_ANSWER / CHARACTERS - written) / 1e6
    return [
        Row(
            f"classify and draft by claude-haiku-5-5, mean of {len(both)} demo tickets",
            measured,
            "≤ 0.0006",
            "$ a ticket",
        ),
        Row("the same with answers as long as the prompts allow", longest, "≤ 0.0006", "$ a ticket"),
        Row("prompt prefix of classify, without schema", len(_classify_prefix()) / CHARACTERS, "", "tokens, estimated"),
    ]


def _classify_prefix() -> str:
    from tickets.context import taxonomy
    from triage import prompts
    from triage.engines.model import _taxonomy_text

    return prompts.load("classify").fill(**_taxonomy_text(taxonomy()[0]), guidance="")


async def _crowd(calls: int) -> list[float]:
    from triage.calls import ask
    from triage.pipeline.types import Question

    latencies: list[float] = []
    window = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        question = Question(
            operation="classify",
            system=SYSTEM,
            user=f"{number} {TICKET}",
            prompt_version="bench",
            max_tokens=512,
            schema=SCHEMA,
            names=("Jane Doe",),
        )
        async with window:
            began = time.perf_counter()
            await ask(question)
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(one(number) for number in range(calls)))
    return latencies


def _masking() -> float:
    from triage.mask import mask_all

    began = time.process_time()
    for number in range(100):
        mask_all([SYSTEM, f"{number} {TICKET}"], ("Jane Doe",))
    return (time.process_time() - began) * 10


def _most_memory() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
