"""When the local engine is fitted anew."""

from __future__ import annotations

from datetime import datetime, timedelta

AT_LEAST = 50  # decisions; fewer move nothing that could be measured
NIGHT = 2  # o'clock
SHARE = 0.10  # of the decisions that the fit in force rests on, so that fits do not cost more and more


def due(*, new: int, used: int) -> bool:
    """Whether `new` decisions since the last fit, which used `used`, are worth another one."""
    return new >= max(AT_LEAST, SHARE * used)


def nightly(*, new: int, last: datetime | None, now: datetime) -> bool:
    """Whether this is the night's fit: after NIGHT in local time, something new, and none in the last half day."""
    return new > 0 and NIGHT <= now.hour < NIGHT + 3 and (last is None or now - last > timedelta(hours=12))
