"""How the queue looks to a person: dense or not, which columns, with a ticket beside it. Remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from tickets.models import Habits
from tickets.views.frame import person
from triage.models import User

COLUMNS = {
    "category": "Category",
    "team": "Team",
    "confidence": "Sure",
    "sla": "Answer",
    "age": "Age",
    "assignee": "Assignee",
    "excerpt": "First words",
}


@dataclass(frozen=True, slots=True)
class Looks:
    """`hidden` are columns that are not shown; `split` shows a ticket beside the list, `advance` then the next one."""

    compact: bool = False
    split: bool = False
    advance: bool = True
    hidden: frozenset[str] = frozenset()

    @classmethod
    def of(cls, user: User) -> Self:
        kept = Habits.of(user).queue
        hidden = frozenset(name for name in kept.get("hidden", ()) if name in COLUMNS)
        return cls(kept.get("density") == "compact", bool(kept.get("split")), bool(kept.get("advance", True)), hidden)

    @property
    def columns(self) -> list[tuple[str, str, bool]]:
        return [(name, word, name not in self.hidden) for name, word in COLUMNS.items()]

    @property
    def classes(self) -> str:
        """What the list is marked with, for its style."""
        names = [f"without-{name}" for name in sorted(self.hidden)]
        return " ".join([*names, *(["compact"] if self.compact else [])])


@require_POST
@login_required
def looks(request: HttpRequest) -> HttpResponse:
    """Keep how the queue is to look: `split`, or with `columns` what the form of looks holds: `density`, the `column`s
    shown, `advance`. Back to the address given as `query`.
    """
    user, asked = person(request), request.POST
    kept = Looks.of(user)
    shown = asked.getlist("column")
    whole = "columns" in asked
    chosen = {
        "density": asked.get("density", "") if whole else "compact" if kept.compact else "",
        "split": asked["split"] == "on" if "split" in asked else kept.split,
        "advance": "advance" in asked if whole else kept.advance,
        "hidden": sorted(set(COLUMNS) - set(shown)) if whole else sorted(kept.hidden),
    }
    Habits.objects.update_or_create(user=user, defaults={"queue": chosen})
    query = asked.get("query", "")
    return HttpResponseRedirect(reverse("tickets:queue") + (query if query.startswith("?") else ""))
