from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tests.tickets.ruling import TAG, fire_all, make_rule
from tickets.actions import assignment, deeds, firing, intake, review, rules, status, undo
from tickets.channels.base import Inbound
from tickets.models import (
    Delivery,
    Draft,
    Event,
    Lane,
    Macro,
    Message,
    Notification,
    Rule,
    RuleCause,
    RuleFiring,
    Source,
    Status,
    Suggestion,
    Team,
    Ticket,
    WebhookCall,
)
from tickets.models.history import changes_of
from triage.correlation import acting
from triage.models import User

Fired = RuleFiring.State


def _prioritise(ticket: Ticket, priority: str, by: User) -> None:
    with acting(f"user:{by.pk}", correlation_id="what-a-person-did"):
        review.correct(ticket=ticket, changes={"priority": priority}, by=by)


def _set(field: str, value: str) -> dict[str, Any]:
    return {"do": "set", "field": field, "values": [value]}


def _if(fact: str, *values: str, op: str = "is") -> list[dict[str, Any]]:
    return [{"fact": fact, "op": op, "values": list(values)}]


def test_what_no_rule_is_for_leaves_no_row(reviewed: Ticket, agent: User, lead: User) -> None:
    make_rule(lead, active=False)
    _prioritise(reviewed, "P1", agent)
    assert not RuleCause.objects.exists()
    rule = make_rule(lead, conditions=_if("priority", "P4"))
    _prioritise(reviewed, "P2", agent)
    assert RuleCause.objects.count() == 1
    fire_all()
    assert not RuleCause.objects.exists(), "judged, and nothing held"
    rules.switch(rule=rule, active=False, by=lead)
    _prioritise(reviewed, "P4", agent)
    assert not RuleCause.objects.exists()


def test_a_change_fires_a_rule_once_under_its_own_name_and_the_same_correlation_id(
    reviewed: Ticket, agent: User, lead: User
) -> None:
    rule = make_rule(lead, TAG, conditions=_if("priority", "P1"))
    _prioritise(reviewed, "P1", agent)
    fire_all()
    fire_all()
    reviewed.refresh_from_db()
    assert reviewed.tags == ["seen"]
    fired = RuleFiring.objects.get()
    assert (fired.rule, fired.version, fired.state) == (rule, 1, Fired.DONE)
    assert fired.did == [{"words": "Add seen", "before": [], "after": ["seen"], "note": ""}]
    event = Event.objects.order_by("pgh_id").last()
    assert event is not None
    assert (event.actor, event.correlation_id) == (f"rule:{rule.pk}", "what-a-person-did")
    change = next(one for one in changes_of(reviewed) if one.field == "tags")
    assert change.actor_label == "Rule “A rule”"
    assert reviewed.provenance["tags"]["engine"] == "rule"


def test_one_cause_is_judged_once_whoever_claims_it_and_however_often(
    reviewed: Ticket, agent: User, lead: User
) -> None:
    make_rule(lead)
    _prioritise(reviewed, "P1", agent)
    (claimed,) = firing.claim(5)
    assert firing.claim(5) == []
    RuleCause.objects.update(lease_until=timezone.now() - timedelta(seconds=1))  # its worker is thought dead
    (again,) = firing.claim(5)
    firing.fire(claimed)  # but it is not, and comes too late
    assert not RuleFiring.objects.exists()
    firing.fire(again)
    firing.fire(again)
    assert RuleFiring.objects.count() == 1


def test_killed_in_the_middle_nothing_is_half_done_and_it_is_done_again(
    reviewed: Ticket, agent: User, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rule(lead, _set("severity", "minor"), TAG)
    _prioritise(reviewed, "P1", agent)
    (claimed,) = firing.claim(1)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deeds.AddTags, "act", dies)
    with pytest.raises(KeyboardInterrupt):
        firing.fire(claimed)
    monkeypatch.undo()
    reviewed.refresh_from_db()
    assert (reviewed.severity, reviewed.tags, RuleFiring.objects.count()) == ("", [], 0)
    RuleCause.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert firing.due().exists()
    fire_all()
    reviewed.refresh_from_db()
    assert (reviewed.severity, reviewed.tags, RuleFiring.objects.count()) == ("minor", ["seen"], 1)


