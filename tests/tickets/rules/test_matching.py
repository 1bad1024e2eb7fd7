from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pydantic import ValidationError

from tests.tickets.conftest import MakeTicket
from tickets.models import Category, Status, Team, Ticket
from tickets.rules.facts import FACTS, Facts
from tickets.rules.matching import holds, matches
from tickets.rules.spec import OPS, Condition, RuleSpec
from triage.models import User

DEED = {"do": "tag", "values": ["x"]}


@pytest.fixture
def ticket(make_ticket: MakeTicket, lead: User) -> Ticket:
    ticket = make_ticket(title="Refund for March", text="We were charged twice.\nPlease refund INV-2041.")
    ticket.category, ticket.team = Category.objects.get(key="billing"), Team.objects.get(key="billing")
    ticket.priority, ticket.tags, ticket.severity, ticket.assignee = "P2", ["refund", "invoice"], "major", lead
    ticket.confidence, ticket.is_technical = 0.83, False
    ticket.created_at = timezone.now() - timedelta(hours=5)
    ticket.set_status(Status.IN_REVIEW)
    applied = {"engine": "local", "band": "apply", "confidence": 0.97}
    ticket.provenance = dict.fromkeys(("category", "team", "tags", "is_technical"), applied)
    ticket.provenance |= {"priority": {"engine": "person"}, "severity": {"engine": "local", "band": "suggest"}}
    return ticket


@pytest.mark.parametrize(
    ("fact", "op", "values", "expected"),
    [
        ("category", "is", ["bug", "billing"], True),
        ("category", "is", ["bug"], False),
        ("category", "is_not", ["bug"], True),
        ("category", "unset", [], False),
        ("priority", "is", ["P2"], True),
        ("severity", "is", ["major"], False),  # suggested, not applied: a rule does not see it
        ("severity", "unset", [], True),
        ("component", "set", [], False),
        ("status", "is", ["in_review"], True),
        ("tags", "has", ["x", "refund"], True),
        ("tags", "has_not", ["refund"], False),
        ("tags", "unset", [], False),
        ("subject", "contains", ["REFUND"], True),
        ("text", "contains", ["charged twice"], True),
        ("text", "contains_not", ["charged twice"], False),
        ("text", "matches", [r"\binv-\d{4}\b"], True),
        ("text", "matches", [r"^refund$"], False),
        ("requester", "is", ["Kim@Example.com"], True),
        ("domain", "is", ["example.com"], True),
        ("domain", "is_not", ["example.com"], False),
        ("domain", "matches", [r"\.org$"], False),
        ("assignee", "is", ["lea"], True),
        ("assignee", "unset", [], False),
        ("confidence", "over", ["80"], True),
        ("confidence", "under", ["80"], False),
        ("age", "over", ["4.5"], True),
        ("age", "under", ["4.5"], False),
        ("is_technical", "no", [], True),
        ("is_technical", "yes", [], False),
        ("escalated", "yes", [], False),
        ("snoozed", "no", [], True),
        ("language", "unset", [], True),
        ("changed", "has", ["priority", "team"], True),
        ("changed", "has", ["team"], False),
        ("by", "is", ["person"], True),
    ],
)
def test_each_condition_holds_where_it_should(
    ticket: Ticket, fact: str, op: str, values: list[str], expected: bool
) -> None:
    facts = Facts(ticket, frozenset({"priority"}), "person")
    assert holds(Condition(fact=fact, op=op, values=tuple(values)), facts) is expected


def test_every_fact_can_be_asked_for_in_every_way_it_is_offered(ticket: Ticket) -> None:
    for name, fact in FACTS.items():
        for op in OPS[fact.kind]:
            value = next(iter(fact.choices)) if fact.choices else "priority" if fact.kind == "changed" else "1"
            values = () if op in ("set", "unset", "yes", "no") else (value,)
            assert holds(Condition(fact=name, op=op, values=values), Facts(ticket)) in (True, False)


def _spec(*conditions: dict[str, Any], **more: Any) -> RuleSpec:
    return RuleSpec.model_validate({"when": "changed", "conditions": conditions, "deeds": [DEED], **more})


def test_all_means_all_and_any_means_any(ticket: Ticket) -> None:
    good = {"fact": "priority", "op": "is", "values": ["P2"]}
    bad = {"fact": "priority", "op": "is", "values": ["P1"]}
    assert not matches(_spec(good, bad), Facts(ticket))
    assert matches(_spec(good, bad, match="any"), Facts(ticket))
    assert not matches(_spec(bad, match="any"), Facts(ticket))
    assert matches(_spec(), Facts(ticket)), "a rule without conditions is for every ticket"
    assert matches(_spec(match="any"), Facts(ticket))


def test_an_idle_rule_is_about_open_tickets_unless_it_asks_for_a_status(ticket: Ticket) -> None:
    ticket.set_status(Status.RESOLVED)
    resolved = {"fact": "status", "op": "is", "values": ["resolved"]}
    assert not matches(_spec(when="idle", idle_minutes=5), Facts(ticket))
    assert matches(_spec(resolved, when="idle", idle_minutes=5), Facts(ticket))


@pytest.mark.parametrize(
    "wrong",
    [
        {"when": "someday"},
        {"when": "idle"},
        {"when": "idle", "idle_minutes": 0},
        {"idle_minutes": 5},
        {"deeds": []},
        {"conditions": [{"fact": "password", "op": "is", "values": ["x"]}]},
        {"conditions": [{"fact": "priority", "op": "over", "values": ["P1"]}]},
        {"conditions": [{"fact": "priority", "op": "is", "values": ["P9"]}]},
        {"conditions": [{"fact": "priority", "op": "is"}]},
        {"conditions": [{"fact": "age", "op": "over", "values": ["long"]}]},
        {"conditions": [{"fact": "text", "op": "matches", "values": ["("]}]},
        {"conditions": [{"fact": "text", "op": "contains", "values": ["x"]}] * 21},
        {"when": "created", "conditions": [{"fact": "by", "op": "is", "values": ["person"]}]},
        {"sends": True},
    ],
)
def test_what_is_no_rule_is_not_taken_for_one(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RuleSpec.model_validate({"when": "changed", "conditions": [], "deeds": [DEED], **wrong})
