"""All labels at once, for pages that name many."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import Value

from tickets.models.taxonomy import Category, Component
from tickets.models.team import Team

KINDS = {"category": Category, "team": Team, "component": Component}


class Named(NamedTuple):
    pk: int
    key: str
    name: str
    active: bool


def all_labels() -> dict[str, list[Named]]:
    """{"category": [...], "team": [...], "component": [...]}, each by name, retired ones too. One query."""
    rows = [
        model._default_manager.order_by().values_list(Value(kind), "pk", "key", "name", "active")
        for kind, model in KINDS.items()
    ]
    found: dict[str, list[Named]] = {kind: [] for kind in KINDS}
    for kind, *named in rows[0].union(*rows[1:]).order_by("name"):
        found[kind].append(Named(*named))
    return found