def test_two_rules_that_undo_each_other_do_so_once(reviewed: Ticket, agent: User, lead: User) -> None:
    up = make_rule(lead, _set("severity", "critical"), name="Up", conditions=_if("severity", "critical", op="is_not"))
    down = make_rule(lead, _set("severity", "minor"), name="Down", conditions=_if("severity", "critical"))
    _prioritise(reviewed, "P1", agent)
    fire_all()
    reviewed.refresh_from_db()
    done = RuleFiring.objects.filter(state=Fired.DONE)
    assert set(done.values_list("rule", flat=True)) == {up.pk, down.pk}
    assert done.filter(rule=up).count() == 1
    held_back = RuleFiring.objects.filter(state=Fired.HELD_BACK)
    assert held_back.exists()
    assert all("led here itself" in one.note for one in held_back)
    assert not RuleCause.objects.filter(state="waiting").exists()


def test_a_rule_that_triggers_itself_runs_once(reviewed: Ticket, agent: User, lead: User) -> None:
    rule = make_rule(lead, {"do": "status", "values": ["waiting"]}, {"do": "escalate", "text": "Again"})
    _prioritise(reviewed, "P1", agent)
    fire_all()
    assert list(RuleFiring.objects.filter(state=Fired.DONE).values_list("rule", flat=True)) == [rule.pk]
    assert not RuleCause.objects.filter(state="waiting").exists()


def test_a_chain_of_rules_ends_at_its_depth_and_says_so(reviewed: Ticket, agent: User, lead: User) -> None:
    steps = ["P1", "P2", "P3", "P4"]
    make_rule(lead, _set("tier", "1"), name="0", conditions=_if("priority", "P1"))
    chain = [("tier", "1", "severity", "minor"), ("severity", "minor", "effort", "small"),
             ("effort", "small", "sentiment", "neutral"), ("sentiment", "neutral", "language", "en"),
             ("language", "en", "is_technical", "true")]  # fmt: skip
    for name, value, field, wanted in chain:
        make_rule(lead, _set(field, wanted), name=field, conditions=_if(name, value) + _if("changed", name, op="has"))
    _prioritise(reviewed, steps[0], agent)
    fire_all()
    reviewed.refresh_from_db()
    assert (reviewed.tier, reviewed.language, reviewed.is_technical) == (1, "en", None)
    last = RuleFiring.objects.get(state=Fired.HELD_BACK)
    assert (last.rule.name, last.note) == (
        "is_technical",
        "Rules have followed one another 5 times: the chain ends here.",
    )


def test_later_rules_see_what_earlier_ones_did(reviewed: Ticket, agent: User, lead: User) -> None:
    first = make_rule(lead, _set("severity", "blocker"), name="First")
    second = make_rule(
        lead, {"do": "escalate", "text": "A blocker"}, name="Second", conditions=_if("severity", "blocker")
    )
    _prioritise(reviewed, "P1", agent)
    (claimed,) = firing.claim(1)
    firing.fire(claimed)
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.escalation_reason) == (Status.ESCALATED, "A blocker")
    actors = [event.actor for event in Event.objects.filter(pgh_obj_id=reviewed.pk).order_by("-pgh_id")[:2]]
    assert actors == [f"rule:{second.pk}", f"rule:{first.pk}"]


def test_a_reading_fires_the_rules_once(reviewed: Ticket, lead: User) -> None:
    make_rule(lead, when="triaged", conditions=_if("team", "software"))
    reviewed.provenance["team"]["band"] = "apply"
    reviewed.save()
    Suggestion.objects.create(ticket=reviewed, fields={}, confidence=0.9, escalated=False)
    assert fire_all() == 1
    assert RuleFiring.objects.get().did[0]["after"] == ["seen"]


def test_what_the_machine_only_suggests_is_not_there_for_a_rule(reviewed: Ticket, lead: User) -> None:
    make_rule(lead, when="triaged", conditions=_if("team", "software"))
    Suggestion.objects.create(ticket=reviewed, fields={}, confidence=0.9, escalated=False)
    fire_all()
    assert not RuleFiring.objects.exists()


