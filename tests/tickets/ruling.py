"""Rules for tests, and their work done at once."""

from __future__ import annotations

from typing import Any

from tickets.actions import firing, rules
from tickets.models import Rule
from triage.models import User

TAG = {"do": "tag", "values": ["seen"]}


def make_rule(
    by: User, *deeds: dict[str, Any], when: str = "changed", name: str = "A rule", active: bool = True, **said: Any
) -> Rule:
    rule = rules.keep(name=name, said={"when": when, "deeds": list(deeds or (TAG,)), **said}, by=by)
    return rules.switch(rule=rule, active=True, by=by) if active else rule


def fire_all(rounds: int = 50) -> int:
    """Have everything judged that is due, also what that leads to. Returns how many causes there were."""
    judged = 0
    for _ in range(rounds):
        claims = firing.claim(10)
        for claimed in claims:
            firing.fire(claimed)
        judged += len(claims)
        if not claims:
            return judged
    raise AssertionError("rules lead to rules without an end")
