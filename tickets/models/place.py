from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_written = re.compile(r"(-?\d{1,16})\.(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ticket stands in a queue: by when its customer wrote, then by number. An import keeps that time."""

    at: datetime
    number: int

    @classmethod
    def of(cls, written: str) -> Self | None:
        """The place that `str` wrote; None for anything else."""
        found = _written.fullmatch(written)
        return cls(_EPOCH + timedelta(microseconds=int(found[1])), int(found[2])) if found else None

    def __str__(self) -> str:
        """Microseconds since 1970, a point, the number: for addresses, and for scripts to compare."""
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}.{self.number}"
