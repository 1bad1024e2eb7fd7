from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.validators import MinValueValidator
from django.db import models

MILLION = Decimal(1_000_000)
_dated = re.compile(r"-\d{8}$")
_not_negative = [MinValueValidator(Decimal(0))]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one call used. None where the server did not say."""

    input: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None

    @property
    def prompt(self) -> int:
        """The length that decides the band: everything read, cached or not."""
        return (self.input or 0) + (self.cache_read or 0) + (self.cache_write_5m or 0) + (self.cache_write_1h or 0)


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars by part, exact, and the price they were reckoned with."""

    input: Decimal
    cache_read: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    output: Decimal
    price: dict[str, Any]

    @property
    def total(self) -> Decimal:
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.output


class Price(models.Model):
    """What one model costs from a day on: US dollars a million tokens, by part.

    A prompt longer than `long_prompt_over` tokens, cached ones counted, pays the `long_…` prices for all of it.
    """

    model = models.CharField(max_length=100, help_text="As the provider names it, without a trailing date.")
    valid_from = models.DateField()
    input = models.DecimalField(max_digits=12, decimal_places=4, validators=_not_negative)
    cache_read = models.DecimalField(max_digits=12, decimal_places=4, validators=_not_negative)
    cache_write_5m = models.DecimalField(
        "cache write, 5 minutes", max_digits=12, decimal_places=4, validators=_not_negative
    )
    cache_write_1h = models.DecimalField(
        "cache write, 1 hour", max_digits=12, decimal_places=4, validators=_not_negative
    )
    output = models.DecimalField(max_digits=12, decimal_places=4, validators=_not_negative)

    long_prompt_over = models.PositiveIntegerField(null=True, blank=True, help_text="Tokens. Empty: one price for all.")
    long_input = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True, validators=_not_negative)
    long_cache_read = models.DecimalField(
        max_digits=12, decimal_places=4, null=True, blank=True, validators=_not_negative
    )
    long_cache_write_5m = models.DecimalField(
        "long cache write, 5 minutes", max_digits=12, decimal_places=4, null=True, blank=True, validators=_not_negative
    )
    long_cache_write_1h = models.DecimalField(
        "long cache write, 1 hour", max_digits=12, decimal_places=4, null=True, blank=True, validators=_not_negative
    )
    long_output = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True, validators=_not_negative)

    batch_factor = models.DecimalField(
        max_digits=3,
        decimal_places=2,
        default=Decimal("0.50"),
        validators=_not_negative,
        help_text="On message batches.",
    )
    us_factor = models.DecimalField(
        max_digits=3,
        decimal_places=2,
        default=Decimal("1.00"),
        validators=_not_negative,
        help_text="On calls that the provider was told to serve in the United States only.",
    )

    class Meta:
        ordering = ["model", "-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["model", "valid_from"], name="price_once_a_day"),
            models.CheckConstraint(
                name="price_long_band_whole",
                condition=models.Q(
                    long_prompt_over=None,
                    long_input=None,
                    long_cache_read=None,
                    long_cache_write_5m=None,
                    long_cache_write_1h=None,
                    long_output=None,
                )
                | models.Q(
                    long_prompt_over__isnull=False,
                    long_input__isnull=False,
                    long_cache_read__isnull=False,
                    long_cache_write_5m__isnull=False,
                    long_cache_write_1h__isnull=False,
                    long_output__isnull=False,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from}"

    @classmethod
    def of(cls, model: str, on: date) -> Price | None:
        """The price of a model on a day; a dated snapshot (claude-haiku-4-5-20251001) costs what its model costs."""
        names = [model, _dated.sub("", model)]
        priced = cls.objects.filter(model__in=names, valid_from__lte=on).order_by("-valid_from")
        return max(priced, key=lambda price: price.model == model, default=None)

    def cost(self, tokens: Tokens, *, batch: bool = False, us_only: bool = False) -> Cost | None:
        """Exact dollars, or None where the input or output count is not known. An uncounted cache part is none used."""
        if tokens.input is None or tokens.output is None:
            return None
        long = self.long_prompt_over is not None and tokens.prompt > self.long_prompt_over
        rates = {part: Decimal(getattr(self, f"long_{part}" if long else part)) for part in PARTS}
        factor = (self.batch_factor if batch else Decimal(1)) * (self.us_factor if us_only else Decimal(1))
        reckoned = {part: Decimal(getattr(tokens, part) or 0) * rates[part] / MILLION * factor for part in PARTS}
        snapshot = {
            "model": self.model,
            "valid_from": self.valid_from.isoformat(),
            "band": "long" if long else "standard",
            "factor": str(factor),
            **{part: str(rate) for part, rate in rates.items()},
        }
        return Cost(**reckoned, price=snapshot)


PARTS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
