from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tests.tickets.ruling import TAG, fire_all, make_rule
from tickets.actions import review
from tickets.models import Macro, Rule, RuleFiring, Ticket, Webhook
from tickets.rules.facts import FACTS
from triage.correlation import acting
from triage.models import User

HTMX = {"HX-Request": "true"}
WRITTEN: dict[str, Any] = {
    "name": "Urgent bills",
    "when": "triaged",
    "match": "all",
    "c0-what": "category",
    "c0-how": "is",
    "c0-value": ["billing", "account"],
    "c1-what": "text",
    "c1-how": "matches",
    "c1-typed": r"refund,? \d+",
    "d0-what": "set",
    "d0-how": "priority",
    "d0-value": "P1",
    "d1-what": "tag",
    "d1-typed": "money, urgent",
    "d2-what": "notify",
    "d2-value": ["leads"],
    "d2-text": "Look",
    "step": "save",
}


@pytest.fixture
def desk(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


def test_a_rule_is_written_by_a_form_without_javascript(desk: Client) -> None:
    assert desk.get("/settings/rules/new/").status_code == 200
    assert desk.post("/settings/rules/", WRITTEN)["Location"] == "/settings/rules/"
    rule = Rule.objects.get()
    assert not rule.active
    assert rule.spec == {
        "when": "triaged",
        "idle_minutes": None,
        "match": "all",
        "conditions": [
            {"fact": "category", "op": "is", "values": ["billing", "account"]},
            {"fact": "text", "op": "matches", "values": [r"refund,? \d+"]},
        ],
        "deeds": [
            {"do": "set", "field": "priority", "values": ["P1"], "text": ""},
            {"do": "tag", "field": "", "values": ["money", "urgent"], "text": ""},
            {"do": "notify", "field": "", "values": ["leads"], "text": "Look"},
        ],
    }
    page = desk.get("/settings/rules/").content.decode()
    assert "It was read, if Category is Billing or Account and Subject or text matches the expression" in page
    form = desk.get(rule.get_absolute_url()).content.decode()
    assert 'value="money, urgent"' in form
    assert 'name="c0-value" value="billing" checked' in form


def test_rows_are_added_and_taken_away_by_submitting(desk: Client) -> None:
    more = desk.post("/settings/rules/", {**WRITTEN, "step": "add:c"}).content.decode()
    assert 'name="c2-what"' in more
    assert "Look" in more, "what was typed stays"
    less = desk.post("/settings/rules/", {**WRITTEN, "step": "remove:d1"}).content.decode()
    assert 'name="d2-what"' not in less
    assert "money, urgent" not in less
    assert not Rule.objects.exists()


def test_every_fact_and_every_deed_has_its_fields(desk: Client) -> None:
    Macro.objects.create(name="Refund", text="Hello", scope="everyone")
    for fact in FACTS:
        shown = desk.post("/settings/rules/", {**WRITTEN, "when": "changed", "c0-what": fact, "step": "update"})
        assert f'<option value="{fact}" selected>' in shown.content.decode()
    for deed in ("set", "tag", "untag", "assign", "status", "escalate", "notify", "webhook", "macro"):
        shown = desk.post("/settings/rules/", {**WRITTEN, "d0-what": deed, "step": "update"})
        assert f'<option value="{deed}" selected>' in shown.content.decode()


def test_htmx_is_given_the_form_alone(desk: Client) -> None:
    fragment = desk.post("/settings/rules/", {**WRITTEN, "step": "update"}, headers=HTMX).content.decode()
    assert fragment.strip().startswith('<form method="post" class="stack" id="rule-form"')


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "Give the rule a name."),
        ({"c1-typed": "("}, "missing )"),
        ({"d0-value": ""}, "Say what priority is set to."),
        ({"when": "idle", "idle": "soon", "unit": "60"}, "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(desk: Client, wrong: dict[str, str], said: str) -> None:
    answer = desk.post("/settings/rules/", {**WRITTEN, **wrong})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert said in page
    assert "money, urgent" in page
    assert not Rule.objects.exists()


def test_it_is_tried_on_past_tickets_before_it_is_saved(
    desk: Client, reviewed: Ticket, make_ticket: MakeTicket
) -> None:
    make_ticket(title="Other", text="Nothing of the kind")
    asked = {**WRITTEN, "step": "try", "match": "any", "c1-typed": "export"}
    page = desk.post("/settings/rules/", asked).content.decode()
    assert "Of the last 2 tickets 1 would have matched" in page
    assert f'href="/tickets/{reviewed.number}/"' in page
    assert "Priority P1" in page
    assert not Rule.objects.exists()
    reviewed.refresh_from_db()
    assert reviewed.priority == ""


def test_it_is_switched_moved_retired_and_brought_back(desk: Client, lead: User) -> None:
    one, two = make_rule(lead, active=False, name="One"), make_rule(lead, active=False, name="Two")
    desk.post(f"/settings/rules/{two.pk}/state/", {"active": "on"})
    desk.post(f"/settings/rules/{two.pk}/state/", {"move": "up"})
    assert list(Rule.objects.values_list("name", "active")) == [("Two", True), ("One", False)]
    desk.post(f"/settings/rules/{two.pk}/state/", {"retired": "yes"})
    assert "Bring back" in desk.get("/settings/rules/").content.decode()
    desk.post(f"/settings/rules/{two.pk}/state/", {"retired": "no"})
    assert Rule.objects.get(pk=two.pk).retired is False
    assert one.name == "One"


def test_the_log_says_what_a_rule_did_and_so_does_the_ticket(desk: Client, reviewed: Ticket, lead: User) -> None:
    rule = make_rule(lead, TAG, {"do": "set", "field": "priority", "values": ["P4"]}, name="Tagger")
    with acting(f"user:{lead.pk}", correlation_id="the-very-same-id"):
        review.correct(ticket=reviewed, changes={"priority": "P1"}, by=lead)
    fire_all()
    assert RuleFiring.objects.count() == 1
    for address in (f"/settings/rules/firings/?rule={rule.pk}", reviewed.get_absolute_url()):
        page = desk.get(address).content.decode()
        assert "Add seen" in page, address
        assert "Left as it is: a person decided it." in page
        assert "the-very-same-id" in page
    assert "Fired 1 time today" in desk.get("/settings/rules/").content.decode()


@pytest.mark.parametrize(("who", "looks"), [("agent", 403), ("auditor", 200), ("outsider", 403)])
def test_rules_and_webhooks_are_for_leads_and_auditors_look(
    request: pytest.FixtureRequest, client: Client, lead: User, reviewed: Ticket, who: str, looks: int
) -> None:
    rule = make_rule(lead)
    client.force_login(request.getfixturevalue(who))
    for address in ("rules/", "rules/new/", "rules/firings/", f"rules/{rule.pk}/", "webhooks/"):
        assert client.get(f"/settings/{address}").status_code == looks, address
    assert client.post("/settings/rules/", WRITTEN).status_code == 403
    assert client.post(f"/settings/rules/{rule.pk}/state/", {"active": "off"}).status_code == 403
    assert client.post("/settings/webhooks/", {"name": "x", "url": "https://example.com"}).status_code == 403
    rule.refresh_from_db()
    assert (rule.active, Rule.objects.count(), Webhook.objects.count()) == (True, 1, 0)
