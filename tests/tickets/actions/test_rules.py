from __future__ import annotations

from typing import Any

import pytest

from tests.tickets.conftest import MakeTicket
from tests.tickets.ruling import TAG, fire_all, make_rule
from tickets.actions import review, rules
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Category, Draft, Event, Macro, Notification, Rule, RuleFiring, Ticket
from tickets.rules.spec import RuleSpec
from tickets.trial import trial
from triage.correlation import acting
from triage.models import User


def _keep(by: User, rule: Rule | None = None, name: str = "A rule", **said: Any) -> Rule:
    return rules.keep(name=name, said={"when": "changed", "deeds": [TAG], **said}, by=by, rule=rule)


def _prioritise(ticket: Ticket, priority: str, by: User) -> None:
    with acting(f"user:{by.pk}"):
        review.correct(ticket=ticket, changes={"priority": priority}, by=by)


@pytest.mark.parametrize("who", ["agent", "auditor"])
def test_only_leads_make_switch_and_move_rules(request: pytest.FixtureRequest, lead: User, who: str) -> None:
    user = request.getfixturevalue(who)
    rule = _keep(lead)
    for refused in (
        lambda: _keep(user),
        lambda: rules.switch(rule=rule, active=True, by=user),
        lambda: rules.retire(rule=rule, by=user),
        lambda: rules.move(rule=rule, by=user, up=True),
    ):
        with pytest.raises(Forbidden):
            refused()
    assert not Rule.objects.filter(active=True).exists()


def test_a_rule_begins_switched_off(lead: User) -> None:
    assert not _keep(lead).active


def test_a_change_is_a_new_version_and_the_old_one_is_kept(reviewed: Ticket, agent: User, lead: User) -> None:
    rule = make_rule(lead)
    _prioritise(reviewed, "P1", agent)
    fire_all()
    changed = _keep(lead, rule, deeds=[{"do": "tag", "values": ["other"]}])
    _prioritise(reviewed, "P2", agent)
    fire_all()
    assert [(one.version, one.did[0]["words"]) for one in RuleFiring.objects.order_by("pk")] == [
        (1, "Add seen"),
        (2, "Add other"),
    ]
    assert [(one.number, one.spec["deeds"][0]["values"]) for one in changed.versions.order_by("number")] == [
        (1, ["seen"]),
        (2, ["other"]),
    ]
    assert changed.active, "a change does not switch it off"
    assert _keep(lead, changed, deeds=[{"do": "tag", "values": ["other"]}]).version == 2, "nothing is new"


