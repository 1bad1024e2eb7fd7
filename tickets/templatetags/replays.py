"""How a comparison writes shares, money and time."""

from __future__ import annotations

from decimal import Decimal

from django import template

from tickets.comparison import Share
from tickets.templatetags.desk import money

register = template.Library()
UNKNOWN = "\N{EN DASH}"


@register.filter
def share(value: Share) -> str:
    """Whole per cent, a dash where there is nothing to divide by."""
    return UNKNOWN if value.value is None else f"{value.value * 100:.0f} %"


@register.filter
def between(value: Share) -> str:
    """The interval of a share, "81 to 94 %"; empty without one."""
    return "" if value.interval is None else f"{value.interval[0] * 100:.0f} to {value.interval[1] * 100:.0f} %"


@register.filter
def dollars(value: Decimal | float | None) -> str:
    return UNKNOWN if value is None else f"${money(value)}"


@register.filter
def took(milliseconds: float | None) -> str:
    if milliseconds is None:
        return UNKNOWN
    return f"{milliseconds:.0f} ms" if milliseconds < 1_000 else f"{milliseconds / 1_000:.1f} s"
