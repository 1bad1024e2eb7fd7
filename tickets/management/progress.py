from __future__ import annotations

import time
from typing import TextIO

WIDTH = 30
EVERY = 0.1  # seconds between strokes on a terminal
EVERY_LINE = 5.0  # and between lines where nobody looks on


class Progress:
    """A bar on a terminal; now and then a line where the output goes to a file."""

    def __init__(self, total: int, out: TextIO) -> None:
        self.total = max(total, 1)
        self.out = out
        self.interactive = out.isatty()
        self.began = self.last = time.monotonic()

    def show(self, done: int, words: str) -> None:
        """`done` of the total; drawn only as often as it can be read."""
        now = time.monotonic()
        if now - self.last < (EVERY if self.interactive else EVERY_LINE):
            return
        self.last = now
        self._draw(done, words)

    def finish(self, words: str) -> None:
        self._draw(self.total, words)
        if self.interactive:
            self.out.write("\n")

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def _draw(self, done: int, words: str) -> None:
        share = min(done / self.total, 1.0)
        bar = "█" * int(share * WIDTH) + "░" * (WIDTH - int(share * WIDTH))
        line = f"{bar} {share:4.0%}  {words}"
        self.out.write(f"\r\x1b[K{line}" if self.interactive else f"{line}\n")
        self.out.flush()
