"""How the settings write lengths of time."""

from __future__ import annotations

from collections.abc import Mapping

from django import template

from tickets.durations import written

register = template.Library()


@register.filter
def duration(minutes: int | None) -> str:
    """ "4h", "1h 30m"; a dash where there is none."""
    return written(minutes) or "\u2013"


@register.filter
def of(given: Mapping[str, str], name: str) -> str:
    """What a form was given for a field."""
    return given.get(name, "")