def test_a_ticket_that_comes_in_is_met_by_what_its_customer_wrote(make_ticket: MakeTicket, lead: User) -> None:
    make_rule(lead, _set("team", "billing"), when="created", conditions=_if("text", r"\binvoice\b", op="matches"))
    one, other = make_ticket(text="The invoice is wrong."), make_ticket(text="It hangs.")
    fire_all()
    one.refresh_from_db()
    other.refresh_from_db()
    assert (str(one.team), other.team) == (str(Team.objects.get(key="billing")), None)


def test_what_a_rule_set_as_a_ticket_came_in_outlasts_its_reading(make_ticket: MakeTicket, lead: User) -> None:
    from tickets.actions.triage import _apply
    from triage.pipeline.types import FieldName, FieldReading, Verdict

    make_rule(lead, _set("team", "billing"), when="created")
    make_rule(lead, _set("severity", "minor"), when="changed", name="Later")
    ticket = make_ticket()
    fire_all()
    ticket.refresh_from_db()
    read: dict[FieldName, FieldReading] = {
        "team": FieldReading("software", 0.99, "Like others.", "local", "apply"),
        "severity": FieldReading("critical", 0.99, "Like others.", "local", "apply"),
    }
    _apply(ticket, Verdict(fields=read, escalated=False, escalation_reason="", draft=None))
    assert (str(ticket.team), ticket.severity) == (str(Team.objects.get(key="billing")), "critical")


def test_a_history_that_is_imported_is_news_to_no_rule(lead: User, form: Source) -> None:
    make_rule(lead, when="created")
    make_rule(lead, when="triaged", name="Read")
    old = timezone.now() - timedelta(days=90)
    ticket = intake.receive(
        Inbound(title="Old", text="Long ago.", lane=Lane.IMPORTED, created_at=old), source=form
    ).ticket
    Suggestion.objects.create(ticket=ticket, fields={}, confidence=0.9, escalated=False)
    assert not RuleCause.objects.exists()
    Message.objects.create(ticket=ticket, kind="inbound", text="Hello again", created_at=timezone.now())
    Suggestion.objects.create(ticket=ticket, fields={}, confidence=0.9, escalated=False)
    assert RuleCause.objects.get().kind == "triaged"


@pytest.mark.parametrize(
    ("deed", "decided"),
    [
        (_set("priority", "P4"), {"priority": "P1"}),
        ({"do": "tag", "values": ["seen"]}, {"tags": ["mine"]}),
        ({"do": "untag", "values": ["mine"]}, {"tags": ["mine"]}),
    ],
)
def test_it_never_takes_the_place_of_what_a_person_decided_and_says_so(
    reviewed: Ticket, agent: User, lead: User, deed: dict[str, Any], decided: dict[str, Any]
) -> None:
    make_rule(lead, deed)
    review.correct(ticket=reviewed, changes=decided, by=agent)
    fire_all()
    reviewed.refresh_from_db()
    name, value = next(iter(decided.items()))
    assert (getattr(reviewed, name), reviewed.decided_by_person(name)) == (value, True)
    assert RuleFiring.objects.get().did[0]["note"] == deeds.KEPT


def test_it_takes_a_ticket_from_nobody_to_whom_a_person_gave_it(reviewed: Ticket, agent: User, lead: User) -> None:
    from tickets.actions.assignment import assign

    make_rule(lead, {"do": "assign", "values": ["lea"]})
    with acting(f"user:{agent.pk}"):
        assign(ticket=reviewed, to=agent, by=agent)
    fire_all()
    reviewed.refresh_from_db()
    assert reviewed.assignee == agent
    assert "a person gave it" in RuleFiring.objects.get().did[0]["note"]


def test_it_leaves_a_ticket_that_a_person_gave_to_nobody(reviewed: Ticket, agent: User, lead: User) -> None:
    from tickets.actions.assignment import assign

    make_rule(lead, {"do": "assign", "values": ["ada"]})
    assign(ticket=reviewed, to=None, by=lead)
    _prioritise(reviewed, "P1", lead)
    fire_all()
    reviewed.refresh_from_db()
    assert reviewed.assignee is None
    assert "nobody has it" in RuleFiring.objects.order_by("-pk")[0].did[0]["note"]


def test_a_ticket_of_nobody_is_assigned_and_its_person_told(reviewed: Ticket, agent: User, lead: User) -> None:
    make_rule(lead, {"do": "assign", "values": ["ada"]}, conditions=[{"fact": "assignee", "op": "unset"}])
    _prioritise(reviewed, "P1", lead)
    fire_all()
    reviewed.refresh_from_db()
    assert reviewed.assignee == agent
    assert Notification.objects.get(kind="assigned").user == agent
    assert not reviewed.decided_by_person("assignee")


