from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from pytest_django import Settings

from tests.tickets.channels.test_bad_input import STORED
from tests.tickets.conftest import MakeTicket, last_seen
from tickets.actions import conversation, replies
from tickets.models import Message, Source, Ticket
from triage.models import Attempt, User
from triage.proxies import networks

WORDS = {
    "title": "The export stops half way",
    "description": "Since Monday it ends after 1,000 rows.\nNothing else changed.",
    "name": "Kim Tran",
    "email": "kim@example.com",
    "priority": "P2",
    "tier": "1",
}


@pytest.fixture
def visitor(taxonomy: None) -> Client:
    return Client(raise_request_exception=False)


def key_of(page: Any) -> str:
    found = re.search(r'name="key" value="([^"]+)"', page.content.decode())
    assert found
    return found[1]


def send(visitor: Client, **changes: str) -> Any:
    return visitor.post("/support/", {"key": key_of(visitor.get("/support/")), **WORDS, **changes})


def test_anybody_may_write_and_gets_a_number_and_a_link(visitor: Client) -> None:
    response = send(visitor)
    ticket = Ticket.objects.get()
    assert response.status_code == 302
    page = visitor.get(response["Location"])
    assert f"number {ticket.number}" in page.content.decode()
    assert f"http://testserver{ticket.get_status_url()}" in page.content.decode()
    assert (ticket.subject, ticket.messages.get().text) == (WORDS["title"], WORDS["description"])
    assert ticket.requester is not None
    assert (ticket.requester.email, ticket.requester.name) == ("kim@example.com", "Kim Tran")
    assert (ticket.submitted_priority, ticket.submitted_tier, ticket.source.kind) == ("P2", 1, "form")
    assert ticket.events.get().actor == "visitor"


