from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.utils import timezone

FAILURES = 5  # that many
WINDOW = timedelta(seconds=30)  # within this
COOL_DOWN = timedelta(seconds=30)  # keep everybody away for this long, then one may try

State = Literal["closed", "open", "half-open"]


class Breaker(models.Model):
    """A provider that keeps failing is left alone for a while, by every process at once.

    Five failures within 30 seconds open it. After 30 more, one call may try (a probe); it closes the breaker, or opens
    it anew. A probe whose process dies is forgotten after its lease. What one model alone suffers from (it is
    overloaded, or unknown there) opens a breaker of that model, so that another can still be asked.
    """

    provider = models.CharField(
        max_length=200,
        primary_key=True,
        help_text="The host that is asked; behind it the model, where it is the model.",
    )
    failed_at = ArrayField(
        models.DateTimeField(), default=list, blank=True, help_text="The last failures, oldest first."
    )
    opened_at = models.DateTimeField(null=True, blank=True)
    probe_until = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"{self.provider}: {self.state}"

    @property
    def state(self) -> State:
        if self.opened_at is None:
            return "closed"
        return "half-open" if timezone.now() >= self.opened_at + COOL_DOWN else "open"

    @property
    def last_failure(self) -> datetime | None:
        return max(self.failed_at, default=None)

    @property
    def closed_to_calls_for(self) -> float:
        """Seconds until somebody may try again; 0 when nothing stands in the way."""
        if self.opened_at is None:
            return 0.0
        until = max(self.opened_at + COOL_DOWN, self.probe_until or self.opened_at)
        return max(0.0, (until - timezone.now()).total_seconds())

    @classmethod
    def ask_leave(cls, *names: str, probe_lease: timedelta) -> frozenset[str] | Breaker:
        """May these be called? Those that this call is the probe of (none: all are closed), or one that is open."""
        now = timezone.now()
        probes: set[str] = set()
        for breaker in cls.objects.filter(pk__in=names, opened_at__isnull=False).order_by("pk"):
            unprobed = models.Q(probe_until=None) | models.Q(probe_until__lte=now)
            claimed = cls.objects.filter(unprobed, pk=breaker.pk, opened_at=breaker.opened_at)
            if breaker.state != "half-open" or claimed.update(probe_until=now + probe_lease) != 1:
                cls.release_probes(probes)
                return breaker
            probes.add(breaker.pk)
        return frozenset(probes)

    @staticmethod
    def of_model(endpoint: str, model: str) -> str:
        """The name under which one model's failures are counted apart from those of its host."""
        return f"{endpoint} {model}"[:200]

    @classmethod
    def record_failure(cls, provider: str, reason: str, *, probe: bool) -> None:
        now = timezone.now()
        with transaction.atomic():
            cls.objects.get_or_create(pk=provider)
            breaker = cls.objects.select_for_update().get(pk=provider)
            recent = [moment for moment in breaker.failed_at if moment > now - WINDOW]
            breaker.failed_at = [*recent[-FAILURES + 1 :], now]
            if probe or (breaker.opened_at is None and len(breaker.failed_at) >= FAILURES):
                breaker.opened_at, breaker.probe_until, breaker.reason = now, None, reason[:300]
            breaker.save()

    @classmethod
    def record_recovery(cls, names: Iterable[str]) -> None:
        """A probe of these came back well."""
        cls.objects.filter(pk__in=names).update(failed_at=[], opened_at=None, probe_until=None, reason="")

    @classmethod
    def release_probes(cls, names: Iterable[str]) -> None:
        """A probe ended without telling anything of these (cancelled, or the request itself was wrong)."""
        cls.objects.filter(pk__in=names).update(probe_until=None)
