"""What the filters of the queue can be set to: labels, sources, people, and the closed lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from django.db.models import Value

from tickets.models import Category, Component, Source, Team
from tickets.views.filters import AT_HAND, FIELDS, Filters
from triage.models import User

TYPED = ("language", "tag", "requester")


@dataclass(frozen=True, slots=True)
class Choice:
    """One filter with its values, (key, word, whether it is set). `typed`: whatever is written."""

    name: str
    word: str
    values: list[tuple[str, str, bool]]
    typed: bool = False

    @property
    def at_hand(self) -> bool:
        return self.name in AT_HAND

    @property
    def chosen(self) -> int:
        return sum(1 for _, _, is_set in self.values if is_set)


@dataclass(frozen=True, slots=True)
class Choices:
    """{filter: {key: name}} of what there is now. Two queries."""

    known: Mapping[str, Mapping[str, str]]

    @classmethod
    def now(cls) -> Self:
        people = User.objects.filter(is_active=True, agent__isnull=False).order_by("first_name", "username")
        labels = {"team": Team, "category": Category, "component": Component, "source": Source}
        named = [
            model._default_manager.filter(active=True)
            .order_by()
            .values_list(Value(kind), "name" if model is Source else "key", "name")
            for kind, model in labels.items()
        ]
        known: dict[str, dict[str, str]] = {kind: {} for kind in labels}
        for kind, key, name in named[0].union(*named[1:]).order_by("name"):
            known[kind][key] = name
        known["assignee"] = {"me": "Mine", "nobody": "Nobody yet"} | {one.username: one.label for one in people}
        return cls(known)

    @property
    def names(self) -> dict[tuple[str, str], str]:
        return {(name, key): word for name, values in self.known.items() for key, word in values.items()}

    def of(self, filters: Filters) -> list[Choice]:
        """Every filter in its order, with what is set marked; a value that is set and not known stays one."""
        return [self._choice(name, filters) for name in FIELDS]

    def _choice(self, name: str, filters: Filters) -> Choice:
        given = filters.values.get(name, ())
        values = dict(FIELDS[name].choices or self.known.get(name, {}))
        values |= {value: value for value in given if value not in values}
        listed = [(key, word, key in given) for key, word in values.items()]
        return Choice(name, FIELDS[name].word, listed, typed=name in TYPED)
