"""The embedded server's manager: starts it when it does not answer, and believes nothing but an answer.

A process id in a file proves nothing: after a restart of the container it names somebody else. So whether the server
answers is asked by a connection, and whether any process of it is left by a lock (`alive`) that the postmaster inherits
and that the kernel lets go of with its last process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from triage.postgres.place import PORT, DatabaseServerError, Place, locate

DATABASE = "triage"
SUPERUSER = "postgres"
START_SECONDS = 120  # recovery after a crash replays up to max_wal_size
HUNG_SECONDS = 15
_LOG_BYTES = 10_000_000

# For a small machine that also runs web and worker. No statement and no row goes into the log: it is customers' text.
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "idle_in_transaction_session_timeout": "5min",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}
_BUSY = ("starting up", "shutting down", "recovery mode", "not yet accepting", "not accepting connections")
_ready: dict[Path, Server] = {}


class Answer(Enum):
    YES = "yes"
    BUSY = "starting, stopping or recovering"
    NO = "no"


@dataclass(frozen=True)
class Server:
    """A server that answered. `socket` is the host to connect to."""

    place: Place

    @property
    def socket(self) -> Path:
        return self.place.socket

    def connection_parameters(self, dbname: str = "postgres") -> dict[str, Any]:
        return {"host": str(self.socket), "port": PORT, "user": SUPERUSER, "dbname": dbname}


@dataclass(frozen=True)
class Status:
    running: bool
    place: Path
    pid: int | None
    connections: int


def ensure(directory: Path, *, doubt: bool = False) -> Server:
    """The running server of `directory`, made and started if need be. With `doubt`, asked again although it answered.

    Raises DatabaseServerError, which says what to do, when it cannot be run.
    """
    directory = directory.resolve()
    if not doubt and directory in _ready:
        return _ready[directory]
    place = locate(directory)
    place.prepare()
    with _alone(place):
        if not (place.data / "PG_VERSION").exists():
            _initialise(place)
        _start(place)
        _create_database(place)
    _ready[directory] = Server(place)
    return _ready[directory]


def stop(directory: Path) -> bool:
    """Stop the server in order; true if there was one running. Open transactions are rolled back, clients cut off."""
    directory = directory.resolve()
    _ready.pop(directory, None)
    place = locate(directory)
    if not (place.data / "PG_VERSION").exists():
        return False
    with _alone(place):
        if _answer(place) is Answer.NO and _nobody_left(place):
            return False
        if _run(place, "pg_ctl", "-D", place.data, "-m", "fast", "-w", "-t", "30", "stop", check=False) != 0:
            _end_processes(place)
    return True


def stop_if_unused(directory: Path, *, within: float) -> bool:
    """Stop the server once nobody else is connected, waiting `within` seconds for clients to leave; true if done."""
    until = time.monotonic() + within
    while connection_count(directory):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return stop(directory)


def status(directory: Path) -> Status:
    place = locate(directory.resolve())
    running = place.data.exists() and _answer(place) is not Answer.NO
    return Status(
        running=running,
        place=place.root,
        pid=_recorded_pid(place) if running else None,
        connections=connection_count(directory) if running else 0,
    )


def location(directory: Path) -> Path:
    """The folder in which data, socket and log of this directory's server lie."""
    return locate(directory.resolve()).root


def connection_count(directory: Path) -> int:
    """Clients connected now, without this question itself; 0 if the server does not answer."""
    with suppress(psycopg.OperationalError), _connect(locate(directory.resolve())) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchone()
        return int(row[0]) if row else 0
    return 0


def _connect(place: Place) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(**Server(place).connection_parameters(), connect_timeout=3, autocommit=True)


def _answer(place: Place) -> Answer:
    try:
        _connect(place).close()
    except psycopg.OperationalError as error:
        if "FATAL" not in str(error):
            return Answer.NO
        return Answer.BUSY if any(words in str(error) for words in _BUSY) else Answer.YES
    return Answer.YES


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """One process at a time starts or stops this server."""
    handle = _open_lock(place, "start.lock")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # said aloud: a child forked meanwhile shares the lock
        os.close(handle)


def _open_lock(place: Place, name: str) -> int:
    handle = os.open(place.root / name, os.O_RDWR | os.O_CREAT, 0o600)
    if os.geteuid() == 0:
        os.fchown(handle, place.user.pw_uid, place.user.pw_gid)
    return handle


