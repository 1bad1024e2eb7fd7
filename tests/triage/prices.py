"""The price of the model that tests ask; one with real transactions begins without the rows of migrations."""

from __future__ import annotations

from datetime import date

from triage import ledger
from triage.models import Price


def price_haiku() -> None:
    ledger._price.cache_clear()
    Price.objects.get_or_create(
        model="claude-haiku-5-5",
        valid_from=date(2026, 1, 1),
        defaults={
            "input": "0.10",
            "cache_read": "0.01",
            "cache_write_5m": "0.125",
            "cache_write_1h": "0.20",
            "output": "0.50",
        },
    )
