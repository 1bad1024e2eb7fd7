"""Which `manage.py up` runs for a var/, as others see it. The lock is the truth, the file only what it says."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Running:
    """Process ids and address of a running desk."""

    pid: int
    address: str
    web: int | None = None
    worker: int | None = None


def take(var: Path, *, address: str) -> int | None:
    """The lock of this var/, held until the process ends, or None while another holds it. Not inherited."""
    handle = _lock(var)
    if handle is not None:
        note(var, Running(pid=os.getpid(), address=address))
    return handle


def note(var: Path, running: Running) -> None:
    path = _folder(var) / "up.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(running)))
    partial.replace(path)


def running(var: Path) -> Running | None:
    """What runs now; None when nothing does, whatever an old file says."""
    handle = _lock(var)
    if handle is not None:
        os.close(handle)
        return None
    with suppress(OSError, ValueError, TypeError):
        return Running(**json.loads((_folder(var) / "up.json").read_text()))
    return None


def _lock(var: Path) -> int | None:
    handle = os.open(_folder(var) / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _folder(var: Path) -> Path:
    folder = var / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
