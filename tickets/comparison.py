"""The figures of a replay: how two readers agree, who is right where a person decided, what each would apply.

Shares are 0 to 1, None where there is nothing to divide by. Intervals are Wilson's, two-sided 95 %.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count, F, Q, QuerySet, Sum

from tickets.models import COMPARED, Comparison, Replay, ReplayTicket

_Z = 1.96
SHOWN = 100


@dataclass(frozen=True, slots=True)
class Share:
    """`right` of `n`, with the interval in which the true share lies."""

    right: int
    n: int

    @property
    def value(self) -> float | None:
        return self.right / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        if not self.n:
            return None
        share, squared = self.right / self.n, _Z * _Z
        middle = share + squared / (2 * self.n)
        half = _Z * math.sqrt(share * (1 - share) / self.n + squared / (4 * self.n * self.n))
        whole = 1 + squared / self.n
        return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


@dataclass(frozen=True, slots=True)
class FieldFigures:
    """One field: agreement over all tickets compared, accuracy over those that a person decided.

    `only_live` and `only_other` count decided tickets that one reader alone got right: what a switch would lose and
    win. `seen` are decisions older than the fit that was tried, which may have learned from them.
    """

    name: str
    agreement: Share
    live: Share
    other: Share
    only_live: int
    only_other: int
    live_applies: Share
    other_applies: Share
    live_asks: Share
    other_asks: Share
    seen: int


@dataclass(frozen=True, slots=True)
class Effort:
    """What a ticket cost and took, on average, each reader; None where it is not known."""

    live_cost: Decimal | None
    other_cost: Decimal | None
    live_milliseconds: float | None
    other_milliseconds: float | None
    cost: Decimal | None
    calls: int


@dataclass(frozen=True, slots=True)
class Progress:
    total: int
    done: int
    failed: int
    skipped: int

    @property
    def left(self) -> int:
        return self.total - self.settled

    @property
    def settled(self) -> int:
        return self.done + self.failed + self.skipped

    @property
    def share(self) -> float:
        return self.settled / self.total if self.total else 1.0


def progress(replay: Replay) -> Progress:
    """How many tickets it has, and how many are read, failed or left out."""
    states = dict(replay.rows.order_by().values_list("state").annotate(n=Count("pk")))
    ended = (states.get(state, 0) for state in ReplayTicket.SETTLED)
    return Progress(sum(states.values()), *ended)


def by_field(replay: Replay) -> list[FieldFigures]:
    """The figures of each field that was compared, in the order of COMPARED."""
    decided, applied, asked = Q(decided_at__isnull=False), "apply", "ask"
    seen = Q(decided_at__lt=replay.fit.created_at) if replay.fit else Q(pk=None)
    counted = {
        "n": Count("pk"),
        "agree": Count("pk", filter=Q(agrees=True)),
        "decided": Count("pk", filter=decided),
        "live": Count("pk", filter=Q(live_right=True)),
        "other": Count("pk", filter=Q(other_right=True)),
        "only_live": Count("pk", filter=Q(live_right=True, other_right=False)),
        "only_other": Count("pk", filter=Q(live_right=False, other_right=True)),
        "live_apply": Count("pk", filter=Q(live_band=applied)),
        "other_apply": Count("pk", filter=Q(other_band=applied)),
        "live_ask": Count("pk", filter=Q(live_band__in=(asked, ""))),
        "other_ask": Count("pk", filter=Q(other_band__in=(asked, ""))),
        "seen": Count("pk", filter=decided & seen),
    }
    rows: Any = Comparison.objects.filter(row__replay=replay).order_by().values("field").annotate(**counted)
    found = {row["field"]: row for row in rows}
    return [_figures(found[name]) for name in COMPARED if name in found]


def _figures(row: dict[str, Any]) -> FieldFigures:
    n, decided = row["n"], row["decided"]
    return FieldFigures(
        name=row["field"],
        agreement=Share(row["agree"], n),
        live=Share(row["live"], decided),
        other=Share(row["other"], decided),
        only_live=row["only_live"],
        only_other=row["only_other"],
        live_applies=Share(row["live_apply"], n),
        other_applies=Share(row["other_apply"], n),
        live_asks=Share(row["live_ask"], n),
        other_asks=Share(row["other_ask"], n),
        seen=row["seen"],
    )


def effort(replay: Replay) -> Effort:
    """Over the tickets read. A mean leaves out what is not known; `cost` is all that is known to be spent."""
    read = replay.rows.filter(state=ReplayTicket.State.DONE)
    means = read.aggregate(
        live_cost=Avg("live_cost"),
        other_cost=Avg("cost"),
        live_milliseconds=Avg("live_milliseconds"),
        other_milliseconds=Avg("milliseconds"),
    )
    spent = replay.rows.aggregate(cost=Sum("cost"), calls=Sum("calls"))
    return Effort(**means, cost=spent["cost"], calls=spent["calls"] or 0)


def differing(replay: Replay, field: str = "") -> QuerySet[Comparison]:
    """Where the two readers differ: of one field or of all, decided ones first, the newest tickets first."""
    found = Comparison.objects.filter(row__replay=replay, agrees=False).select_related("row__ticket")
    found = found.defer("row__ticket__embedding", "row__ticket__raw")
    if field:
        found = found.filter(field=field)
    return found.order_by(F("decided_at").desc(nulls_last=True), "-row__ticket_id", "field")


@dataclass(frozen=True, slots=True)
class Change:
    """A value that became another, in how many tickets, with the numbers of some."""

    field: str
    before: Any
    after: Any
    count: int
    numbers: tuple[int, ...]


def became(replay: Replay) -> list[Change]:
    """What the tickets read hold that is other than before, field by field, the most frequent first."""
    rows = replay.rows.filter(state=ReplayTicket.State.DONE).select_related(
        "ticket__category", "ticket__team", "ticket__component"
    )
    pairs = ((row.ticket_id, row.held, row.ticket) for row in rows.defer(*_HEAVY).iterator(1_000))
    return changes(
        (number, before, {name: ticket.value_of(name) for name in COMPARED}) for number, before, ticket in pairs
    )


_HEAVY = ("ticket__embedding", "ticket__raw")


def changes(readings: Any) -> list[Change]:
    """Of (number, {field: before}, {field: after}): what changed. Only fields that both name are looked at."""
    counts: Counter[tuple[str, str, str]] = Counter()
    kept: dict[tuple[str, str, str], tuple[Any, Any, list[int]]] = {}
    for number, before, after in readings:
        for name in COMPARED:
            if name not in before or name not in after or before[name] == after[name]:
                continue
            key = (name, repr(before[name]), repr(after[name]))
            counts[key] += 1
            numbers = kept.setdefault(key, (before[name], after[name], []))[2]
            if len(numbers) < 5:
                numbers.append(number)
    ordered = sorted(counts.items(), key=lambda item: (COMPARED.index(item[0][0]), -item[1], item[0]))
    return [Change(key[0], *kept[key][:2], count, tuple(kept[key][2])) for key, count in ordered]


def remarks(replay: Replay) -> list[tuple[str, int]]:
    """What was noted with its tickets (the model gave no answer, left out) and how often, the most frequent first."""
    noted: Counter[str] = Counter()
    for notes, error in replay.rows.exclude(notes=[], error="").values_list("notes", "error").iterator():
        noted.update({*notes, *([error] if error and not notes else [])})
    return noted.most_common(8)
