"""How amounts are written for people: money to the cent that matters, times in two units, latency with a word."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

from django import template

from analytics.call_figures import QUICK, SLOW

register = template.Library()
UNKNOWN = "\N{EN DASH}"
SMALLEST = Decimal("0.000001")


@register.filter
def money(value: Decimal | float | str | None) -> str:
    """Dollars: $1,234.50 from a dollar up, below it two figures that matter ($0.25, $0.0004); a dash if unknown."""
    if value is None or value == "":
        return UNKNOWN
    amount = Decimal(str(value))
    if amount == 0 or amount >= 1:
        return f"${amount.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
    if amount < SMALLEST:
        return "under $0.000001"
    places = max(2, 1 - amount.adjusted())
    rounded = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    text = f"{rounded:f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents.ljust(2, '0')}"


@register.filter
def span(value: timedelta | None) -> str:
    """A length of time in at most two units: 45 s, 12 min, 3 h 20 min, 2 d 4 h; a dash if there is none."""
    if value is None:
        return UNKNOWN
    seconds = int(value.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"


@register.filter
def milliseconds(value: float | str | None) -> str:
    """Latency as people read it: 840 ms, 1.52 s, 12.4 s; a dash if there is none (to a template, "")."""
    if value is None or isinstance(value, str):
        return UNKNOWN
    if value < 1000:
        return f"{value:.0f} ms"
    return f"{value / 1000:.2f} s" if value < 10_000 else f"{value / 1000:.1f} s"


@register.filter
def pace(value: float | None) -> str:
    """The state a latency is in: good below 1.5 s, warn below 3 s, else bad."""
    if value is None:
        return ""
    return "good" if value < QUICK else "warn" if value < SLOW else "bad"


@register.filter
def percent(value: float | None) -> str:
    """A share of 0 to 1 in whole per cent; one decimal where it would round to nothing or all; a dash if unknown."""
    if value is None:
        return UNKNOWN
    rounded = round(100 * value)
    if (rounded == 0 and value > 0) or (rounded == 100 and value < 1):
        return f"{100 * value:.1f} %"
    return f"{rounded} %"
