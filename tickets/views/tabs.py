"""The views of the queue with how many tickets each holds: by status, by whose they are, and the saved ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from django.http import QueryDict

from tickets.models import View
from tickets.models.counts import counted_up_to, shown
from tickets.models.ticket import TicketQuerySet
from tickets.views.filters import TABS, WHOSE, Filters
from triage.models import User

MOST_VIEWS = 12  # whose tickets are counted; the others are listed without a number


@dataclass(frozen=True, slots=True)
class Tab:
    """A view: `id` names it within the page, `count` is text for people ("10,000+")."""

    id: str
    word: str
    address: str
    here: bool
    count: str
    view: View | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    filters: Filters
    saved: list[View]
    found: Mapping[str, int]

    @classmethod
    def of(cls, filters: Filters, visible: TicketQuerySet, user: User) -> Self:
        """Two queries: the saved views, and one that counts them all. No view is counted beyond MOST."""
        saved = list(View.objects.of(user).select_related("team")[:50])
        narrowed = filters.narrow(visible, user)
        sets = {f"tab-{key or 'all'}": replace(filters, status=key).on_tab(narrowed, user) for key, _ in TABS}
        sets |= {f"whose-{key or 'all'}": replace(filters, whose=key).on_tab(narrowed, user) for key, _ in WHOSE}
        for view in saved[:MOST_VIEWS]:
            theirs = Filters.of(QueryDict(view.query))
            sets[f"view-{view.pk}"] = theirs.on_tab(theirs.narrow(visible, user), user)
        sets |= {"rail": visible.open().awake(), "failed": visible.unreadable()}
        return cls(filters, saved, counted_up_to(sets))

    @property
    def numbers(self) -> dict[str, str]:
        """By the id of the place where it is shown."""
        return {name: shown(count) for name, count in self.found.items() if name != "failed"}

    @property
    def tabs(self) -> list[Tab]:
        return [self._tab("tab", "status", key, word) for key, word in TABS]

    @property
    def whose(self) -> list[Tab]:
        return [self._tab("whose", "whose", key, word) for key, word in WHOSE]

    def _tab(self, kind: str, name: str, key: str, word: str) -> Tab:
        place = f"{kind}-{key or 'all'}"
        here = getattr(self.filters, name) == key
        return Tab(place, word, self.filters.address(**{name: key}), here, shown(self.found.get(place, 0)))

    @property
    def views(self) -> list[Tab]:
        now = sorted(self.filters.pairs())
        return [
            Tab(
                f"view-{view.pk}",
                view.name,
                f"?{view.query}",
                sorted(Filters.of(QueryDict(view.query)).pairs()) == now,
                shown(self.found[f"view-{view.pk}"]) if f"view-{view.pk}" in self.found else "",
                view,
            )
            for view in self.saved
        ]
