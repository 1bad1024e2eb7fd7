"""What leaves for a model, byte for byte: nothing personal of the ticket, its neighbours or the answers quoted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from tests.tickets.conftest import MakeTicket
from tickets import tasks
from tickets.actions import review, status
from tickets.models import Draft, Message, ReadWith, Requester, Source, Status, Ticket
from triage.models import Call, User
from triage.providers import imitation
from triage.providers.fake import FakeMessagesAPI

pytestmark = pytest.mark.django_db(transaction=True)
OWN = {
    "name": "Marguerite Oyelaran",
    "email": "m.oyelaran@customer.example",
    "phone": "+234 803 555 0123",
    "iban": "DE89 3704 0044 0532 0130 00",
    "card": "4111 1111 1111 1111",
    "ip": "203.0.113.9",
    "key": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
}
NEIGHBOUR = {
    "name": "Petronella Quist",
    "email": "p.quist@neighbour.example",
    "phone": "+31 20 555 0199",
    "key": "sk-ant-api03-neighbourneighbour1",
}
NUMBERED = ("email", "phone", "iban", "card", "ip", "key")
AGENT = "Ada"
WORDS = "The CSV export of the monthly report stops half way and the file is empty."


def _written(values: dict[str, str]) -> str:
    rest = ", ".join(value for kind, value in values.items() if kind != "name")
    first = values["name"].split()[0]
    return f"{WORDS} {first.upper()}'s data: {rest}.\n\nRegards\n{values['name']}"


@pytest.fixture(autouse=True)
def no_connection_left() -> Iterator[None]:
    yield
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMessagesAPI]:
    with FakeMessagesAPI() as fake:
        settings.ANTHROPIC_BASE_URL, settings.ANTHROPIC_API_KEY = fake.base_url, "test-key"
        settings.TRIAGE_MODEL = "claude-haiku-5-5"
        monkeypatch.setattr("triage.learning.live.load_local", lambda: None)
        yield fake


@pytest.fixture
def read(make_ticket: MakeTicket, server: FakeMessagesAPI, lead: User) -> Ticket:
    """A ticket that a model shall read, beside a neighbour that a person decided and answered."""
    neighbour = make_ticket(
        title="Export stops half way",
        text=_written(NEIGHBOUR),
        requester_email=NEIGHBOUR["email"],
        requester_name=NEIGHBOUR["name"],
    )
    review.correct(ticket=neighbour, changes={"category": "bug"}, by=lead)
    _drain()
    Message.objects.create(
        ticket=neighbour,
        kind=Message.Kind.OUTBOUND,
        text=f"Dear {NEIGHBOUR['name']},\n\nplease choose another folder for the report, "
        f"we wrote to {NEIGHBOUR['email']} and called {NEIGHBOUR['phone']}.\n\nKind regards,\n{AGENT}",
        created_at=timezone.now(),
    )
    status.change(ticket=Ticket.objects.get(pk=neighbour.pk), status=Status.RESOLVED, by=lead)
    server.received.clear()
    server.bodies.clear()
    Call.objects.all().delete()
    ticket = make_ticket(
        title="Export stops half way", text=_written(OWN), requester_email=OWN["email"], requester_name=OWN["name"]
    )
    Ticket.objects.filter(pk=ticket.pk).update(read_with=ReadWith.MODEL)
    return ticket


def _drain() -> None:
    asyncio.run(tasks.Drain("interactive").run())


def _leaked(server: FakeMessagesAPI, values: dict[str, str]) -> list[str]:
    wire = server.received.decode().lower()
    parts = [*values.values(), *values["name"].split()]
    return [part for part in parts if part.lower() in wire or part.replace(" ", "").lower() in wire]


def test_no_personal_value_is_among_the_bytes_that_leave(read: Ticket, server: FakeMessagesAPI) -> None:
    server.script("prose")  # which is repaired
    _drain()
    wire = server.received.decode()
    assert sorted(Call.objects.values_list("operation", flat=True)) == ["classify", "draft", "repair"]
    assert "A person decided: category bug" in wire and "please choose another folder" in wire
    assert _leaked(server, OWN) == _leaked(server, NEIGHBOUR) == []
    for call in Call.objects.all():
        assert call.masked is not None
        assert {kind: number for kind, number in call.masked.items() if kind != "name"} == dict.fromkeys(NUMBERED, 1)


def test_whoever_else_wrote_is_not_named_either(read: Ticket, server: FakeMessagesAPI, lead: User) -> None:
    User.objects.filter(pk=lead.pk).update(first_name="Leokadia", last_name="Wrzos")
    colleague = Requester.objects.create(email="b.achterberg@customer.example", name="Balthasar Achterberg")
    theirs, ours = "Balthasar here, the same with me.", "Thank you. Regards, Leokadia"
    for given in (
        {"kind": Message.Kind.INBOUND, "requester": colleague, "text": theirs},
        {"kind": Message.Kind.OUTBOUND, "author": lead, "text": ours},
    ):
        Message.objects.create(ticket=read, created_at=timezone.now(), **given)
    _drain()
    wire = server.received.decode()
    assert "here, the same with me" in wire and "Thank you. Regards" in wire
    assert "Balthasar" not in wire and "Leokadia" not in wire


def test_what_was_masked_is_back_in_the_draft(read: Ticket, server: FakeMessagesAPI) -> None:
    server.script("ok", "echo")
    _drain()
    text = Draft.objects.get(ticket=read).text
    assert all(value in text for value in OWN.values())
    assert "(name)" not in text.partition("=== conversation")[2]


def test_a_source_that_is_not_masked_sends_its_own_words_and_nobody_elses_and_the_call_says_so(
    read: Ticket, server: FakeMessagesAPI, form: Source
) -> None:
    Source.objects.filter(pk=form.pk).update(masking=False)
    server.script("prose")
    _drain()
    assert set(OWN.values()) <= set(_leaked(server, OWN))
    assert _leaked(server, NEIGHBOUR) == []
    assert list(Call.objects.values_list("masked", flat=True)) == [None, None, None]


def test_the_beginning_of_a_request_is_the_same_for_every_ticket_and_its_fence_for_none(
    read: Ticket, server: FakeMessagesAPI, make_ticket: MakeTicket
) -> None:
    other = make_ticket(title="Locked out", text="I cannot sign in.", requester_name="Grant Access")
    Ticket.objects.filter(pk=other.pk).update(read_with=ReadWith.MODEL)
    _drain()
    texts = [imitation.text_of(body) for body in server.bodies]
    sorting = [system for system, _ in texts if system.startswith("You sort support tickets")]
    assert len(sorting) == 2 and sorting[0] == sorting[1]
    asked = [
        user for system, user in texts if not system.startswith("An answer had to be")
    ]  # which repeats the question
    fences = [set(re.findall(r"=== (?!end)\w[\w ]* ([0-9a-f]{16}) ===", user)) for user in asked]
    assert len(asked) == 4 and all(fences)
    assert len(set.union(*fences)) == sum(map(len, fences))
