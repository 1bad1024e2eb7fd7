"""The views of the queue with how many tickets each holds: by status, by whose they are, and the saved ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from django.db.models import Count, Q
from django.http import QueryDict
from django.utils import timezone

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
    def of(cls, filters: Filters, visible: TicketQuerySet, user: User, *, known: int | None = None) -> Self:
        """Three queries: the saved views, one that counts what is open in one pass, one for the rest, up to a limit.

        `known` is what a search has found: who knows it need not search again.
        """
        saved = list(View.objects.of(user).select_related("team")[:50])
        in_one_pass: dict[str, Q] = {"rail": visible.is_awake()}
        one_by_one: dict[str, TicketQuerySet] = {"failed": visible.unreadable()}
        views = {f"view-{view.pk}": Filters.of(QueryDict(view.query)) for view in saved[:MOST_VIEWS]}
        counted = _wanted(filters) | views
        wanted = {place: theirs for place, theirs in counted.items() if theirs.status != "spam"}  # it is no work
        for place, theirs in wanted.items():
            if theirs.plain and theirs.status != "resolved" and not theirs.everything:
                in_one_pass[place] = theirs.condition(user) & theirs.owner(user) & _status(theirs, visible)
            else:
                one_by_one[place] = theirs.on_tab(theirs.narrow(visible, user), user)
        counts = {name: Count("pk", filter=condition) for name, condition in in_one_pass.items()}
        found = visible.open().order_by().aggregate(**{name.replace("-", "_"): one for name, one in counts.items()})
        found = {name: found[name.replace("-", "_")] for name in counts}
        if known is not None:
            one_by_one.pop(here := _here(filters), None)
            found[here] = known
        return cls(filters, saved, found | counted_up_to(one_by_one))

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
        count = shown(self.found[place]) if place in self.found else ""
        return Tab(place, word, self.filters.address(**{name: key}), here, count)

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


def _wanted(filters: Filters) -> dict[str, Filters]:
    """What is counted of the views: while something is searched for the one that is shown, for the others cost most."""
    if not filters.plain or filters.q:
        return {_here(filters): filters}
    found = {f"tab-{key or 'all'}": replace(filters, status=key) for key, _ in TABS}
    if filters.narrowed or filters.whose:
        del found["tab-resolved"]  # of all that ever ended
    if filters.status in ("resolved", "spam"):
        return found
    return found | {f"whose-{key or 'all'}": replace(filters, whose=key) for key, _ in WHOSE}


def _here(filters: Filters) -> str:
    return f"tab-{filters.status or 'all'}"


def _status(filters: Filters, visible: TicketQuerySet) -> Q:
    """The view among what is open."""
    if filters.status == "snoozed":
        return Q(snoozed_until__gt=timezone.now())
    return visible.is_awake() & (Q(status=filters.status) if filters.status else Q())
