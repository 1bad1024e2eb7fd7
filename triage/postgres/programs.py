"""PostgreSQL's own programs (psql, pg_dump, pg_restore) on the desk's database, embedded or not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from django.core.management.base import CommandError
from django.db import connection

from triage.postgres.place import packaged_binaries


def run(program: str, *arguments: str, connect: bool = True) -> None:
    """Run `program` on the default database. Its complaints become the CommandError; passwords go by environment."""
    command: Sequence[str] = [program]
    environment: dict[str, str] | None = None
    if connect:
        command, environment = connection.client.settings_to_cmd_args_env(connection.settings_dict, list(arguments))
    else:
        command = [program, *arguments]
    done = subprocess.run(  # noqa: S603  our own programs
        [str(packaged_binaries() / program), *command[1:]],
        env={**os.environ, **(environment or {})},
        check=False,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    if done.returncode != 0:
        raise CommandError(f"{program} failed: {done.stderr.strip()}")


def dump(target: Path) -> None:
    """The whole database into `target`, which appears only when it is complete."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.touch(mode=0o600)
    try:
        run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={partial}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def load(source: Path, *, scratch: Path) -> None:
    """Replace everything by what `source` holds, in one transaction: after a failure all is as it was."""
    script = scratch / f".restore-{os.getpid()}.sql"
    script.touch(mode=0o600)
    try:
        run("pg_restore", "--no-owner", "--no-privileges", f"--file={script}", str(source), connect=False)
        empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        connection.close()
        run("psql", "--no-psqlrc", "--single-transaction", "-v", "ON_ERROR_STOP=1", "-c", empty, "-f", str(script))
    finally:
        script.unlink(missing_ok=True)
