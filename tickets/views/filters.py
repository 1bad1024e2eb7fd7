"""What the address of the queue asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

from django.http import QueryDict

from tickets.live import counts_of
from tickets.models import ENDED, Place, Priority, Status
from tickets.models.ticket import TicketQuerySet
from triage.models import User

TABS: tuple[tuple[str, str], ...] = (
    ("", "All"),
    ("new", "New"),
    ("escalated", "Escalated"),
    ("in_review", "In review"),
    ("waiting", "Waiting"),
    ("resolved", "Resolved"),
)
FIELDS = ("team", "category", "priority", "source", "assignee", "needs", "tag", "q")
NEEDS = {
    "approval": ("Approval", TicketQuerySet.awaiting_approval),
    "answer": ("A first answer, overdue", TicketQuerySet.overdue),
    "reading": ("Reading again", TicketQuerySet.unreadable),
    "audit": ("A check by lot", TicketQuerySet.awaiting_audit),
    "delivery": ("A look at its delivery", TicketQuerySet.undelivered),
}


@dataclass(frozen=True, slots=True)
class Tab:
    key: str
    word: str
    address: str
    here: bool
    count: int


@dataclass(frozen=True, slots=True)
class Filters:
    """The queue's filters as the address spells them; what is not understood is left out."""

    status: str = ""
    team: str = ""
    category: str = ""
    priority: str = ""
    source: str = ""
    assignee: str = ""
    needs: str = ""
    tag: str = ""
    q: str = ""
    before: Place | None = None

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        def word(name: str) -> str:
            return query.get(name, "").replace("\x00", "").strip()[:200]

        status = word("status")
        priority = word("priority").upper()
        return cls(
            status=status if status in dict(TABS) else "",
            team=word("team"),
            category=word("category"),
            priority=priority if priority in Priority.values else "",
            source=word("source"),
            assignee=word("assignee"),
            needs=word("needs") if word("needs") in NEEDS else "",
            tag=word("tag"),
            q=word("q"),
            before=Place.of(word("before")),
        )

    @property
    def narrowed(self) -> bool:
        """Whether anything but the tab narrows what is shown."""
        return any(getattr(self, name) for name in FIELDS)

    @property
    def everything(self) -> bool:
        """Whether the tab All holds what has ended, too: what is searched for, or left to be done, may be anywhere."""
        return bool(self.q or self.needs)

    def address(self, **changes: object) -> str:
        """The query string with some filters changed; paging is always dropped unless given."""
        asked = {name: getattr(self, name) for name in ("status", *FIELDS)} | changes
        kept = {name: value for name, value in asked.items() if value not in ("", None)}
        return f"?{urlencode(kept)}" if kept else "?"

    def narrow(self, tickets: TicketQuerySet, user: User) -> TicketQuerySet:
        """Every filter but the tab."""
        for name, path in (("team", "team__key"), ("category", "category__key"), ("source", "source__name")):
            if value := getattr(self, name):
                tickets = tickets.filter(**{path: value})
        if self.priority:
            tickets = tickets.filter(priority=self.priority)
        if self.assignee == "me":
            tickets = tickets.filter(assignee=user)
        elif self.assignee == "nobody":
            tickets = tickets.filter(assignee=None)
        elif self.assignee:
            tickets = tickets.filter(assignee__username=self.assignee)
        if self.tag:
            tickets = tickets.filter(tags__contains=[self.tag])
        if self.needs:
            tickets = NEEDS[self.needs][1](tickets)
        return tickets.matching(self.q) if self.q else tickets

    def on_tab(self, tickets: TicketQuerySet) -> TicketQuerySet:
        """The tab's tickets. All is all that is open; a search or a need looks through what has ended, too."""
        if self.status == "resolved":
            return tickets.filter(status__in=ENDED)
        if self.status:
            return tickets.filter(status=self.status)
        return tickets if self.everything else tickets.open()

    def tabs(self, narrowed: TicketQuerySet) -> list[Tab]:
        counts = counts_of(narrowed)
        everything = "found" if self.everything else ""
        return [
            Tab(key, word, self.address(status=key), key == self.status, counts[everything if key == "" else key])
            for key, word in TABS
        ]


def status_word(status: str) -> str:
    return Status(status).label
