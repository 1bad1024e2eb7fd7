"""A whole desk in processes of its own: database, web and workers, with a fresh var/ and nothing of the tester's."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from triage.postgres import server

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "walk the desk 1"
# A desk under test is a desk of its own: what the tester has set for theirs, and pytest's own mark, stay out.
FOREIGN = ("PYTEST_", "TRIAGE_", "ANTHROPIC_", "EMAIL_URL", "DATABASE_URL", "REDIS_URL", "BASE_URL", "SECRET_KEY",
           "DJANGO_", "ALLOWED_HOSTS", "PORT", "ADMIN_PASSWORD", "MAKE", "BIND", "COV_")  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(condition: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """The first true value of `condition`, asked five times a second; AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > until:
            raise AssertionError(f"In {seconds:g} s it did not come about that {what}.")
        time.sleep(0.2)


class RunningDesk:
    """`manage.py up` in the folder `var`. `extra` is added to its environment."""

    def __init__(self, var: Path, **extra: str) -> None:
        self.var = var
        self.port = free_port()
        self.address = f"http://localhost:{self.port}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        self.environment = {
            **clean,
            "TRIAGE_VAR": str(var),
            "PORT": str(self.port),
            "ADMIN_PASSWORD": PASSWORD,
            "PYTHONDONTWRITEBYTECODE": "1",
            **extra,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self.process is not None:
            self.process.wait(10)  # a start after a kill
        with (self.var / "up.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        wait_for(self.is_up, seconds=170, what=f"the desk of {self.var} runs")

    def is_up(self) -> bool:
        assert self.process is not None
        said = (self.var / "up.log").read_text()
        assert self.process.poll() is None, said
        return "Triage Desk runs at" in said

    def stop(self) -> None:
        """Ctrl-C, and no database server left behind whatever came of it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        server.stop(self.var)

    def manage(self, *arguments: str) -> str:
        """The output of a management command run against this desk."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def api_key(self, name: str, scopes: str = "read,write", *more: str) -> str:
        return self.manage("create_api_key", name, "--scopes", scopes, *more).splitlines()[-1]

    def api(self, method: str, path: str, key: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """(status, parsed body). Raises OSError when nobody answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {key}",
                "Content-Type": "application/json",
                "Host": "localhost",
                **headers,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read() or b"{}")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database holds, asked past the application; starts the server if it is down."""
        parameters = server.ensure(self.var, doubt=True).connection_parameters()
        with psycopg.connect(**{**parameters, "dbname": "triage"}, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def holding(self, table: str) -> Iterator[int]:
        """Let nobody write into `table` meanwhile: whoever wants to, waits. Gives the process that holds it."""
        parameters = server.ensure(self.var, doubt=True).connection_parameters()
        with psycopg.connect(**{**parameters, "dbname": "triage"}) as connection:
            connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield connection.info.backend_pid
            connection.rollback()

    def mails(self) -> list[str]:
        """The mails that left, oldest first: one file each."""
        return [path.read_text() for path in sorted((self.var / "mail").glob("*.eml"))]

    def said_last(self, part: str) -> str:
        """The end of the log of `web` or `worker`."""
        lines = (self.var / "log" / f"{part}.log").read_text(errors="replace").splitlines()
        return "\n".join(line[:300] for line in lines[-25:])

    def running(self) -> dict[str, int]:
        """Process ids by part, as `up` wrote them down."""
        noted = json.loads((self.var / "run" / "up.json").read_text())
        return {"up": noted["pid"], "web": noted["web"], "worker": noted["worker"]}


@contextmanager
def running_desk(folder: Path, **extra: str) -> Iterator[RunningDesk]:
    desk = RunningDesk(folder, **extra)
    try:
        desk.start()
        yield desk
    finally:
        desk.stop()
