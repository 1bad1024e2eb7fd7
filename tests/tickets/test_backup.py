"""Backup, reset and restore with PostgreSQL's own programs, on a server of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from triage import instance
from triage.postgres import server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def var(open_folder_factory: Callable[[], Path]) -> Iterator[Path]:
    folder = open_folder_factory()
    assert manage(folder, "migrate", "-v0", "--skip-checks").returncode == 0
    yield folder
    server.stop(folder)


def manage(var: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    unwanted = {"DATABASE_URL", "REDIS_URL", "PYTEST_VERSION"}
    environment = {k: v for k, v in os.environ.items() if k not in unwanted} | {"TRIAGE_VAR": str(var)}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)


def names(var: Path) -> list[str]:
    with psycopg.connect(**server.ensure(var).connection_parameters("triage")) as connection:
        return [row[0] for row in connection.execute("SELECT username FROM triage_user ORDER BY username")]


def add_user(var: Path, name: str) -> None:
    with psycopg.connect(**server.ensure(var).connection_parameters("triage")) as connection:
        connection.execute(
            "INSERT INTO triage_user (username, password, first_name, last_name, email, is_superuser, is_staff,"
            " is_active, date_joined) VALUES (%s, '', '', '', '', false, false, true, now())",
            [name],
        )


def test_a_restore_brings_back_what_was_there_and_keeps_what_it_replaced(var: Path) -> None:
    add_user(var, "mara")
    written = manage(var, "backup")
    assert written.returncode == 0, written.stderr
    [backup] = (var / "backups").iterdir()
    assert backup.stat().st_mode & 0o077 == 0

    assert manage(var, "reset_database", "--yes").returncode == 0
    assert names(var) == []

    add_user(var, "tomas")
    restored = manage(var, "restore", str(backup), "--yes")
    assert restored.returncode == 0, restored.stderr
    assert names(var) == ["mara"]
    before = next((var / "backups").glob("before-restore-*.dump"))
    assert manage(var, "restore", str(before), "--yes").returncode == 0
    assert names(var) == ["tomas"]


def test_a_broken_backup_changes_nothing(var: Path, tmp_path: Path) -> None:
    kept = names(var)
    broken = tmp_path / "broken.dump"
    broken.write_bytes(b"PGDMP and then nothing of use")
    refused = manage(var, "restore", str(broken), "--yes")
    assert refused.returncode != 0
    assert "pg_restore failed" in refused.stderr
    assert names(var) == kept


def test_nothing_is_replaced_under_a_running_desk(var: Path) -> None:
    lock = instance.take(var, address="http://localhost")
    assert lock is not None
    try:
        for command in (["reset_database", "--yes"], ["restore", str(ROOT / "manage.py"), "--yes"]):
            refused = manage(var, *command)
            assert "The desk runs. Stop it first" in refused.stderr
    finally:
        os.close(lock)
