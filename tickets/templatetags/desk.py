"""How the desk writes times, confidence and text. Nothing here knows who is looking."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.template.loader import get_template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from tickets.actions.decided import spelled
from tickets.context import taxonomy
from tickets.markdown import render
from tickets.mentions import Mentions
from tickets.models import Status, Ticket, TriageState
from tickets.views.clock import Clock, clock_of, short
from tickets.views.proposal import CHOICES
from tickets.views.prose import render_text

register = template.Library()


@register.simple_tag
@lru_cache(maxsize=512)
def drawn(template_name: str, **values: str | int | None) -> SafeString:
    """A small template that shows these values and nothing else, drawn once a process for each of them."""
    return mark_safe(get_template(template_name).render(values))  # noqa: S308  a template's work is escaped


@register.simple_tag
def ago(moment: datetime | None, words: str = "") -> SafeString | str:
    """A relative time with the exact one on hover; app.js keeps it true. `words="ago"` adds the word."""
    if moment is None:
        return ""
    local = timezone.localtime(moment)
    text = short(timezone.now() - moment)
    after = " ago" if words and text != "now" else ""
    return format_html(
        '<time datetime="{}" title="{}" data-age="{}">{}{}</time>',
        local.isoformat(timespec="seconds"),
        f"{local:%A %-d %B %Y, %H:%M %Z}",
        words,
        text,
        after,
    )


@register.filter
def sla(ticket: Ticket) -> Clock | None:
    """The clock of the time that is promised next, None where none is."""
    return clock_of(ticket)


@register.filter
def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """A moment by somebody's own clock. Without its zone, so that no filter behind it changes it back to the desk's."""
    return moment.astimezone(zone).replace(tzinfo=None)


@register.filter
def percent(value: float | None) -> int:
    """0..1 as whole percent, cut down so that 0.999 is not 100."""
    return 0 if value is None else int(value * 100)


@register.filter
def level(value: float | None) -> str:
    """The colour band of a confidence: over 0.9 high, over 0.75 middle, else low."""
    if value is None:
        return "none"
    return "high" if value > 0.9 else "middle" if value > 0.75 else "low"


@register.filter
def stamp(moment: datetime | None) -> int:
    """Milliseconds since 1970: what a browser compares versions of a row by."""
    return int(moment.timestamp() * 1000) if moment else 0


@register.filter
def initials(person: Any) -> str:
    """Two letters for a round badge."""
    words = str(getattr(person, "label", person)).replace("@", " ").split()
    return "".join(word[0] for word in words[:2]).upper() or "?"


@register.filter
def money(amount: Decimal | float) -> str:
    """US dollars to the cent that matters: 12.40, 0.0312, 0.0004."""
    value = Decimal(amount)
    if value == 0 or value >= 1:
        return f"{value:,.2f}"
    return f"{value:.4f}" if value >= Decimal("0.0001") else f"{value:.6f}"


@register.filter
def field_word(name: str) -> str:
    return _FIELD_WORDS.get(name) or name.replace("_", " ").capitalize()


_FIELD_WORDS = {"is_technical": "Technical", "deleted_at": "Deleted"}


@register.filter
def is_something(value: Any) -> bool:
    """Whether a tracked value is one; False and 0 are."""
    return value not in (None, "", [])


@register.filter
def field_value(value: Any, name: str = "") -> str:
    """A tracked value of the field `name` in the desk's words: a category by its name, a status as its tab says it."""
    if not is_something(value):
        return "nothing"
    if isinstance(value, datetime):
        return date_format(timezone.localtime(value), "j M Y, H:i")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    key = spelled(value)
    words = {**dict(CHOICES.get(name, ())), **_STATES.get(name, {})} or _names(name)
    return words.get(key, {"true": "yes", "false": "no"}.get(key, key))


_STATES = {"status": dict(Status.choices), "triage_state": dict(TriageState.choices)}


def _names(name: str) -> dict[str, str]:
    labels, _ = taxonomy()
    rows = {"category": labels.categories, "team": labels.teams, "component": labels.components}.get(name, ())
    return {row.key: row.name for row in rows}


@register.filter
def prose(text: str) -> SafeString:
    """Markdown of a customer or colleague as safe HTML."""
    return render_text(text)


@register.filter
def comment(text: str, mentions: Mentions) -> SafeString:
    """Markdown of a colleague as safe HTML, with the names in it marked."""
    return render(text, mentions)