def test_priority_level_and_name_may_be_left_out(visitor: Client) -> None:
    assert send(visitor, priority="", tier="", name="").status_code == 302
    ticket = Ticket.objects.get()
    assert (ticket.submitted_priority, ticket.submitted_tier) == ("", None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", " "),
        ("title", "a" * 301),
        ("description", ""),
        ("description", "\x00"),
        ("description", "a" * 100_001),
        ("email", ""),
        ("email", "kim"),
        ("email", "kim@example.com\nBcc: spy@example.com"),
        ("name", "a" * 201),
        ("priority", "P9"),
        ("tier", "9"),
        ("tier", "x"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_what_was_typed_stays(visitor: Client, field: str, value: str) -> None:
    response = send(visitor, **{field: value})
    page = response.content.decode()
    assert response.status_code == 422
    assert f'id="{field}-error"' in page
    assert page.count('aria-invalid="true"') == 1
    if field != "description":
        assert "Since Monday it ends" in page
    assert Ticket.objects.count() == 0


@pytest.mark.parametrize("text", STORED)
def test_any_words_are_stored_and_shown_as_words(visitor: Client, text: str) -> None:
    response = send(visitor, title=text, description=text, name=text)
    assert response.status_code == 302
    ticket = Ticket.objects.get()
    page = visitor.get(ticket.get_status_url()).content.decode()
    for tag in ("<script>alert", "<img"):
        assert tag not in page
    refused = send(visitor, title=text, description=text, name=text, email="kim").content.decode()
    assert "<script>alert" not in refused


def test_a_second_click_is_the_same_ticket(visitor: Client) -> None:
    key = key_of(visitor.get("/support/"))
    first, second = (visitor.post("/support/", {"key": key, **WORDS}) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert Ticket.objects.count() == 1


def test_gone_back_and_changed_it_is_another_ticket(visitor: Client) -> None:
    key = key_of(visitor.get("/support/"))
    visitor.post("/support/", {"key": key, **WORDS})
    visitor.post("/support/", {"key": key, **WORDS, "title": "Something else"})
    assert set(Ticket.objects.values_list("subject", flat=True)) == {WORDS["title"], "Something else"}


def test_a_program_that_fills_in_everything_is_told_which_field_was_a_trap(visitor: Client) -> None:
    response = send(visitor, website="https://spam.example")
    assert response.status_code == 422
    assert 'id="website-error"' in response.content.decode()
    assert Ticket.objects.count() == 0


def test_it_refuses_a_form_from_another_site() -> None:
    assert Client(enforce_csrf_checks=True).post("/support/", WORDS).status_code == 403


def test_ten_megabytes_are_refused_with_a_page(visitor: Client) -> None:
    response = visitor.post("/support/", {**WORDS, "description": "a" * 10_000_000})
    assert response.status_code in (413, 422)
    assert "text/html" in response["Content-Type"]


def test_the_form_works_where_nobody_planted_a_source(visitor: Client) -> None:
    Source.objects.all().delete()
    assert send(visitor).status_code == 302


def test_one_address_sends_so_many_a_minute_and_what_was_typed_waits(visitor: Client, settings: Settings) -> None:
    settings.FORM_PER_MINUTE = 2
    assert [send(visitor, title=f"Number {one}").status_code for one in range(2)] == [302, 302]
    key = key_of(visitor.get("/support/"))
    response = visitor.post("/support/", {"key": key, **WORDS})
    page = response.content.decode()
    assert response.status_code == 429
    assert 1 <= int(response["Retry-After"]) <= 60
    assert "more came from your network" in page and WORDS["title"] in page and "Since Monday it ends" in page
    assert key_of(response) == key  # a second click after the wait is still one ticket
    assert Ticket.objects.count() == 2
    assert visitor.post("/support/", {"key": key, **WORDS}, REMOTE_ADDR="203.0.113.9").status_code == 302


def test_and_so_many_an_hour(visitor: Client, settings: Settings) -> None:
    settings.FORM_PER_MINUTE, settings.FORM_PER_HOUR = 0, 3
    assert [send(visitor).status_code for _ in range(4)] == [302, 302, 302, 429]
    Attempt.objects.update(at=F("at") - timedelta(hours=1))
    assert send(visitor).status_code == 302


def test_no_header_makes_another_address_of_a_visitor(visitor: Client, settings: Settings) -> None:
    settings.FORM_PER_MINUTE = 1
    statuses = [
        visitor.post("/support/", WORDS, headers={"X-Forwarded-For": f"203.0.113.{one}"}).status_code
        for one in range(2)
    ]
    assert statuses == [302, 429]


def test_behind_a_trusted_proxy_each_customer_has_a_brake_of_their_own(visitor: Client, settings: Settings) -> None:
    settings.FORM_PER_MINUTE, settings.TRUSTED_PROXIES = 1, networks("127.0.0.1")
    kim, lea = ({"X-Forwarded-For": f"203.0.113.{one}"} for one in (1, 2))
    assert [visitor.post("/support/", WORDS, headers=who).status_code for who in (kim, lea, kim)] == [302, 302, 429]


def test_mending_a_mistake_costs_nothing(visitor: Client, settings: Settings) -> None:
    settings.FORM_PER_MINUTE = 1
    assert [send(visitor, email="kim").status_code for _ in range(4)] == [422] * 4
    assert send(visitor).status_code == 302


# The status page


def test_a_second_form_among_the_sources_leaves_the_first_one_working(visitor: Client) -> None:
    Source.objects.create(kind="form", name="Form of the shop")
    assert send(visitor).status_code == 302
    assert Ticket.objects.get().source.name == "Support form"


@pytest.fixture
def ticket(make_ticket: MakeTicket) -> Ticket:
    return make_ticket(requester_name="Kim Tran")


def test_the_status_page_shows_the_conversation_and_nothing_internal(
    visitor: Client, reviewed: Ticket, agent: User
) -> None:
    conversation.comment(ticket=reviewed, text="Customer is difficult.", by=agent)
    page = visitor.get(reviewed.get_status_url()).content.decode()
    assert "The CSV export stops half way." in page
    assert "Being worked on" in page
    for inside in ("difficult", "Thank you for the report", "software", "confidence"):
        assert inside not in page
    reviewed.refresh_from_db()
    replies.approve(ticket=reviewed, text="It is **fixed**.", version=1, answers=last_seen(reviewed), by=agent)
    page = visitor.get(reviewed.get_status_url()).content.decode()
    assert "<strong>fixed</strong>" in page
    assert "Answered" in page


def test_the_customer_answers_on_the_page_and_the_desk_reads_it_again(
    visitor: Client, reviewed: Ticket, agent: User
) -> None:
    replies.approve(ticket=reviewed, text="Fixed.", version=1, answers=last_seen(reviewed), by=agent)
    address = reviewed.get_status_url()
    form = {"key": key_of(visitor.get(address)), "text": "Not for me."}
    for _ in range(2):  # a second click adds nothing
        assert visitor.post(address, form).status_code == 302
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.triage_state) == ("new", "submitted")
    assert list(reviewed.messages.filter(kind=Message.Kind.INBOUND).values_list("text", flat=True))[1:] == [
        "Not for me."
    ]


@pytest.mark.parametrize("text", ["", " \n", "\x00", "a" * 100_001])
def test_an_empty_or_endless_answer_is_refused_at_its_field(visitor: Client, ticket: Ticket, text: str) -> None:
    response = visitor.post(ticket.get_status_url(), {"text": text})
    assert response.status_code == 422
    assert 'id="text-error"' in response.content.decode()
    assert ticket.messages.count() == 1


def test_a_link_that_was_not_signed_by_us_shows_nothing(visitor: Client, ticket: Ticket) -> None:
    signed = ticket.get_status_url()
    for address in (signed[:-3] + "xx/", f"/support/t/{ticket.public_id.hex}/", "/support/t/1/", "/support/t/%00:x/"):
        assert visitor.get(address).status_code == 404
    assert visitor.get(signed).status_code == 200


def test_nobody_keeps_a_copy_of_the_status_page(visitor: Client, ticket: Ticket) -> None:
    response = visitor.get(ticket.get_status_url())
    assert "no-store" in response["Cache-Control"]
    assert "noindex" in response.content.decode()


def test_answers_on_the_page_have_the_brake_of_the_form(visitor: Client, ticket: Ticket, settings: Settings) -> None:
    settings.FORM_PER_MINUTE = 1
    assert visitor.post(ticket.get_status_url(), {"text": "First."}).status_code == 302
    response = visitor.post(ticket.get_status_url(), {"text": "Second, with <b>words</b>."})
    assert response.status_code == 429 and int(response["Retry-After"]) > 0
    assert "Second, with &lt;b&gt;words&lt;/b&gt;." in response.content.decode()
    assert send(visitor).status_code == 429
    assert ticket.messages.count() == 2