def test_nobody_is_given_a_ticket_that_they_do_not_see(reviewed: Ticket, colleague: User, lead: User) -> None:
    make_rule(lead, {"do": "assign", "values": ["bruno"]})
    _prioritise(reviewed, "P1", lead)
    fire_all()
    reviewed.refresh_from_db()
    assert reviewed.assignee is None
    assert "does not work for this ticket's team" in RuleFiring.objects.get().did[0]["note"]


def test_why_it_was_given_to_somebody_outlasts_what_else_the_rule_does(
    reviewed: Ticket, agent: User, lead: User
) -> None:
    make_rule(lead, {"do": "assign", "values": ["ada"]}, _set("severity", "major"), name="Outages")
    _prioritise(reviewed, "P1", agent)
    fire_all()
    reviewed.refresh_from_db()
    assert (reviewed.assignee, reviewed.severity) == (agent, "major")
    assert reviewed.provenance["assignee"]["reason"] == "Given by the rule Outages."


def test_who_cannot_see_it_in_its_new_team_has_it_no_more(reviewed: Ticket, agent: User, lead: User) -> None:
    assignment.assign(ticket=reviewed, to=agent, by=lead)
    make_rule(lead, _set("team", "billing"))
    _prioritise(reviewed, "P1", lead)
    fire_all()
    reviewed.refresh_from_db()
    assert reviewed.team is not None and reviewed.team.key == "billing"
    assert reviewed.assignee is None


def test_what_a_person_escalated_or_took_back_stays_so(reviewed: Ticket, agent: User, lead: User) -> None:
    make_rule(lead, {"do": "escalate", "text": "Too long"}, name="Up")
    status.change(ticket=reviewed, status=Status.ESCALATED, by=agent)
    status.change(ticket=reviewed, status=Status.IN_REVIEW, by=agent)
    fire_all()
    reviewed.refresh_from_db()
    assert reviewed.status == Status.IN_REVIEW
    assert "took it back" in RuleFiring.objects.order_by("-pk")[0].did[0]["note"]


def test_people_are_told_of_it_and_a_webhook_is_lined_up(reviewed: Ticket, agent: User, lead: User) -> None:
    from tickets.actions import webhooks

    hook, _ = webhooks.keep(name="Pager", url="https://example.com/x", by=lead)
    rule = make_rule(
        lead,
        {"do": "notify", "values": ["team", "leads"], "text": "Look at this"},
        {"do": "webhook", "values": [str(hook.pk)]},
    )
    _prioritise(reviewed, "P1", lead)
    fire_all()
    assert set(Notification.objects.filter(kind="rule").values_list("user", "text")) == {
        (agent.pk, "Look at this"),
        (lead.pk, "Look at this"),
    }
    call = WebhookCall.objects.get()
    said = {"rule": {"id": rule.pk, "name": "A rule", "version": 1}, "cause": "changed"}
    assert (call.event, call.about) == ("rule.fired", {**said, "actor": f"rule:{rule.pk}"})
    assert call.correlation_id == "what-a-person-did"


def test_a_macro_becomes_the_draft_and_is_not_sent(reviewed: Ticket, agent: User, lead: User) -> None:
    macro = Macro.objects.create(name="Refund", text="Hello {{requester.name|there}}.", scope="everyone")
    make_rule(lead, {"do": "macro", "values": [str(macro.pk)]})
    _prioritise(reviewed, "P1", agent)
    fire_all()
    draft = Draft.objects.get()
    assert (draft.text, draft.edited) == ("Hello there.", False)
    Draft.objects.update(editor=agent, text="By hand")
    _prioritise(reviewed, "P2", agent)
    fire_all()
    assert Draft.objects.get().text == "By hand"
    assert not Delivery.objects.exists()
    assert not Message.objects.filter(kind="outbound").exists()


