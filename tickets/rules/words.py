"""A rule in words, for lists and logs."""

from __future__ import annotations

from collections.abc import Mapping

from tickets.rules.facts import FACTS
from tickets.rules.spec import OPS, WHEN, Condition, RuleSpec

Names = Mapping[tuple[str, str], str]  # (fact, key) → name, of labels and people


def when_words(spec: RuleSpec) -> str:
    if spec.when == "idle" and spec.idle_minutes:
        return f"Nothing happened for {span_words(spec.idle_minutes)}"
    return WHEN[spec.when]


def span_words(minutes: int) -> str:
    """ "90 minutes", "2 hours", "3 days": in the largest unit that it is whole in."""
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes % size == 0:
            return f"{minutes // size} {unit}{'' if minutes == size else 's'}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def condition_words(spec: RuleSpec, names: Names) -> str:
    """ "if all of: …"; empty where there are none."""
    said = [_condition(one, names) for one in spec.conditions]
    return (" and " if spec.match == "all" else " or ").join(said)


def _condition(condition: Condition, names: Names) -> str:
    fact = FACTS[condition.fact]
    shown = [(fact.choices or {}).get(value) or names.get((condition.fact, value), value) for value in condition.values]
    if condition.fact in ("subject", "text"):
        shown = [f"\u201c{one}\u201d" for one in shown]
    return " ".join([fact.word, OPS[fact.kind][condition.op], " or ".join(shown)]).strip()
