from __future__ import annotations

import io

import pytest

from tickets.management import progress
from tickets.management.progress import Progress

FULL = "\u2588" * progress.WIDTH


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_bar_that_fills(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    bar = Progress(200, out := Terminal())
    bar.show(50, "50 stored")
    bar.finish("200 stored")
    first, last = out.getvalue().split("\r\x1b[K")[1:]
    assert first.count("\u2588") == progress.WIDTH // 4 and "25%  50 stored" in first
    assert last == f"{FULL} 100%  200 stored\n"


def test_a_file_gets_a_line_now_and_then_and_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bar = Progress(0, out := io.StringIO())
    bar.show(0, "too soon after the start")
    bar.finish("nothing to do")
    assert out.getvalue().splitlines() == [f"{FULL} 100%  nothing to do"]
