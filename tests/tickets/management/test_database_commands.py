"""Backup, reset and restore, each as its own process against a server of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from triage.postgres import server

ROOT = Path(__file__).resolve().parents[3]
Manage = Callable[..., str]

pytestmark = pytest.mark.timeout(400)  # whole databases are made and read


@pytest.fixture
def manage(open_folder: Path) -> Iterator[Manage]:
    var = open_folder / "var"
    kept = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL", "PYTEST_VERSION"}}

    def run(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env={**kept, "TRIAGE_VAR": str(var)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    server.stop(var)


def _teams(manage: Manage) -> str:
    asked = "from tickets.models import Team; print(Team.objects.count(), Team.objects.filter(name='Plumbing').count())"
    return manage("shell", "-v0", "-c", asked).split("\n")[0]


def test_what_was_backed_up_comes_back_after_a_reset(manage: Manage, open_folder: Path) -> None:
    manage("migrate", "-v0")
    manage("seed", "--no-demo")
    manage(
        "shell", "-v0", "-c", "from tickets.models import Team; Team.objects.filter(key='hr').update(name='Plumbing')"
    )
    assert _teams(manage) == "8 1"
    file = str(open_folder / "one.dump")
    assert file in manage("backup", file)

    assert "empty" in manage("reset_database", "--yes")
    assert _teams(manage) == "0 0"

    manage("restore", file, "--yes")
    assert _teams(manage) == "8 1"
