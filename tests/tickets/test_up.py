"""`manage.py up` as a newcomer runs it, on a free port and a folder of its own; then it is killed in every way."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from triage import instance
from triage.postgres import server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def desk(open_folder_factory: Callable[[], Path]) -> Iterator[dict[str, str]]:
    """The environment of a desk that does not run yet."""
    unwanted = {"DATABASE_URL", "REDIS_URL", "PYTEST_VERSION", "BASE_URL", "ADMIN_PASSWORD", "TRIAGE_UNDER_MAKE"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    var = open_folder_factory() / "var"
    yield {**{k: v for k, v in os.environ.items() if k not in unwanted}, "TRIAGE_VAR": str(var), "PORT": str(port)}
    server.stop(var)


def manage(desk: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=desk, check=False, capture_output=True, text=True)


@contextmanager
def running(desk: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and what it had said when it was ready."""
    said = ""
    command = [sys.executable, "manage.py", "up"]
    with subprocess.Popen(
        command, cwd=ROOT, env=desk, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as up:
        try:
            assert up.stdout is not None
            while "Stop: Ctrl-C" not in said:
                line = up.stdout.readline()
                assert line, f"it ended: {said}"
                said += line
            yield up, said
        finally:
            if up.poll() is None:
                up.terminate()
                up.wait(30)


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"{what}: not within {seconds} seconds")
        time.sleep(0.05)


def answers(desk: dict[str, str]) -> bool:
    asked = http.client.HTTPConnection("127.0.0.1", int(desk["PORT"]), timeout=5)
    try:
        asked.request("GET", "/healthz", headers={"Host": "localhost"})
        return asked.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


def state(desk: dict[str, str]) -> instance.Running:
    found = instance.running(Path(desk["TRIAGE_VAR"]))
    assert found is not None
    return found


def is_replaced(desk: dict[str, str], name: str, killed: int) -> bool:
    return bool(getattr(state(desk), name) != killed)


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_it_starts_says_how_to_sign_in_survives_kills_and_stops(desk: dict[str, str]) -> None:
    var = Path(desk["TRIAGE_VAR"])
    with running(desk) as (up, said):
        assert f"http://localhost:{desk['PORT']}" in said
        assert "Sign in as admin with the password " in said
        assert str(var / "postgres") in said
        assert answers(desk)

        again = manage(desk, "up")
        assert again.returncode != 0
        assert "runs already" in again.stderr
        taken = manage({**desk, "TRIAGE_VAR": str(var.with_name("other"))}, "up")
        assert f"Port {desk['PORT']} on 127.0.0.1 cannot be used" in taken.stderr

        for name in ("web", "worker"):
            killed = getattr(state(desk), name)
            os.kill(killed, signal.SIGKILL)
            wait_for(partial(is_replaced, desk, name, killed), 30, f"another {name}")
        wait_for(lambda: answers(desk), 60, "an answer of the new web process")

        assert "does not run" not in manage(desk, "status").stdout
        assert manage(desk, "stop").returncode == 0
        up.wait(30)
    assert not answers(desk)
    assert not server.status(var).running

    with running(desk) as (up, said):
        assert "with the password of the first start" in said
        started = psutil.Process(up.pid).children(recursive=True)
        up.kill()
        wait_for(lambda: all(is_gone(one) for one in started), 30, "the end of all processes")
        wait_for(lambda: not server.status(var).running, 30, "the end of the database")
    assert instance.running(var) is None


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "80a", "PORT cannot be read"),
        ("PORT", "99999", "PORT cannot be read"),
        ("EMAIL_URL", "ftp://nowhere", "EMAIL_URL cannot be read"),
        ("TIME_ZONE", "Nowhere/Land", "TIME_ZONE cannot be read"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL cannot be read"),
        ("TRIAGE_ESCALATE_BELOW", "7", "TRIAGE_ESCALATE_BELOW cannot be read"),
        ("TRIAGE_APPLY_PRECISION", "95", "TRIAGE_APPLY_PRECISION cannot be read: 95 is not between 0 and 1"),
        ("TRIAGE_AUDIT_SHARE", "2", "TRIAGE_AUDIT_SHARE cannot be read: 2 is not between 0 and 1"),
        ("TRUSTED_PROXIES", "nginx", "TRUSTED_PROXIES cannot be read"),
        ("BASE_URL", "desk.example.org", "BASE_URL is no address"),
        ("SECRET_KEY", "short", "SECRET_KEY has 5 characters"),
        ("REDIS_URL", "redis://127.0.0.1:1/0", "The Redis of REDIS_URL does not answer"),
    ],
)
def test_a_setting_that_makes_no_sense_stops_it_before_anything_starts(
    desk: dict[str, str], name: str, value: str, sentence: str
) -> None:
    done = manage({**desk, name: value}, "up")
    assert done.returncode != 0 and sentence in done.stderr and "HINT: " in done.stderr
    assert "Traceback" not in done.stderr and "Starting" not in done.stdout


def test_a_second_desk_on_the_same_folder_is_told_where_the_first_is(desk: dict[str, str]) -> None:
    var = Path(desk["TRIAGE_VAR"])
    lock = instance.take(var, address="http://desk.example.org")
    assert lock is not None
    try:
        done = manage(desk, "up")
    finally:
        os.close(lock)
    assert done.returncode != 0
    assert f"{var} runs already at http://desk.example.org (process {os.getpid()})" in done.stderr
    assert "Traceback" not in done.stderr and "Starting" not in done.stdout


def test_a_port_that_is_taken_is_told_with_another_to_choose(desk: dict[str, str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(desk["PORT"])))
        other.listen()
        done = manage(desk, "up")
    assert done.returncode != 0
    assert f"Choose another: PORT={int(desk['PORT']) + 1} make up" in done.stderr
    assert "Traceback" not in done.stderr and "Starting" not in done.stdout


def test_a_database_that_does_not_answer_is_told_in_a_sentence_without_the_password(desk: dict[str, str]) -> None:
    address = {"DATABASE_URL": "postgres://desk:hush@127.0.0.1:1/desk", "SECRET_KEY": "k" * 50}
    done = manage({**desk, **address}, "up")
    assert done.returncode != 0 and "The database of DATABASE_URL does not answer: " in done.stderr
    assert "Traceback" not in done.stderr and "hush" not in done.stderr