def test_a_rule_that_breaks_does_nothing_and_holds_up_neither_the_next_nor_the_ticket(
    reviewed: Ticket, agent: User, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = make_rule(lead, _set("severity", "minor"), {"do": "escalate", "text": "x"}, name="Broken")
    sound = make_rule(lead, TAG, name="Sound")

    def breaks(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(deeds.Escalate, "act", breaks)
    _prioritise(reviewed, "P1", agent)
    fire_all()
    reviewed.refresh_from_db()
    assert (reviewed.severity, reviewed.tags, reviewed.status) == ("", ["seen"], Status.IN_REVIEW)
    firings = {one.rule_id: one for one in RuleFiring.objects.filter(cause__chain=[])}
    assert "ZeroDivisionError" in firings[broken.pk].note
    assert firings[sound.pk].state == Fired.DONE


def test_a_rule_whose_words_are_gone_says_so_and_blocks_nothing(reviewed: Ticket, agent: User, lead: User) -> None:
    make_rule(lead, _set("team", "billing"), name="Team")
    odd = make_rule(lead, name="Odd")
    Rule.objects.filter(pk=odd.pk).update(spec={"when": "changed", "deeds": "nonsense"})
    Team.objects.filter(key="billing").update(active=False)
    _prioritise(reviewed, "P1", agent)
    fire_all()
    firings = {one.rule.name: one for one in RuleFiring.objects.select_related("rule")}
    assert "is not a team" in firings["Team"].did[0]["note"]
    assert "not understood" in firings["Odd"].note
    reviewed.refresh_from_db()
    assert reviewed.value_of("team") == "software"


def test_what_keeps_breaking_is_given_up_and_stands_as_failed(
    reviewed: Ticket, agent: User, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rule(lead)
    _prioritise(reviewed, "P1", agent)
    monkeypatch.setattr(firing, "matches", lambda *_: 1 / 0)
    for _ in range(6):
        RuleCause.objects.update(not_before=timezone.now())
        for claimed in firing.claim(1):
            firing.fire(claimed)
    cause = RuleCause.objects.get()
    assert (cause.state, cause.attempts) == ("failed", firing.MOST_ATTEMPTS)
    assert "ZeroDivisionError" in cause.error


def test_what_ends_its_worker_each_time_is_given_up_and_the_others_are_not(
    make_ticket: MakeTicket, client: Client, agent: User, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rule(lead)
    bad, good = make_ticket(title="Bad"), make_ticket(title="Good")
    for ticket in (bad, good):
        _prioritise(ticket, "P1", agent)
    judge = firing._judge

    def dies(rule: Rule, cause: RuleCause, *more: Any) -> RuleFiring | None:
        if cause.ticket_id == bad.pk:
            raise KeyboardInterrupt
        return judge(rule, cause, *more)

    monkeypatch.setattr(firing, "_judge", dies)
    deaths = 0
    for _ in range(firing.MOST_ATTEMPTS + 2):
        RuleCause.objects.filter(state="working").update(lease_until=timezone.now() - timedelta(seconds=1))
        try:
            for claimed in firing.claim(10):
                firing.fire(claimed)
        except KeyboardInterrupt:
            deaths += 1
    assert deaths == firing.MOST_ATTEMPTS
    cause = RuleCause.objects.get(state="failed")
    assert (cause.ticket_id, cause.attempts, cause.lease_until) == (bad.pk, firing.MOST_ATTEMPTS, None)
    assert RuleFiring.objects.get().ticket == good, "it was claimed along with the other, and never begun"
    client.force_login(lead)
    assert f"#{bad.pk}: The worker broke off every time" in client.get("/settings/rules/firings/").content.decode()


def test_an_expression_that_never_ends_elsewhere_does_not_hold_a_worker(make_ticket: MakeTicket, lead: User) -> None:
    make_rule(lead, when="created", conditions=_if("text", "(a+)+$", op="matches"))
    make_ticket(text="a" * 99_000 + "!")
    began = time.monotonic()
    fire_all()
    assert time.monotonic() - began < 5
    assert not RuleFiring.objects.exists()


def test_a_deleted_ticket_is_left_alone(reviewed: Ticket, agent: User, lead: User) -> None:
    make_rule(lead)
    _prioritise(reviewed, "P1", agent)
    Ticket.objects.update(deleted_at=timezone.now())
    fire_all()
    assert not RuleFiring.objects.exists()


def test_what_a_rule_did_is_taken_back_in_one_click(reviewed: Ticket, agent: User, lead: User) -> None:
    make_rule(lead, _set("severity", "critical"))
    _prioritise(reviewed, "P1", agent)
    fire_all()
    reviewed.refresh_from_db()
    change = undo.undoable(reviewed, changes_of(reviewed))["severity"]
    undo.undo(ticket=reviewed, event=change.event, fields=["severity"], by=agent)
    fire_all()
    reviewed.refresh_from_db()
    assert (reviewed.severity, reviewed.decided_by_person("severity")) == ("", True)


# ── Idle ──


def _age(ticket: Ticket, **age: float) -> None:
    """Everything that happened to it happened so long ago."""
    then = timezone.now() - timedelta(**age)
    Ticket.objects.filter(pk=ticket.pk).update(updated_at=then)
    Message.objects.filter(ticket=ticket).update(created_at=then)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tickets_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE tickets_event SET pgh_created_at = %s", [then])
        cursor.execute("ALTER TABLE tickets_event ENABLE TRIGGER USER")


def _idle_rule(by: User, *more: dict[str, Any], minutes: int = 30) -> Rule:
    rule = make_rule(by, *(more or (TAG,)), when="idle", idle_minutes=minutes)
    Rule.objects.filter(pk=rule.pk).update(idle_until=timezone.now() - timedelta(hours=5))
    return rule


def test_a_ticket_to_which_nothing_happens_is_met_once_while_it_stays_so(reviewed: Ticket, lead: User) -> None:
    _idle_rule(lead)
    _age(reviewed, minutes=20)
    assert firing.note_idle() == 0
    _age(reviewed, minutes=31)
    Rule.objects.update(idle_until=timezone.now() - timedelta(minutes=32))
    assert firing.note_idle() == 1
    assert firing.note_idle() == 0
    fire_all()
    assert RuleFiring.objects.count() == 1
    Ticket.objects.update(updated_at=timezone.now() - timedelta(minutes=31))  # as its own change ages
    Rule.objects.update(idle_until=timezone.now() - timedelta(hours=5))
    firing.note_idle()
    fire_all()
    assert RuleFiring.objects.count() == 1, "nothing but the rule itself has changed it since"


def test_what_happened_in_the_meantime_makes_it_not_idle(reviewed: Ticket, agent: User, lead: User) -> None:
    _idle_rule(lead)
    _age(reviewed, minutes=31)
    firing.note_idle()
    intake.add_customer_message(ticket=reviewed, text="Hello?")
    fire_all()
    assert not RuleFiring.objects.exists()


def test_a_rule_that_is_switched_on_is_not_for_what_has_been_idle_for_long(reviewed: Ticket, lead: User) -> None:
    _age(reviewed, hours=40)
    make_rule(lead, when="idle", idle_minutes=30)
    assert firing.note_idle() == 0


def test_many_that_fell_idle_at_the_same_moment_are_all_met(
    make_ticket: MakeTicket, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firing, "PORTION", 2)
    _idle_rule(lead)
    for _ in range(5):
        make_ticket()
    then = timezone.now() - timedelta(minutes=40)
    Ticket.objects.update(updated_at=then)
    for _ in range(4):
        firing.note_idle()
    assert RuleCause.objects.filter(kind="idle").count() == 5


# ── Against people ──


@pytest.mark.django_db(transaction=True)
def test_a_person_who_decides_while_a_rule_is_judged_wins(reviewed: Ticket, agent: User, lead: User) -> None:
    make_rule(lead, _set("severity", "minor"), conditions=_if("changed", "priority", op="has"))
    _prioritise(reviewed, "P1", agent)
    (claimed,) = firing.claim(1)
    began, broke = threading.Event(), []

    def rule_works() -> None:
        try:
            began.set()
            firing.fire(claimed)
        except BaseException as error:
            broke.append(error)
        finally:
            connection.close()

    worker = threading.Thread(target=rule_works)
    with transaction.atomic():
        review.correct(ticket=reviewed, changes={"severity": "blocker"}, by=agent)
        worker.start()
        began.wait(5)
        time.sleep(0.3)  # the rule waits for the ticket that the person holds
    worker.join(20)
    reviewed.refresh_from_db()
    assert broke == []
    assert (reviewed.severity, reviewed.decided_by_person("severity")) == ("blocker", True)
    assert RuleFiring.objects.get().did[0]["note"] == deeds.KEPT
