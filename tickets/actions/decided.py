"""From the words of an API, a form or a model to what a ticket's field holds."""

from __future__ import annotations

import re
from typing import Any

from tickets.actions.errors import Invalid
from tickets.channels.base import clean_text
from tickets.models import Category, Component, Effort, Sentiment, Severity, Team, Tier, priority_of
from tickets.models.taxonomy import Label
from triage.pipeline.types import MAX_TAGS

LABELS: dict[str, type[Label]] = {"category": Category, "team": Team, "component": Component}
CHOICES = {"severity": Severity, "effort": Effort, "sentiment": Sentiment}


def normalise(name: str, given: Any) -> Any:
    """The value to store for field `name`. None and "" empty a field. Raises Invalid naming the field."""
    given = clean_text(given)
    if name in LABELS:
        return _label(name, given)
    if name == "tags":
        return _tags(given)
    if given is None or given == "":
        return None if name in ("tier", "is_technical") else ""
    try:
        return _scalar(name, given)
    except (ValueError, TypeError) as wrong:
        raise Invalid("not_a_choice", f"{given!r} is not a {name}.", field=name) from wrong


def spelled(value: Any) -> str:
    """A value as a form field spells it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(part) for part in value)
    return str(value)


def _label(name: str, given: Any) -> Label | None:
    if given in (None, ""):
        return None
    model = LABELS[name]
    if not isinstance(given, str):
        raise Invalid("not_a_choice", f"Name a {name} by its key.", field=name)
    word = given.strip()
    active = model._default_manager.filter(active=True)
    # A key or name is meant before another label's alias of the same spelling.
    label = (
        active.filter(key=word.lower()).first()
        or active.filter(name__iexact=word).first()
        or active.filter(aliases__contains=[word.lower()]).first()
    )
    if label is None:
        keys = ", ".join(model._default_manager.filter(active=True).order_by("key").values_list("key", flat=True))
        raise Invalid("not_a_choice", f"{word[:60]!r} is not a {name}. Choose one of {keys}.", field=name)
    return label


def _scalar(name: str, given: Any) -> Any:
    if name == "priority":
        return priority_of(str(given)).value
    if name == "tier":
        if isinstance(given, bool):
            raise ValueError
        return Tier(int(given)).value
    if name == "is_technical":
        return _boolean(given)
    if name in CHOICES:
        return CHOICES[name](str(given).strip().lower()).value
    if name == "language":
        if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z]{2,4})?", str(given).strip()):
            raise ValueError
        return str(given).strip().lower()
    if name == "summary":
        return " ".join(str(given).replace("\x00", "").split())[:500]
    raise Invalid("unknown_field", f"{name} is not a field that can be decided.", field=name)


def _boolean(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        return words[str(given).strip().lower()]
    except KeyError as wrong:
        raise ValueError from wrong


def _tags(given: Any) -> list[str]:
    if given is None:
        return []
    listed = given.split(",") if isinstance(given, str) else given
    if not isinstance(listed, (list, tuple)) or not all(isinstance(tag, str) for tag in listed):
        raise Invalid("not_a_choice", "Tags are a list of words.", field="tags")
    tags = list(dict.fromkeys(_tag(tag) for tag in listed if tag.strip()))
    if len(tags) > MAX_TAGS:
        raise Invalid("too_many", f"A ticket has up to {MAX_TAGS} tags.", field="tags")
    return tags


def _tag(tag: str) -> str:
    word = re.sub(r"[^\w]+", "-", tag.strip().lower()).strip("-")
    if not word or len(word) > 50:
        raise Invalid("not_a_choice", "A tag is one to 50 letters, digits or hyphens.", field="tags")
    return word
