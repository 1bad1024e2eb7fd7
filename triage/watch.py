"""Processes that die with their parent. Standard library alone: `manage.py up` becomes `python -m triage.watch`."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(with_signal: int = signal.SIGKILL) -> None:
    """Ask the kernel to send `with_signal` when the parent (strictly: the thread that started us) is gone. Linux."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, with_signal)
