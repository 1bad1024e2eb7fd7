"""What the form of a replay asks for: which tickets, who reads them, and what becomes of the readings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from django.http import QueryDict
from django.utils import timezone

from tickets.models import Replay, Ticket
from tickets.models.choices import ReadWith
from tickets.models.ticket import TicketQuerySet
from tickets.reader import Reader
from tickets.views.filters import Filters, all_words
from triage.models import Artifact, User

ENGINES = tuple((engine, engine.label) for engine in ReadWith if engine != ReadWith.ANSWER)
DAYS = (("7", "The last 7 days"), ("30", "The last 30 days"), ("90", "The last 90 days"), ("", "Any time"))
LARGEST_LIMIT = 1_000_000
MOST_PROMPT = 20_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """The form as it was filled in; what is not understood is left as it was."""

    kind: Replay.Kind
    filters: Filters
    days: str
    limit: int | None
    reader: Reader
    options: dict[str, Any] = field(default_factory=dict)
    confirmed: bool = False

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        kind = query.get("kind", "")
        chosen = Replay.Kind(kind) if kind in Replay.Kind.values else Replay.Kind.COMPARE
        days = query.get("days", "30" if chosen == Replay.Kind.COMPARE else "")
        return cls(
            kind=chosen,
            filters=Filters.of(query),
            days=days if days in dict(DAYS) else "",
            limit=_whole(query.get("limit", "1000" if chosen == Replay.Kind.COMPARE else "")),
            reader=_reader(query, trial=chosen != Replay.Kind.STORE),
            options=_options(query, chosen),
            confirmed="confirmed" in query,
        )

    def tickets(self, user: User) -> TicketQuerySet:
        found = self.filters.on_tab(self.filters.narrow(Ticket.objects.visible_to(user), user), user)
        if self.kind == Replay.Kind.COMPARE and not self.filters.status:  # what has ended was decided most often
            found = self.filters.narrow(Ticket.objects.visible_to(user), user)
        if self.days:
            found = found.filter(created_at__gte=timezone.now() - timedelta(days=int(self.days)))
        if self.limit:
            found = Ticket.objects.filter(pk__in=found.order_by("-number").values("pk")[: self.limit])
        return found.order_by("number")

    @property
    def words(self) -> str:
        """Which tickets, for whoever looks at it later."""
        if self.kind == Replay.Kind.SHADOW:
            return "new tickets"
        parts = all_words(self.filters)
        parts += [dict(DAYS)[self.days].lower()] if self.days else []
        parts += [f"the newest {self.limit:,}"] if self.limit else []
        everything = "all tickets" if self.kind == Replay.Kind.COMPARE else "all open tickets"
        return ", ".join(parts) or everything

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The queue's filters, to be sent along by the form."""
        return self.filters.pairs()


def _reader(query: QueryDict, *, trial: bool) -> Reader:
    engine = query.get("engine", "")
    chosen = engine if engine in dict(ENGINES) else ReadWith.CASCADE
    if not trial:
        return Reader(chosen)
    version = query.get("fit", "").replace("\x00", "")[:32]
    fit = Artifact.objects.filter(version=version).defer("payload").first() if version else None
    prompt = query.get("prompt", "").replace("\x00", "").replace("\r\n", "\n").strip()[:MOST_PROMPT]
    model = query.get("model", "").replace("\x00", "").strip()[:100]
    return Reader(chosen, model, prompt, fit.pk if fit else None, fit.version if fit else "")


def _options(query: QueryDict, kind: Replay.Kind) -> dict[str, Any]:
    if kind == Replay.Kind.SHADOW:
        share = _whole(query.get("share", "")) or 100
        return {"share": min(share, 100), "calls_a_day": _whole(query.get("calls_a_day", ""))}
    if kind == Replay.Kind.STORE:
        return {"batch": "batch" in query, "leave_when_spent": "leave_when_spent" in query}
    return {}


def _whole(given: str) -> int | None:
    given = given.strip()
    whole = int(given) if given.isascii() and given.isdigit() and len(given) < 9 else 0
    return min(whole, LARGEST_LIMIT) or None
