"""A rule tried on past tickets: which of them it would hold of, and what would become of them. Writes nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tickets.actions.deeds import Step, plan_all
from tickets.models import Ticket
from tickets.rules.facts import OF_THE_CHANGE, Facts
from tickets.rules.matching import matches
from tickets.rules.spec import RuleSpec
from triage.models import User

TRIED = 1_000  # the newest tickets
SHOWN = 20
SECONDS = 10.0  # after which it says how far it came


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried on how many, and the newest that it held of with what would be done to each.

    `passed_over` are facts that are known only when something happens; `cut` that time ran out.
    """

    seen: int
    matched: int
    shown: list[tuple[Ticket, list[Step]]]
    passed_over: list[str]
    cut: bool


def trial(spec: RuleSpec, user: User) -> Tried:
    """Try it on the newest tickets that this person may see, as they are now."""
    unknown = [one for one in OF_THE_CHANGE if any(condition.fact == one for condition in spec.conditions)]
    newest = Ticket.objects.visible_to(user).order_by("-number").defer("embedding", "raw")
    related = newest.select_related("category", "team", "component", "source", "requester", "assignee")
    texts = related.prefetch_related("messages") if any(one.fact == "text" for one in spec.conditions) else related
    until = time.monotonic() + SECONDS
    seen, held = 0, []
    for ticket in texts[:TRIED]:
        if time.monotonic() > until:
            break
        seen += 1
        if matches(spec, Facts(ticket), without=unknown):
            held.append(ticket)
    shown = [(ticket, plan_all(spec.deeds, ticket)) for ticket in held[:SHOWN]]
    return Tried(seen, len(held), shown, unknown, cut=time.monotonic() > until)
