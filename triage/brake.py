"""A brake on doors that anybody may knock at: a sliding window of attempts, kept in the database for all processes."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from triage.models import Attempt
from triage.proxies import Address, address_of

LONGEST = 3600  # seconds: no limit looks further back, and older attempts are forgotten
_ONE_LINE = 64  # an IPv6 customer is given this many leading bits of addresses, and may use any of them


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts within so many seconds (`LONGEST` at most). A count of 0 limits nothing."""

    count: int
    seconds: int


def mark(door: str, subject: str) -> str:
    """What is counted, as it is kept: who reads the table learns neither names nor addresses."""
    return salted_hmac(f"brake.{door}", subject, algorithm="sha256").hexdigest()


def peer_of(request: HttpRequest) -> str:
    """Whose attempt a request is: its client's address, as ProxyMiddleware left it; for IPv6 the network of it."""
    return peer_at(address_of(request.META.get("REMOTE_ADDR", "")))


def peer_at(address: Address | None) -> str:
    """The same of an address by itself."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _ONE_LINE), strict=False))
    return str(address or "")


def press(limits: Mapping[str, Sequence[Limit]]) -> int:
    """Count an attempt under each mark and return 0; or, where a limit is reached, the seconds to wait: none counts.

    Counted before the deed, under a lock of the mark: a hundred guesses at once are a hundred, not one.
    """
    now = timezone.now()
    with transaction.atomic():
        with connection.cursor() as cursor:
            for one in sorted(limits):
                cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [one])
        wait = max((_wait(one, limit) for one in limits for limit in limits[one] if limit.count), default=0.0)
        if wait > 0:
            return math.ceil(wait)
        Attempt.objects.bulk_create(Attempt(mark=one, at=now) for one in limits)
    return 0


def release(mark: str) -> None:
    """The deed was right: nothing is held against this mark."""
    Attempt.objects.filter(mark=mark).delete()


def take_back(mark: str) -> None:
    """The deed was right: its own attempt does not count, those of others under the same mark do."""
    latest = Attempt.objects.filter(mark=mark).order_by("-at", "-pk").values("pk")[:1]
    Attempt.objects.filter(pk__in=latest).delete()


def forget() -> None:
    """Delete what no limit looks at any more."""
    Attempt.objects.filter(at__lt=timezone.now() - timedelta(seconds=LONGEST)).delete()


def held_up(page: HttpResponse, wait: int) -> HttpResponse:
    """The page as the answer to an attempt that must wait: 429, with the seconds in Retry-After."""
    page.status_code = 429
    page["Retry-After"] = str(wait)
    return page


def spoken(seconds: int) -> str:
    """A wait as it is said: "40 seconds", "12 minutes"."""
    count, unit = (seconds, "second") if seconds < 60 else (math.ceil(seconds / 60), "minute")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _wait(mark: str, limit: Limit) -> float:
    """Seconds until the oldest attempt that fills the limit is out of its window; 0 while there is room."""
    since = timezone.now() - timedelta(seconds=limit.seconds)
    times = Attempt.objects.filter(mark=mark, at__gt=since).order_by("-at").values_list("at", flat=True)
    filling = times[limit.count - 1 : limit.count].first()
    return (filling - since).total_seconds() if filling else 0.0
