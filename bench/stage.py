"""A whole desk on a free port with a fresh database, for the benchmarks; and a client that keeps a steady rate."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Desk:
    """A running desk: its address, an API key, its folder, and the seconds until web, database and worker answered."""

    port: int
    var: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    ready_seconds: float = 0.0
    key: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def start(self) -> float:
        """Run `manage.py up`: the seconds until web, database and worker answered."""
        began = time.monotonic()
        command = [sys.executable, "manage.py", "up"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=sys.stderr, start_new_session=True
        )
        _wait_ready(self.port, self.process)
        return time.monotonic() - began

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        command = [sys.executable, "manage.py", "stop"]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=False, stdout=sys.stderr)

    def wait_until_read(self, timeout: float = 600) -> None:
        """Return when no ticket waits for the machine."""
        from tickets.models import Ticket

        until = time.monotonic() + timeout
        while Ticket.objects.filter(triage_state__in=("submitted", "processing")).exists():
            if time.monotonic() > until:
                raise TimeoutError("tickets are still unread")
            time.sleep(0.1)


@contextmanager
def desk(**environment: str) -> Iterator[Desk]:
    """Start `manage.py up` in a folder of its own; set up Django in this process to read the same database."""
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as folder:
        Path(folder).chmod(0o755)  # root's database runs as another user, who must reach it
        var = Path(folder) / "var"
        port = free_port()
        env = {
            **os.environ,
            "TRIAGE_VAR": str(var),
            "PORT": str(port),
            "ADMIN_PASSWORD": "for the benchmark only",
            **environment,
        }
        running = Desk(port, var, env)
        try:
            running.ready_seconds = running.start()
            os.environ.update({"TRIAGE_VAR": str(var), "PORT": str(port), "DJANGO_SETTINGS_MODULE": "triage.settings"})
            os.environ.update(environment)
            import django

            django.setup()
            running.key = running.manage("create_api_key", "bench", "--scopes", "read,write").splitlines()[-1]
            running.wait_until_read()
            yield running
        finally:
            running.stop()


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"manage.py up ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                if json.load(answer)["status"] == "ok":  # degraded as long as no worker has given a sign of life
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError("the desk did not come up")


async def post_steadily(running: Desk, *, rate: float, seconds: float, text: str) -> tuple[list[float], int]:
    """POST tickets at `rate` a second, whatever the answers take: (milliseconds of each answered 201, errors)."""
    times: list[float] = []
    errors = 0

    async def one(number: int) -> None:
        nonlocal errors
        began = time.perf_counter()
        body = {
            "title": f"Export {number} fails",
            "description": text,
            "requester": {"email": f"c{number}@example.com"},
        }
        try:
            status = await asyncio.wait_for(_post(running, body), 30)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, IndexError, ValueError):
            status = 0
        if status == 201:
            times.append((time.perf_counter() - began) * 1000)
        else:
            errors += 1

    began, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    return times, errors


async def _post(running: Desk, body: Mapping[str, object]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    payload = json.dumps(body).encode()
    head = (
        f"POST /api/v1/tickets HTTP/1.1\r\nHost: localhost:{running.port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {running.key}\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + payload)
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    await reader.read()
    writer.close()
    return status


def proportional_memory(running: Desk) -> dict[str, float]:
    """PSS in MiB of web, worker and database, by walking the process tree (Linux)."""
    totals: dict[str, float] = {"web": 0.0, "worker": 0.0, "database": 0.0}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = _words(folder)
            if words.startswith("postgres:"):  # of whom, its parent says
                words = _words(folder.parent / (folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            environ = (folder / "environ").read_bytes()
            pss = next(
                int(line.split()[1])
                for line in (folder / "smaps_rollup").read_text().splitlines()
                if line.startswith("Pss:")
            )
        except (OSError, StopIteration):
            continue
        kind = _kind(words, environ, str(running.var))
        if kind:
            totals[kind] += pss / 1024
    return totals


def _words(process: Path) -> str:
    return (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")


def _kind(words: str, environ: bytes, var: str) -> str:
    if "postgres" in words and var in words:
        return "database"
    if f"TRIAGE_VAR={var}".encode() not in environ:
        return ""
    if "daphne" in words and "triage.watch" not in words:
        return "web"
    return "worker" if "manage.py" in words or "triage.watch" in words else ""
