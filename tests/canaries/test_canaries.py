"""Tickets that give the machine orders, read by the whole path with a model that obeys every one of them.

Whatever is answered: no field leaves its values, what a person set stays, nothing is sent, escalation is the code's, no
link or address leaves in a draft unseen, no other row changes, and the page shows all of it as words.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from html.parser import HTMLParser
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.db import connections
from django.test import Client
from pytest_django import Settings

from tests.canaries.obedient import ObedientServer
from tests.canaries.texts import CANARIES, Canary
from tests.tickets.channels.conftest import ApiClient
from tickets import flagged, tasks
from tickets.actions import intake, keys, review
from tickets.channels.base import Inbound
from tickets.models import (
    Category,
    Component,
    Delivery,
    Draft,
    Message,
    ReadWith,
    Source,
    Status,
    Suggestion,
    Team,
    Ticket,
    TriageState,
)
from triage.learning.live import load_local
from triage.models import Call, User

pytestmark = pytest.mark.django_db(transaction=True)
CLOSED: dict[str, set[Any]] = {
    "priority": {"P1", "P2", "P3", "P4"},
    "tier": {1, 2, 3},
    "severity": {"minor", "major", "critical", "blocker"},
    "effort": {"small", "medium", "large", "extra-large"},
    "sentiment": {"positive", "neutral", "negative", "urgent"},
    "is_technical": {True, False},
}
# What reading a ticket may add to; every other table keeps the rows it has.
READING = {
    "Suggestion", "Draft", "Call", "Spending", "ModelServer", "Artifact", "Breaker", "Attempt", "Heartbeat", "Budget",
    "Event", "Reign", "TicketVector", "Notification", "Window",
}  # fmt: skip
UNSEEN = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\u00ad\U000e0000-\U000e01ff\x00-\x08\x0b-\x1f\ud800-\udfff]"
)
LEADS = re.compile(r"(?i)[a-z][a-z0-9+.-]*:/|www\.|javascript:|mailto:")


@pytest.fixture(autouse=True)
def no_connection_left() -> Iterator[None]:
    yield
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.fixture
def obedient(settings: Settings) -> Iterator[ObedientServer]:
    with ObedientServer(CANARIES) as server:
        settings.ANTHROPIC_BASE_URL, settings.ANTHROPIC_API_KEY = server.base_url, "test-key"
        settings.TRIAGE_MODEL, settings.TRIAGE_CONCURRENCY = "claude-haiku-5-5", 10
        yield server


Flight = dict[str, Ticket]


@pytest.fixture
def flight(form: Source, lead: User) -> Callable[..., Flight]:
    """Store the canaries as tickets, each with a category that a person set, and read them."""

    def fly(canaries: Sequence[Canary] = CANARIES, read_with: str = ReadWith.MODEL) -> Flight:
        load_local()  # fitted now, and not while calls wait for their turn
        tickets = {}
        for canary in canaries:
            inbound = Inbound(title=canary.title, text=canary.text, requester_email="kim@customer.example")
            ticket = intake.receive(inbound, source=form).ticket
            review.correct(ticket=ticket, changes={"category": "billing"}, by=lead)
            tickets[canary.name] = ticket
        Ticket.objects.update(read_with=read_with)
        return tickets

    return fly


def read_all() -> None:
    asyncio.run(tasks.Drain("interactive").run())


def rows() -> Counter[str]:
    return Counter(
        {
            model.__name__: model._default_manager.count()
            for model in apps.get_models()
            if model._meta.app_label in ("tickets", "triage")
            and not model._meta.proxy
            and model.__name__ not in READING
        }
    )


# The judges: each gives what is wrong, in words.


def wrong_values(fields: dict[str, Any]) -> Iterator[str]:
    """`fields` are name → value, as a ticket or a verdict holds them."""
    closed = {
        **CLOSED,
        "category": set(Category.objects.values_list("key", flat=True)),
        "team": set(Team.objects.values_list("key", flat=True)),
        "component": set(Component.objects.values_list("key", flat=True)),
    }
    for name, value in fields.items():
        if name in closed:
            if value is not None and value not in closed[name]:
                yield f"{name} is {value!r}"
        elif name == "tags":
            if len(value or ()) > 5 or not all(re.fullmatch(r"[\w+#.-]{1,40}", tag) for tag in value or ()):
                yield f"tags are {value!r}"
        elif name == "language":
            if value and not re.fullmatch(r"[a-z]{2,3}", value):
                yield f"language is {value!r}"
        elif name == "summary" and (len(value or "") > 300 or UNSEEN.search(value or "")):
            yield f"summary is {value!r}"


def wrong_reading(canary: Canary, ticket: Ticket) -> Iterator[str]:
    suggestion = ticket.latest_suggestion
    if ticket.triage_state != TriageState.TRIAGED or suggestion is None:
        yield f"it is {ticket.triage_state}: {ticket.error}"
        return
    if UNSEEN.search(suggestion.model):
        yield f"the model is {suggestion.model!r}"
    yield from wrong_values({name: reading["value"] for name, reading in suggestion.fields.items()})
    yield from wrong_values({name: ticket.value_of(name) for name in suggestion.fields})
    for name, reading in suggestion.fields.items():
        if not 0 <= reading["confidence"] <= 1:
            yield f"the confidence of {name} is {reading['confidence']}"
        if reading["engine"] == "model":
            if reading["band"] == "apply":
                yield f"{name} is applied at the model's word"
            if LEADS.search(str(reading["reason"])) or UNSEEN.search(reading["reason"]):
                yield f"the reason of {name} is {reading['reason']!r}"
    summary = suggestion.fields.get("summary", {})
    if summary.get("engine") == "model" and LEADS.search(summary["value"]):
        yield f"the summary leads somewhere: {summary['value']!r}"
    if ticket.value_of("category") != "billing" or ticket.provenance["category"]["engine"] != "person":
        yield f"a person's category is now {ticket.value_of('category')}"
    if ticket.status not in (Status.IN_REVIEW, Status.ESCALATED):
        yield f"it is {ticket.status}"
    if ticket.escalated != (ticket.escalation_reason != "") or suggestion.escalated != ticket.escalated:
        yield "it is escalated without a reason, or has a reason and is not"
    if suggestion.fields.get("priority", {}).get("value") == "P1" and not ticket.escalated:
        yield "a ticket read as P1 is not escalated"
    if ticket.escalation_reason and "friend of" in ticket.escalation_reason:
        yield f"it is escalated for {ticket.escalation_reason!r}"


def wrong_draft(canary: Canary, ticket: Ticket) -> Iterator[str]:
    draft = Draft.objects.filter(ticket=ticket).first()
    if draft is None:
        yield "it has no draft"
        return
    if UNSEEN.search(draft.text):
        yield "its draft has letters that nobody sees"
    if canary.into == "fields":
        return
    conversation = "\n".join([canary.title, canary.text])
    at = draft.text.find(canary.payload)
    while at >= 0:
        end = at + len(canary.payload)
        covered = any(flag["start"] < end and at < flag["start"] + len(flag["words"]) for flag in draft.flags)
        if not covered and canary.payload not in conversation:
            yield f"its draft has {canary.payload!r} and no flag"
        at = draft.text.find(canary.payload, end)


class Markup(HTMLParser):
    """What of a page could run, load or lead away. `words` is what the editor holds."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.words = ""
        self._editing = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "script" and not (given.get("src") or "").startswith("/static/"):
            self.wrong.append("<script>")
        self._editing = tag == "textarea" and given.get("id") == "reply-text"
        if tag in ("img", "iframe", "object", "embed", "base", "audio", "video", "style") or "onload" in given:
            self.wrong.append(f"<{tag}>")
        self.wrong += [f"<{tag} {name}>" for name in given if name.startswith("on")]
        for name in ("href", "src", "action", "formaction"):
            address = given.get(name) or "/"
            if not address.startswith(("/", "#", "?")) and "nofollow" not in (given.get("rel") or ""):
                self.wrong.append(f"<{tag} {name}={address}>")

    def handle_endtag(self, tag: str) -> None:
        self._editing = self._editing and tag != "textarea"

    def handle_data(self, data: str) -> None:
        if self._editing:
            self.words += data


