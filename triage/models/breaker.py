from __future__ import annotations

from datetime import timedelta
from typing import Literal

from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.utils import timezone

FAILURES = 5  # that many
WINDOW = timedelta(seconds=30)  # within this
COOL_DOWN = timedelta(seconds=30)  # keep everybody away for this long, then one may try

State = Literal["closed", "open", "half-open"]
Pass = Literal["closed", "probe"]


class Breaker(models.Model):
    """A provider that keeps failing is left alone for a while, by every process at once.

    Five failures within 30 seconds open it. After 30 more, one call may try (a probe); it closes the breaker, or opens
    it anew. A probe whose process dies is forgotten after its lease.
    """

    provider = models.CharField(max_length=200, primary_key=True, help_text="The host that is asked.")
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
    def closed_to_calls_for(self) -> float:
        """Seconds until somebody may try again; 0 when nothing stands in the way."""
        if self.opened_at is None:
            return 0.0
        until = max(self.opened_at + COOL_DOWN, self.probe_until or self.opened_at)
        return max(0.0, (until - timezone.now()).total_seconds())

    @classmethod
    def ask_leave(cls, provider: str, *, probe_lease: timedelta) -> Pass | Breaker:
        """May this provider be called? "closed": yes; "probe": yes, and report how it went; else the open breaker."""
        found = list(cls.objects.filter(pk=provider))
        if not found or found[0].opened_at is None:
            return "closed"
        breaker = found[0]
        now = timezone.now()
        if breaker.state == "half-open":
            unprobed = models.Q(probe_until=None) | models.Q(probe_until__lte=now)
            claimed = cls.objects.filter(unprobed, pk=provider, opened_at=breaker.opened_at)
            if claimed.update(probe_until=now + probe_lease) == 1:
                return "probe"
        return breaker

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
    def record_recovery(cls, provider: str) -> None:
        """A probe came back well."""
        cls.objects.filter(pk=provider).update(failed_at=[], opened_at=None, probe_until=None, reason="")

    @classmethod
    def release_probe(cls, provider: str) -> None:
        """A probe ended without telling anything of the provider (cancelled, or the request itself was wrong)."""
        cls.objects.filter(pk=provider).update(probe_until=None)
