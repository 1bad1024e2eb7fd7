"""Whether a rule holds of a ticket: the one place where conditions are judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tickets.models.choices import ENDED
from tickets.rules import patterns
from tickets.rules.facts import FACTS, Facts
from tickets.rules.spec import Condition, RuleSpec


def matches(spec: RuleSpec, facts: Facts, *, without: Sequence[str] = ()) -> bool:
    """`without` names facts that are not known: conditions on them are passed over.

    A rule for idle tickets is about open ones, unless it asks for a status.
    """
    asked = [one for one in spec.conditions if one.fact not in without]
    if spec.when == "idle" and facts.ticket.status in ENDED and not any(one.fact == "status" for one in asked):
        return False
    if spec.match == "any" and asked:
        return any(holds(one, facts) for one in asked)
    return all(holds(one, facts) for one in asked)


def holds(condition: Condition, facts: Facts) -> bool:
    fact = FACTS[condition.fact]
    value = fact.of(facts)
    if condition.op in ("set", "unset"):
        return (value in (None, "", [])) == (condition.op == "unset")
    if condition.op in ("yes", "no"):
        return value is (condition.op == "yes")
    if fact.kind == "number":
        return value is not None and _compared(value, condition)
    if fact.kind in ("tags", "changed"):
        return any(one in value for one in condition.values) == (condition.op == "has")
    return _said(str(value) if value is not None else "", condition)


def _compared(value: Any, condition: Condition) -> bool:
    if condition.op == "over":
        return any(value > float(one) for one in condition.values)
    return any(value < float(one) for one in condition.values)


def _said(value: str, condition: Condition) -> bool:
    if condition.op == "matches":
        return any(patterns.found(one, value) for one in condition.values)
    lower = value.casefold()
    if condition.op in ("contains", "contains_not"):
        return any(one.casefold() in lower for one in condition.values) == (condition.op == "contains")
    return (lower in {one.casefold() for one in condition.values}) == (condition.op == "is")
