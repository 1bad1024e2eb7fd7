"""Files of a reply: put with its draft, seen and approved with it, sent with it; and those of a comment."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from tests.tickets.actions.test_attaching import PNG
from tests.tickets.conftest import last_seen
from tickets.actions import deliveries, replies
from tickets.actions.attaching import add_to_draft, drafted
from tickets.actions.errors import Conflict, Invalid
from tickets.channels import CHANNELS
from tickets.models import Attachment, Delivery, Message, Review, Ticket
from triage.models import User


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def desk(agent: User) -> Client:
    client = Client()
    client.force_login(agent)
    return client


def put(desk: Client, ticket: Ticket, name: str = "answer.png", content: bytes = PNG, **extra: Any) -> Any:
    address = f"/tickets/{ticket.pk}/draft/files/"
    return desk.post(address, {"attachments": SimpleUploadedFile(name, content)}, headers={"HX-Request": "true"})


def approve(desk: Client, ticket: Ticket, **given: Any) -> Any:
    seen = {"text": "See this.", "version": "1", "answers": last_seen(ticket), "replied": "0", "files_shown": "1"}
    return desk.post(f"/tickets/{ticket.pk}/approval/", {**seen, **given}, headers={"HX-Request": "true"})


def test_a_file_is_put_with_the_draft_and_left_out_again(desk: Client, reviewed: Ticket) -> None:
    shown = put(desk, reviewed).content.decode()
    kept = drafted(reviewed).get()
    assert "answer.png" in shown
    assert f'name="files" value="{kept.pk}"' in shown
    assert f'name="files" value="{kept.pk}"' in desk.get(reviewed.get_absolute_url()).content.decode()
    gone = desk.post(f"/tickets/{reviewed.pk}/draft/files/{kept.pk}/removal/", headers={"HX-Request": "true"})
    assert "answer.png" not in gone.content.decode()
    assert not drafted(reviewed).exists()


def test_a_refused_file_is_said_beside_the_others(desk: Client, reviewed: Ticket) -> None:
    put(desk, reviewed)
    refused = put(desk, reviewed, "page.html", b"<html>")
    assert refused.status_code == 422
    assert "not taken here" in refused.content.decode()
    assert "answer.png" in refused.content.decode()


def test_the_files_leave_with_the_mail_and_stand_at_the_reply_and_in_the_review(
    desk: Client, reviewed: Ticket, settings: Settings, tmp_path: Path
) -> None:
    settings.EMAIL_BACKEND = "tickets.channels.email.files.EmailBackend"
    settings.EMAIL_FILE_PATH, settings.UNDO_SECONDS = str(tmp_path / "mail"), 0
    put(desk, reviewed)
    assert approve(desk, reviewed, files=[drafted(reviewed).get().pk]).status_code == 200
    for claimed in deliveries.claim(5):
        deliveries.deliver(claimed)
    assert Delivery.objects.get().state == "sent"
    mail = email.message_from_bytes(next((tmp_path / "mail").iterdir()).read_bytes(), policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    enclosed = [(part.get_filename(), part.get_content_type(), part.get_content()) for part in mail.iter_attachments()]
    assert enclosed == [("answer.png", "image/png", PNG)]
    assert Review.objects.get(decision="approved").files[0]["name"] == "answer.png"
    assert "answer.png" in desk.get(reviewed.get_absolute_url()).content.decode()


def test_an_approval_is_for_the_files_that_were_seen_and_no_others(desk: Client, reviewed: Ticket) -> None:
    put(desk, reviewed)
    refused = approve(desk, reviewed)  # a page that showed none of them
    assert refused.status_code == 409
    assert "files of this reply were changed" in refused.content.decode()
    assert not Delivery.objects.exists()
    assert drafted(reviewed).count() == 1


def test_without_a_script_a_chosen_file_goes_along_with_the_approval(desk: Client, reviewed: Ticket) -> None:
    given = {"version": "1", "answers": last_seen(reviewed), "replied": "0", "files_shown": "1", "text": "See."}
    desk.post(f"/tickets/{reviewed.pk}/approval/", {**given, "attachments": SimpleUploadedFile("a.png", PNG)})
    assert Message.objects.get(kind="outbound").attachments.get().name == "a.png"


def test_without_a_script_an_upload_keeps_what_was_typed(desk: Client, reviewed: Ticket) -> None:
    given = {"version": "1", "text": "My own words.", "attachments": SimpleUploadedFile("a.png", PNG)}
    page = desk.post(f"/tickets/{reviewed.pk}/draft/files/", given, follow=True).content.decode()
    assert "My own words." in page
    assert "a.png" in page


def test_a_reply_taken_back_has_its_files_again(reviewed: Ticket, agent: User) -> None:
    add_to_draft(ticket=reviewed, files=[("answer.png", PNG)], by=agent)
    sent = replies.approve(
        ticket=reviewed, text="See this.", version=1, answers=last_seen(reviewed), by=agent, undo_seconds=60
    )
    assert not drafted(reviewed).exists()
    replies.take_back(delivery=sent, by=agent)
    assert drafted(reviewed).get().name == "answer.png"


def test_a_reply_with_files_is_refused_where_its_door_carries_none(
    reviewed: Ticket, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CHANNELS["github"], "recipient_of", lambda *_: "desk/app#7")
    add_to_draft(ticket=reviewed, files=[("answer.png", PNG)], by=agent)
    reviewed.source.kind = "github"
    reviewed.source.save()
    with pytest.raises(Invalid, match="cannot have files"):
        replies.approve(ticket=reviewed, text="See.", version=1, answers=last_seen(reviewed), by=agent)
    with pytest.raises(Conflict):
        replies.approve(ticket=reviewed, text="See.", version=1, answers=last_seen(reviewed), by=agent, files=[])


def test_a_comment_takes_files_that_colleagues_may_open(desk: Client, reviewed: Ticket) -> None:
    given = {"text": "Look at this.", "attachments": [SimpleUploadedFile("log.txt", b"It broke.")]}
    assert desk.post(f"/tickets/{reviewed.pk}/comments/", given).status_code == 302
    kept = Attachment.objects.get(message__kind="comment")
    assert desk.get(kept.get_absolute_url()).content == b"It broke."
    refused = desk.post(
        f"/tickets/{reviewed.pk}/comments/",
        {"text": "And this.", "attachments": [SimpleUploadedFile("a.html", b"<html>")]},
        headers={"HX-Request": "true"},
    )
    assert refused.status_code == 422
    assert Message.objects.filter(kind="comment").count() == 1


def test_an_auditor_puts_no_files_anywhere(reviewed: Ticket, auditor: User) -> None:
    client = Client()
    client.force_login(auditor)
    assert put(client, reviewed).status_code == 403
    assert not Attachment.objects.exists()
