"""Files that customers send by the form and the status page, and which of a ticket's files they get to see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from tests.tickets.actions.test_attaching import PNG, full_disk
from tests.tickets.channels.test_form import WORDS, key_of
from tests.tickets.conftest import MakeTicket, last_seen
from tickets.actions import attaching, conversation, replies
from tickets.models import Attachment, Message, Ticket
from triage.models import User


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def visitor(taxonomy: None) -> Client:
    return Client(raise_request_exception=False)


def picture(name: str = "screen.png", content: bytes = PNG) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def send(visitor: Client, *files: SimpleUploadedFile, **changes: Any) -> Any:
    given = {"key": key_of(visitor.get("/support/")), **WORDS, **changes}
    return visitor.post("/support/", {**given, "attachments": list(files)})


def follow(visitor: Client, ticket: Ticket, *files: SimpleUploadedFile, text: str = "Here it is.") -> Any:
    key = key_of(visitor.get(ticket.get_status_url()))
    return visitor.post(ticket.get_status_url(), {"key": key, "text": text, "attachments": list(files)})


def file_of(ticket: Ticket, kept: Attachment) -> str:
    return f"{ticket.get_status_url()}files/{kept.pk}/"


def test_several_files_come_with_a_request_and_stand_on_its_page(visitor: Client) -> None:
    assert send(visitor, picture(), picture("log.txt", b"It broke.")).status_code == 302
    ticket = Ticket.objects.get()
    kept = list(ticket.messages.get().attachments.all())
    assert [(one.name, one.content_type) for one in kept] == [("screen.png", "image/png"), ("log.txt", "text/plain")]
    assert "screen.png" in visitor.get(ticket.get_status_url()).content.decode()
    got = visitor.get(file_of(ticket, kept[0]))
    assert (got.content, got["X-Content-Type-Options"]) == (PNG, "nosniff")


def test_the_same_click_twice_keeps_the_files_once_and_other_files_make_another_request(visitor: Client) -> None:
    key = key_of(visitor.get("/support/"))
    for name in ("a.png", "a.png", "b.png"):
        visitor.post("/support/", {"key": key, **WORDS, "attachments": [picture(name)]})
    assert sorted(Attachment.objects.values_list("name", flat=True)) == ["a.png", "b.png"]
    assert Ticket.objects.count() == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("page.png", b"<html><script>1</script>", "is of a kind that is not taken here"),
        ("empty.txt", b"", "is empty"),
        ("long.txt", b"a" * 3000, "is larger than"),
    ],
)
def test_a_refused_file_is_said_in_words_and_what_was_typed_stays(
    visitor: Client, settings: Settings, name: str, content: bytes, said: str
) -> None:
    settings.ATTACHMENT_BYTES = 2000
    page = send(visitor, picture(), picture(name, content))
    shown = page.content.decode()
    assert (page.status_code, Ticket.objects.count(), Attachment.objects.count()) == (422, 0, 0)
    assert f"{name} {said}" in shown
    assert "Nothing else changed." in shown
    assert "Please choose your files again" in shown


def test_files_and_bytes_of_one_request_are_limited(visitor: Client, settings: Settings) -> None:
    settings.ATTACHMENTS_A_MESSAGE, settings.ATTACHMENT_BYTES_A_TICKET = 2, 150
    assert "Up to 2 files go" in send(visitor, picture(), picture(), picture()).content.decode()
    full = send(visitor, picture("a.txt", b"a" * 100), picture("b.txt", b"b" * 100))
    assert "All files of one request may have" in full.content.decode()
    assert send(visitor, picture("a.txt", b"a" * 100)).status_code == 302
    ticket = Ticket.objects.get()
    more = follow(visitor, ticket, picture("c.txt", b"c" * 100))
    assert (more.status_code, ticket.messages.count()) == (422, 1)
    assert "Here it is." in more.content.decode()


def test_a_field_that_is_wrong_says_that_the_files_have_to_be_chosen_again(visitor: Client) -> None:
    page = send(visitor, picture(), title="")
    assert (page.status_code, Attachment.objects.count()) == (422, 0)
    assert "a browser does not keep them" in page.content.decode()


def test_a_program_that_fills_in_everything_leaves_no_file(visitor: Client) -> None:
    assert send(visitor, picture(), website="https://example.com").status_code == 422
    assert not Attachment.objects.exists()


def test_the_rate_limit_holds_for_files_and_keeps_what_was_typed(visitor: Client, settings: Settings) -> None:
    settings.FORM_PER_MINUTE = 1
    assert send(visitor, picture()).status_code == 302
    page = send(visitor, picture())
    assert (page.status_code, Attachment.objects.count()) == (429, 1)
    assert "Nothing else changed." in page.content.decode()


def test_a_follow_up_brings_files_and_opens_the_ticket_again(visitor: Client, reviewed: Ticket) -> None:
    reviewed.set_status("resolved")  # type: ignore[arg-type]
    reviewed.save()
    assert follow(visitor, reviewed, picture()).status_code == 302
    reviewed.refresh_from_db()
    assert reviewed.status == "new"
    assert reviewed.messages.last().attachments.get().name == "screen.png"  # type: ignore[union-attr]


def test_files_of_a_comment_and_of_a_reply_that_has_not_left_are_not_the_customers(
    visitor: Client, reviewed: Ticket, agent: User
) -> None:
    secret = conversation.comment(ticket=reviewed, text="For us.", by=agent, files=[("secret.png", PNG)])
    attaching.add_to_draft(ticket=reviewed, files=[("answer.png", PNG)], by=agent)
    hidden = [secret.attachments.get(), Attachment.objects.get(name="answer.png")]
    sent = replies.approve(
        ticket=reviewed, text="See this.", version=1, answers=last_seen(reviewed), by=agent, undo_seconds=60
    )
    page = visitor.get(reviewed.get_status_url()).content.decode()
    for kept in hidden:
        assert visitor.get(file_of(reviewed, kept)).status_code == 404
        assert kept.name not in page
    sent.not_before = sent.created_at
    sent.save()
    assert visitor.get(file_of(reviewed, hidden[1])).status_code == 200
    assert visitor.get(file_of(reviewed, hidden[0])).status_code == 404


def test_a_signed_address_opens_the_files_of_its_own_ticket_alone(
    visitor: Client, reviewed: Ticket, make_ticket: MakeTicket
) -> None:
    other = make_ticket("Another")
    kept = attaching.attach(message=other.messages.get(), name="a.png", content=PNG)
    assert visitor.get(file_of(reviewed, kept)).status_code == 404
    assert visitor.get(f"/support/t/forged/files/{kept.pk}/").status_code == 404
    assert visitor.get(file_of(other, kept)).status_code == 200
    assert Message.objects.filter(ticket=other).count() == 1


def test_on_a_full_disk_the_words_stay_in_the_form_and_no_half_of_it_is_kept(
    visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileSystemStorage, "_save", full_disk)
    answer = send(visitor, picture())
    assert answer.status_code == 503
    page = answer.content.decode()
    assert "Files cannot be kept just now." in page and WORDS["description"] in page
    assert not Ticket.objects.exists()
