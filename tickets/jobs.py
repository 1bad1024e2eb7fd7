"""What a worker does beside reading: kinds of rows that fall due, are claimed under a lease and done by a thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import CharField, QuerySet, Value

from tickets.actions import (
    acknowledging,
    bulk,
    deliveries,
    firing,
    github_events,
    github_syncs,
    github_writing,
    imports,
    mailboxes,
    mailings,
)
from tickets.actions.deliveries import Claimed
from triage.queue import Cluster


class Rows(Protocol):
    """What the modules of these rows have in common."""

    def due(self) -> QuerySet[Any]: ...

    def claim(self, limit: int, /) -> list[Claimed]: ...

    def renew(self, claimed: Claimed, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """`at_once` are done side by side, each in a thread; or, `in_turn`, one after the other in one thread."""

    cluster: Cluster
    rows: Rows
    do: Callable[[Claimed], object]
    at_once: int
    in_turn: bool = False


# In this order: what customers wait for comes first. Mailboxes leave most threads free.
KINDS: dict[str, Kind] = {
    "delivery": Kind("interactive", deliveries, deliveries.deliver, 8),
    "receipt": Kind("interactive", acknowledging, acknowledging.send, 2),
    "mailing": Kind("interactive", mailings, mailings.send, 2),
    "mailbox": Kind("interactive", mailboxes, mailboxes.read, 3),
    "github event": Kind("interactive", github_events, github_events.work, 20, in_turn=True),
    "rule": Kind("interactive", firing, firing.work, 1),
    "bulk": Kind("batch", bulk, bulk.work, 1),
    "import": Kind("batch", imports, imports.work, 1),
    "github sync": Kind("batch", github_syncs, github_syncs.work, 2),
    "github writing": Kind("batch", github_writing, github_writing.work, 1),
}


def due(cluster: Cluster) -> list[str]:
    """The kinds of which something is due now, in their order. One query."""
    asked = [
        kind.rows.due().order_by().annotate(job=Value(name, CharField())).values_list("job", flat=True)[:1]
        for name, kind in KINDS.items()
        if kind.cluster == cluster
    ]
    found = set(asked[0].union(*asked[1:], all=True))
    return [name for name in KINDS if name in found]
