"""When the local engine is fitted anew."""

from __future__ import annotations

AT_LEAST = 50  # decisions; fewer move nothing that could be measured
SHARE = 0.10  # of the decisions that the fit in force rests on, so that fits do not cost more and more


def due(*, new: int, used: int) -> bool:
    """Whether `new` decisions since the last fit, which used `used`, are worth another one."""
    return new >= max(AT_LEAST, SHARE * used)
