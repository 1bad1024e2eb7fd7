"""How many deliveries one source may send: a sliding window, counted in the cache that the web processes share."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.http import HttpResponse


@dataclass(frozen=True, slots=True)
class Room:
    """What a caller is told of the limit: requests a window, how many of them are left, seconds to wait (0: none)."""

    limit: int
    left: int
    wait: int

    def tell(self, response: HttpResponse) -> HttpResponse:
        """Say so in the headers of an answer."""
        if self.limit:
            response["X-RateLimit-Limit"] = str(self.limit)
            response["X-RateLimit-Remaining"] = str(self.left)
            response["X-RateLimit-Window"] = str(settings.GITHUB_WINDOW)
        if self.wait:
            response["Retry-After"] = str(self.wait)
        return response


def take(subject: str, limit: int, now: float | None = None) -> Room:
    """Count a request of `subject`. The window slides: of the one before, what still lies within it counts too.

    A limit of 0 limits nothing. A request that is held up does not count.
    """
    if not limit:
        return Room(0, 0, 0)
    seconds = settings.GITHUB_WINDOW
    now = time.time() if now is None else now
    number = int(now // seconds)
    passed = now / seconds - number
    key, before = f"github.window:{subject}:{number}", f"github.window:{subject}:{number - 1}"
    cache.add(key, 0, timeout=2 * seconds)
    counted = cache.incr(key)
    weighed = counted + int(cache.get(before, 0)) * (1 - passed)
    if weighed > limit:
        cache.decr(key)
        return Room(limit, 0, max(1, math.ceil(seconds * (1 - passed) if counted > limit else seconds / limit)))
    return Room(limit, max(0, math.floor(limit - weighed)), 0)