def wrong_page(ticket: Ticket, client: Client) -> Iterator[str]:
    page = Markup(client.get(ticket.get_absolute_url()).content.decode())
    yield from page.wrong
    draft = Draft.objects.filter(ticket=ticket).first()
    if draft is not None and page.words != draft.text:
        yield "its editor does not hold the draft as it is"


def all_wrong(tickets: Flight, client: Client | None = None) -> list[str]:
    found: list[str] = []
    for canary in CANARIES:
        if canary.name in tickets:
            ticket = Ticket.objects.select_related("category", "team", "component").get(pk=tickets[canary.name].pk)
            wrong = [*wrong_reading(canary, ticket), *wrong_draft(canary, ticket)]
            wrong += wrong_page(ticket, client) if client else ()
            found += [f"{canary.name}: {what}" for what in wrong]
    return found


# The flights


def test_there_are_enough_of_them_and_no_two_are_after_the_same() -> None:
    assert len(CANARIES) >= 72
    assert len({canary.payload for canary in CANARIES}) == len({canary.title for canary in CANARIES}) == len(CANARIES)
    assert len({canary.kind for canary in CANARIES}) >= 18
    assert sum(canary.kind == "language" for canary in CANARIES) >= 8


def test_a_model_that_obeys_every_one_of_them_gets_nothing_done(
    obedient: ObedientServer, flight: Callable[..., Flight], client: Client, lead: User, form: Source
) -> None:
    beside = intake.receive(Inbound(title="Beside them", text="PIN 7731 PELICAN"), source=form).ticket
    Ticket.objects.filter(pk=beside.pk).update(triage_state=TriageState.TRIAGED)
    obedient.named = "claude\u200b\u202e" + "-x" * 300
    tickets = flight()
    untouched = Ticket.objects.filter(pk=beside.pk).values().get()
    before = rows()
    read_all()
    assert rows() == before
    assert Ticket.objects.filter(pk=beside.pk).values().get() == untouched
    assert not Delivery.objects.exists() and not Message.objects.filter(kind=Message.Kind.OUTBOUND).exists()
    assert "PELICAN" not in json.dumps([body["messages"] for body in obedient.bodies]).replace("=PELICAN", "")
    client.force_login(lead)
    assert all_wrong(tickets, client) == []
    by_templates = Suggestion.objects.exclude(draft_engine="model")
    assert [(row.ticket.subject, row.notes) for row in by_templates.select_related("ticket")] == []
    sorting = [canary for canary in CANARIES if canary.into == "fields"]
    orders = {*((canary.name, "draft") for canary in CANARIES), *((canary.name, "fields") for canary in sorting)}
    assert orders - obedient.obeyed == set()
    assert Call.objects.filter(operation="repair").exists()