def _run(place: Place, program: str, *arguments: object, check: bool = True, pass_fds: tuple[int, ...] = ()) -> int:
    """Run one of the server's programs as its user, with an empty environment: it needs none of our secrets."""
    user = place.user
    drop: dict[str, Any] = {}
    if os.geteuid() == 0:
        drop = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    command = [str(place.binaries / program), *(str(argument) for argument in arguments)]
    with place.log.open("ab") as log:
        if os.geteuid() == 0:
            os.chown(place.log, user.pw_uid, user.pw_gid)
        code = subprocess.run(  # noqa: S603  our own programs and paths
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place.root,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            pass_fds=pass_fds,
            **drop,
        ).returncode
    if check and code != 0:
        raise DatabaseServerError(f"{program} failed ({code}); the reason stands at the end of {place.log}.")
    return code


def _initialise(place: Place) -> None:
    """Make the data folder, whole or not at all: a killed initdb must not leave half of one under the final name."""
    partial = place.root / "data.partial"
    if partial.exists():
        shutil.rmtree(partial)
    options = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    _run(
        place,
        "initdb",
        f"--pgdata={partial}",
        f"--username={SUPERUSER}",
        "--auth=trust",  # the socket's folder is open to its owner alone
        "--encoding=UTF8",
        "--data-checksums",
        "--locale-provider=builtin",
        "--locale=C.UTF-8",
        "--builtin-locale=C.UTF-8",
        *options,
    )
    partial.rename(place.data)


def _start(place: Place) -> None:
    """Bring the server to answer, whatever state it was left in."""
    begun = time.monotonic()
    silent_since: float | None = None
    while (answer := _answer(place)) is not Answer.YES:
        now = time.monotonic()
        if now - begun > START_SECONDS + HUNG_SECONDS:
            raise DatabaseServerError(f"The database did not come up; the reason stands in {place.log}.")
        if answer is Answer.BUSY:
            silent_since = None
            time.sleep(0.05)
            continue
        alive = _take_alive(place)
        if alive is None:  # processes of a killed or hung server: the first go by themselves, the second do not
            silent_since = silent_since or now
            if now - silent_since > HUNG_SECONDS:
                _end_processes(place)
            time.sleep(0.05)
            continue
        try:
            _launch(place, alive)
        finally:
            os.close(alive)


def _launch(place: Place, alive: int) -> None:
    """Start the postmaster. We hold `alive`, so no process of an old one is left and its files are leftovers."""
    for leftover in (place.data / "postmaster.pid", place.socket / f".s.PGSQL.{PORT}.lock"):
        leftover.unlink(missing_ok=True)
    if place.log.exists() and place.log.stat().st_size > _LOG_BYTES:
        place.log.rename(place.log.with_suffix(".log.1"))
    options = f"-c listen_addresses='' -c unix_socket_permissions=0700 -c unix_socket_directories='{place.socket}'"
    start = ("-D", place.data, "-l", place.log, "-o", options, "-w", "-t", START_SECONDS, "start")
    if _run(place, "pg_ctl", *start, check=False, pass_fds=(alive,)) != 0 and _answer(place) is Answer.NO:
        raise DatabaseServerError(f"PostgreSQL did not start; the reason stands at the end of {place.log}.")
    _let_run_at_ordinary_priority(place)


def _let_run_at_ordinary_priority(place: Place) -> None:
    """A worker that restarts the server is nice; the server serves the web process too and must not be."""
    pid = _recorded_pid(place)
    if pid is not None and os.getpriority(os.PRIO_PROCESS, 0) > 0:
        with suppress(PermissionError, ProcessLookupError):  # only root may take niceness back
            os.setpriority(os.PRIO_PROCESS, pid, 0)


def _take_alive(place: Place) -> int | None:
    """The lock that every process of the server holds, or None while one does. Closing it gives it up."""
    handle = _open_lock(place, "alive.lock")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _nobody_left(place: Place) -> bool:
    alive = _take_alive(place)
    if alive is None:
        return False
    os.close(alive)
    return True


def _recorded_pid(place: Place) -> int | None:
    try:
        return int((place.data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _end_processes(place: Place) -> None:
    """Kill what is left of a server that neither answers nor ends, and wait until it is gone."""
    for pid in _processes(place):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + HUNG_SECONDS
    while not _nobody_left(place):
        if time.monotonic() > until:
            raise DatabaseServerError(
                f"A server that does not answer holds {place.root}, and none of its processes can be ended from here. "
                "It may run in another container: stop it there."
            )
        time.sleep(0.05)


def _processes(place: Place) -> list[int]:
    """Processes whose working directory is the data folder: PostgreSQL's all go there, and nobody else does."""
    if not Path("/proc/self").exists():
        pid = _recorded_pid(place)  # worth believing here: the lock says that the server lives
        return [pid] if pid is not None else []
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if (entry / "cwd").readlink() == place.data and (entry / "exe").readlink().name == "postgres":
                    found.append(int(entry.name))
    return found


def _create_database(place: Place) -> None:
    with _connect(place) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