def test_it_refuses_a_change_of_what_somebody_changed_meanwhile(lead: User) -> None:
    rule = _keep(lead)
    _keep(lead, rule, name="Renamed")
    with pytest.raises(Conflict):
        rules.keep(name="Mine", said={"when": "changed", "deeds": [TAG]}, by=lead, rule=rule, version=1)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"deeds": []}, "deeds"),
        ({"deeds": [{"do": "send", "text": "Hello"}]}, "deeds.0"),
        ({"deeds": [TAG, {"do": "set", "field": "team", "values": ["nowhere"]}]}, "deeds.1"),
        ({"deeds": [{"do": "set", "field": "summary", "values": ["x"]}]}, "deeds.0"),
        ({"deeds": [{"do": "status", "values": ["new"]}]}, "deeds.0"),
        ({"deeds": [{"do": "assign", "values": ["nobody-here"]}]}, "deeds.0"),
        ({"deeds": [{"do": "notify", "values": []}]}, "deeds.0"),
        ({"deeds": [{"do": "webhook", "values": ["7"]}]}, "deeds.0"),
        ({"deeds": [{"do": "macro", "values": ["7"]}]}, "deeds.0"),
        ({"deeds": [{"do": "escalate"}]}, "deeds.0"),
        ({"conditions": [{"fact": "team", "op": "is", "values": ["nowhere"]}]}, "conditions.0"),
        ({"conditions": [{"fact": "text", "op": "matches", "values": ["("]}]}, "conditions.0"),
        ({"when": "idle"}, ""),
    ],
)
def test_it_refuses_what_is_no_rule_and_says_where(lead: User, said: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        _keep(lead, **said)
    assert refused.value.field == field
    assert not Rule.objects.exists()


def test_a_macro_of_ones_own_is_nothing_for_a_rule(lead: User) -> None:
    own = Macro.objects.create(name="Mine", text="Hello", owner=lead)
    with pytest.raises(Invalid):
        _keep(lead, deeds=[{"do": "macro", "values": [str(own.pk)]}])


def test_what_a_rule_names_must_still_be_there_when_it_is_switched_on(lead: User) -> None:
    rule = _keep(lead, conditions=[{"fact": "category", "op": "is", "values": ["access"]}])
    Category.objects.filter(key="access").delete()
    with pytest.raises(Invalid):
        rules.switch(rule=rule, active=True, by=lead)


def test_rules_change_places(lead: User) -> None:
    one, two, three = (_keep(lead, name=name) for name in ("One", "Two", "Three"))
    rules.move(rule=three, by=lead, up=True)
    rules.move(rule=one, by=lead, up=True)  # it is the first already
    assert list(Rule.objects.values_list("name", flat=True)) == ["One", "Three", "Two"]
    rules.move(rule=one, by=lead, up=False)
    assert list(Rule.objects.values_list("name", flat=True)) == ["Three", "One", "Two"]
    assert two.name == "Two"


def test_a_retired_rule_does_nothing_until_it_is_brought_back_and_switched_on(
    reviewed: Ticket, agent: User, lead: User
) -> None:
    rule = rules.retire(rule=make_rule(lead), by=lead)
    _prioritise(reviewed, "P1", agent)
    assert fire_all() == 0
    with pytest.raises(Conflict):
        rules.switch(rule=rule, active=True, by=lead)
    rules.switch(rule=rules.retire(rule=rule, by=lead, retired=False), active=True, by=lead)
    _prioritise(reviewed, "P2", agent)
    assert fire_all() > 0


def test_tried_on_past_tickets_it_says_what_would_change_and_writes_nothing(
    make_ticket: MakeTicket, reviewed: Ticket, agent: User, lead: User
) -> None:
    macro = Macro.objects.create(name="Refund", text="Hello", scope="everyone")
    bill = make_ticket(title="A bill", text="The invoice is wrong.")
    review.correct(ticket=bill, changes={"priority": "P1"}, by=agent)
    spec = RuleSpec.model_validate(
        {
            "when": "triaged",
            "conditions": [{"fact": "text", "op": "matches", "values": ["invoice|export"]}],
            "deeds": [
                {"do": "set", "field": "priority", "values": ["P3"]},
                {"do": "notify", "values": ["leads"]},
                {"do": "macro", "values": [str(macro.pk)]},
                {"do": "escalate", "text": "Money"},
            ],
        }
    )
    before = (list(Ticket.objects.order_by("pk").values()), Event.objects.count(), Draft.objects.get().text)
    tried = trial(spec, lead)
    assert (tried.seen, tried.matched, tried.cut) == (2, 2, False)
    steps = {ticket.number: steps for ticket, steps in tried.shown}
    assert [step.applies for step in steps[reviewed.number]] == [True, True, True, True]
    assert steps[bill.number][0].note.startswith("Left as it is")
    assert (steps[reviewed.number][0].before, steps[reviewed.number][0].after) == (None, "P3")
    after = (list(Ticket.objects.order_by("pk").values()), Event.objects.count(), Draft.objects.get().text)
    assert before == after
    assert not Notification.objects.exists()
    assert not RuleFiring.objects.exists()


def test_what_is_known_only_when_it_happens_is_passed_over_in_a_trial(reviewed: Ticket, lead: User) -> None:
    said = {"fact": "by", "op": "is", "values": ["person"]}
    spec = RuleSpec.model_validate({"when": "changed", "conditions": [said], "deeds": [TAG]})
    tried = trial(spec, lead)
    assert (tried.matched, tried.passed_over) == (1, ["by"])
