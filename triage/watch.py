"""Keep web and worker running: `manage.py up` becomes `python -m triage.watch` once the desk answers.

Standard library alone: this process only waits, and needs none of the 90 MB that Django takes.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from triage import instance

STOP_SECONDS = 9.0  # the worker takes up to 7 to finish what it holds
LOG_BYTES = 20_000_000
ROOT = Path(__file__).resolve().parent.parent
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(with_signal: int = signal.SIGKILL) -> None:
    """Ask the kernel to send `with_signal` when the parent (strictly: the thread that started us) is gone. Linux."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, with_signal)


def open_log(path: Path) -> io.BufferedWriter:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return io.BufferedWriter(io.FileIO(path, "a"))


@dataclass
class Child:
    """One process of the desk. Plain data, so that it outlives the exec of its parent."""

    name: str
    command: list[str]
    log: str
    pid: int = 0
    restarts: int = 0
    started_at: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        environment = {**os.environ, "TRIAGE_ROLE": self.name, "TRIAGE_UP": str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        # The web process has nothing to finish that a client was told is done; the worker has, and ends its own.
        last_signal = signal.SIGKILL if self.name == "web" else signal.SIGTERM
        with open_log(Path(self.log)) as log:
            process = subprocess.Popen(  # noqa: S603  our own commands
                self.command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for the parent, which stops them in order
                preexec_fn=lambda: die_with_parent(last_signal),  # noqa: PLW1509  no other thread runs here
            )
        process.returncode = 0  # waited for by its id: after an exec there is no such object any more
        self.pid = process.pid
        self.started_at = time.monotonic()

    def is_running(self) -> bool:
        if not self.pid:
            return False
        with suppress(ChildProcessError):
            if os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                return True
        self.pid = 0
        return False

    def end(self, *, within: float) -> None:
        until = time.monotonic() + within
        while self.is_running():
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.05)


@dataclass
class Desk:
    """The processes of a running desk, and how to end them."""

    var: str
    address: str
    embedded: bool
    children: list[Child] = field(default_factory=list)

    def start(self, child: Child) -> None:
        child.start()
        if child not in self.children:
            self.children.append(child)
        pids = {child.name: child.pid for child in self.children}
        instance.note(Path(self.var), instance.Running(pid=os.getpid(), address=self.address, **pids))

    def keep_running(self) -> NoReturn:
        while True:
            time.sleep(0.5)
            for child in self.children:
                if not child.is_running():
                    _say(f"The {child.name} process ended and is started again; the reason may stand in {child.log}.")
                    time.sleep(min(5.0, child.restarts * 0.5))
                    child.restarts += 1
                    self.start(child)
                elif time.monotonic() - child.started_at > 60:
                    child.restarts = 0

    def stop(self) -> None:
        """Web and worker at once, then the database if nobody else uses it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for child in self.children:
            if child.is_running():
                os.kill(child.pid, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        for child in self.children:
            child.end(within=max(0.1, until - time.monotonic()))
        _say("Web and worker are stopped.")
        if self.embedded:
            from triage.postgres import server  # only now: it takes memory

            if server.stop_if_unused(Path(self.var), within=2.0):
                _say("The database is stopped.")

    def hand_over(self, lock: int) -> NoReturn:
        """Become a process that only watches; the lock stays with it."""
        os.set_inheritable(lock, True)
        command = [sys.executable, "-m", "triage.watch", json.dumps(asdict(self))]
        os.chdir(ROOT)
        os.execv(sys.executable, command)  # noqa: S606  our own command

    @classmethod
    def taken_over(cls, state: str) -> Desk:
        given: dict[str, Any] = json.loads(state)
        return cls(**{**given, "children": [Child(**child) for child in given["children"]]})


def interrupt_on_signals() -> None:
    """SIGTERM and a closed terminal stop the desk as Ctrl-C does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def _say(sentence: str) -> None:
    with suppress(OSError):  # the terminal may be closed
        print(sentence, flush=True)


def main() -> None:
    desk = Desk.taken_over(sys.argv[1])
    try:
        interrupt_on_signals()
        desk.keep_running()
    except KeyboardInterrupt:
        _say("")
    finally:
        desk.stop()


if __name__ == "__main__":
    main()
