from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.tickets.channels.test_form import key_of
from tickets.models import Source, Ticket
from triage.models import User

WORDS = {"title": "Cannot sign in", "description": "Ms Doe called: the code is refused."}


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


def test_what_a_caller_says_becomes_a_ticket_that_is_read(desk: Client, form: Source) -> None:
    given = {**WORDS, "key": key_of(desk.get("/tickets/new/")), "name": "Kim Doe", "email": "kim@example.com"}
    answer = desk.post("/tickets/new/", {**given, "priority": "P2", "attachments": [_note()]})
    ticket = Ticket.objects.get()
    assert answer["Location"] == ticket.get_absolute_url()
    assert (ticket.subject, ticket.submitted_priority, ticket.triage_state) == ("Cannot sign in", "P2", "submitted")
    assert ticket.source.name == "Filed by staff" and ticket.source != form
    assert ticket.requester is not None and ticket.requester.email == "kim@example.com"
    assert ticket.attachments.get().name == "note.txt"
    desk.post("/tickets/new/", {**given, "priority": "P2", "attachments": [_note()]})
    assert Ticket.objects.count() == 1, "a second click is the same ticket"


def _note() -> SimpleUploadedFile:
    return SimpleUploadedFile("note.txt", b"It says E42.")


def test_without_an_address_it_is_filed_all_the_same(desk: Client) -> None:
    assert desk.post("/tickets/new/", WORDS).status_code == 302
    assert Ticket.objects.get().requester is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"title": " "}, "title-error"),
        ({"description": "\x00"}, "description-error"),
        ({"email": "kim"}, "email-error"),
        ({"priority": "P9"}, "priority-error"),
    ],
)
def test_what_is_wrong_is_named_and_the_rest_stays(desk: Client, values: dict[str, str], words: str) -> None:
    answer = desk.post("/tickets/new/", {**WORDS, "name": "Kim Doe", **values})
    page = answer.content.decode()
    assert answer.status_code == 422 and f'id="{words}"' in page and "Kim Doe" in page
    assert not Ticket.objects.exists()


def test_an_auditor_files_nothing_and_is_not_offered_it(client: Client, auditor: User) -> None:
    client.force_login(auditor)
    assert client.post("/tickets/new/", WORDS).status_code == 403
    assert not Ticket.objects.exists()
    assert "new-ticket-link" not in client.get("/tickets/").content.decode()


def test_nobody_signed_out_may_see_it(client: Client, db: None) -> None:
    assert client.get("/tickets/new/")["Location"].startswith("/sign-in/")
