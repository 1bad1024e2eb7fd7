"""How many requests a caller may send: a sliding window, counted in the database for all processes.

Unlike the brake, which keeps each attempt, it keeps two numbers a caller, for doors that are busy: the requests of this
window, and those of the one before, of which the share counts that still lies within the last `seconds`.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.http import HttpResponse
from django.utils import timezone

from triage.brake import LONGEST, Limit
from triage.models import Window

_COUNT = """
INSERT INTO triage_window AS held (mark, slot, count, before, refused, at)
VALUES (%(mark)s, %(slot)s, 1, 0, false, now())
ON CONFLICT (mark) DO UPDATE SET (slot, count, before, refused, at) = (
    SELECT slot, CASE WHEN room THEN count + 1 ELSE count END, before, NOT room, now()
    FROM (
        SELECT slot, count, before, count + 1 + before * (1 - %(passed)s::float8) <= %(limit)s AS room
        FROM (
            SELECT greatest(held.slot, EXCLUDED.slot) AS slot,
                CASE WHEN held.slot >= EXCLUDED.slot THEN held.count ELSE 0 END AS count,
                CASE WHEN held.slot >= EXCLUDED.slot THEN held.before
                    WHEN held.slot = EXCLUDED.slot - 1 THEN held.count ELSE 0 END AS before
        ) AS moved
    ) AS judged
)
RETURNING count, before, refused
"""


@dataclass(frozen=True, slots=True)
class Room:
    """What a caller is told: requests a window, how many are left, its seconds, seconds to wait (0: there is room)."""

    limit: int
    left: int
    seconds: int
    wait: int

    def tell(self, response: HttpResponse) -> HttpResponse:
        """Say so in the headers of an answer. Without a limit there is nothing to say."""
        if self.limit:
            response["X-RateLimit-Limit"] = str(self.limit)
            response["X-RateLimit-Remaining"] = str(self.left)
            response["X-RateLimit-Window"] = str(self.seconds)
        if self.wait:
            response["Retry-After"] = str(self.wait)
        return response


def take(mark: str, limit: Limit, now: float | None = None) -> Room:
    """Count a request under a mark of `triage.brake.mark`. One that is held up does not count. One statement."""
    if not limit.count:
        return Room(0, 0, limit.seconds, 0)
    now = time.time() if now is None else now
    slot, passed = int(now // limit.seconds), now / limit.seconds % 1
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"mark": mark, "slot": slot, "passed": passed, "limit": limit.count})
        count, before, refused = cursor.fetchone()
    if refused:
        return Room(limit.count, 0, limit.seconds, _wait(limit, count, before, passed))
    return Room(limit.count, max(0, math.floor(limit.count - count - before * (1 - passed))), limit.seconds, 0)


def forget() -> None:
    """Delete what no window reaches back to."""
    Window.objects.filter(at__lt=timezone.now() - timedelta(seconds=2 * LONGEST)).delete()


def _wait(limit: Limit, count: int, before: int, passed: float) -> int:
    """Whole seconds until one more request fits: in this window, or in the next one, as the earlier ones slide out."""
    if count < limit.count:
        share = 1 - (limit.count - count - 1) / before - passed
    else:
        share = 1 - passed + 1 - (limit.count - 1) / count
    return max(1, math.ceil(limit.seconds * share))