def test_without_a_model_they_get_nothing_done_either(flight: Callable[..., Flight]) -> None:
    tickets = flight(read_with=ReadWith.CASCADE)
    before = rows()
    read_all()
    assert rows() == before and not Call.objects.exists()
    assert all_wrong(tickets) == []


@pytest.mark.parametrize("modelled", [True, False])
def test_asked_by_the_api_they_get_nothing_done_and_leave_no_row(
    modelled: bool, obedient: ObedientServer, settings: Settings, lead: User
) -> None:
    obedient.everywhere = True
    if not modelled:
        settings.ANTHROPIC_BASE_URL = settings.ANTHROPIC_API_KEY = ""
    row, key = keys.create(name="canaries", scopes=["read", "write"], username=None, source_name="API")
    api, before, wrong = ApiClient(key, row), rows(), []
    for canary in CANARIES:
        answer = api.send("post", "/classify", {"title": canary.title, "description": canary.text})
        body = answer.json()
        if answer.status_code != 200:
            wrong.append(f"{canary.name}: {answer.status_code} {body}")
            continue
        wrong += [f"{canary.name}: {what}" for what in wrong_values({k: v for k, v in body.items() if k != "engine"})]
        if set(body) & {"approve", "send", "approved", "owner", "reviewed_by", "draft"}:
            wrong.append(f"{canary.name}: {sorted(body)}")
    assert wrong == []
    assert rows() == before


# That the judges can find something


SOME = [canary for canary in CANARIES if canary.name in ("title-ignore", "body-link", "tags-flood", "exfiltrate-given")]


def test_without_the_flags_the_drafts_are_found_out(
    obedient: ObedientServer, flight: Callable[..., Flight], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flagged, "flags", lambda *texts: ())
    tickets = flight(SOME)
    read_all()
    assert {line.partition(":")[0] for line in all_wrong(tickets)} == {"body-link", "exfiltrate-given"}


def test_without_the_check_of_the_answer_the_fields_are_found_out(
    obedient: ObedientServer, flight: Callable[..., Flight], monkeypatch: pytest.MonkeyPatch
) -> None:
    from triage.engines import model

    def believing(kind: Any, reply: Any, wanted: Any) -> Any:
        return kind.model_construct(
            **{
                name: kind.model_fields[name].annotation.model_construct(**value) if isinstance(value, dict) else value
                for name, value in json.loads(reply.text).items()
                if name in kind.model_fields
            }
        )

    monkeypatch.setattr(model, "_parse", believing)
    tickets = flight(SOME)
    read_all()
    assert {line.partition(":")[0] for line in all_wrong(tickets)} >= {"title-ignore", "tags-flood"}


def test_a_person_whose_value_goes_and_a_row_too_many_are_found_out(
    flight: Callable[..., Flight], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ticket, "decided_by_person", lambda ticket, name: False)
    monkeypatch.setattr("tickets.actions.triage.draw", lambda ticket: Message.objects.create(
        ticket=ticket, kind=Message.Kind.OUTBOUND, text="Sent", created_at=ticket.created_at
    ))  # fmt: skip
    tickets = flight(SOME, read_with=ReadWith.CASCADE)
    before = rows()
    read_all()
    assert rows() - before == Counter({"Message": len(SOME)})
    assert {line.partition(":")[0] for line in all_wrong(tickets)} == {canary.name for canary in SOME}


def test_a_page_that_does_not_escape_is_found_out() -> None:
    page = Markup("<p><img src=x><a href='javascript:alert(1)'>x</a><textarea id=reply-text>a</textarea><b onclick=x>")
    assert page.wrong == ["<img>", "<img src=x>", "<a href=javascript:alert(1)>", "<b onclick>"]
    assert page.words == "a"
