from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings

from tests.tickets.actions.test_attaching import PNG, full_disk
from tests.tickets.channels.conftest import ApiClient, Caller
from tests.tickets.conftest import MakeTicket
from tickets.actions import attaching
from tickets.models import Attachment, Ticket
from triage.models import User


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def put(api: ApiClient, ticket: Ticket, *files: tuple[str, bytes], **given: str) -> Any:
    sent = [SimpleUploadedFile(name, content) for name, content in files]
    return api.post(f"/api/v1/tickets/{ticket.pk}/attachments", {**given, "attachments": sent})


def test_files_come_as_an_internal_comment_and_are_listed_and_handed_out(api: ApiClient, reviewed: Ticket) -> None:
    made = put(api, reviewed, ("screen.png", PNG), ("log.txt", b"It broke."), text="From the monitor.")
    assert made.status_code == 201
    listed = api.send("get", f"/tickets/{reviewed.pk}/comments").json()["items"]
    assert listed == [made.json()]
    assert [(one["name"], one["content_type"], one["size"]) for one in listed[0]["attachments"]] == [
        ("screen.png", "image/png", len(PNG)),
        ("log.txt", "text/plain", 9),
    ]
    got = api.get(listed[0]["attachments"][0]["url"].removeprefix("http://testserver"))
    assert (got.content, got["X-Content-Type-Options"]) == (PNG, "nosniff")
    assert reviewed.messages.get(kind="comment").author_label == "shop"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ((("a.png", b"<svg onload='1'>"),), "file_type"),
        ((("a.txt", b"a" * 3000),), "file_too_large"),
        ((("a.txt", b"a"),) * 4, "too_many_files"),
        ((("a.txt", b"a" * 1500), ("b.txt", b"b" * 1500)), "ticket_full"),
        ((), ""),
    ],
)
def test_what_is_refused_is_named_and_leaves_no_comment(
    api: ApiClient, reviewed: Ticket, settings: Settings, files: Any, code: str
) -> None:
    settings.ATTACHMENT_BYTES, settings.ATTACHMENTS_A_MESSAGE, settings.ATTACHMENT_BYTES_A_TICKET = 2000, 3, 2500
    answer = put(api, reviewed, *files)
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code or not code
    assert answer.json()["errors"][0]["field"].endswith("attachments")
    assert not reviewed.messages.filter(kind="comment").exists()


def test_a_key_needs_its_scope_and_sight_of_the_ticket(
    caller: Caller, reviewed: Ticket, agent: User, colleague: User, make_ticket: MakeTicket
) -> None:
    kept = attaching.attach(message=reviewed.messages.get(), name="a.png", content=PNG)
    reader, stranger = caller(agent, "read"), caller(colleague, name="other")
    assert put(reader, reviewed, ("a.png", PNG)).status_code == 403
    assert put(stranger, reviewed, ("a.png", PNG)).status_code == 404
    assert reader.send("get", f"/tickets/{reviewed.pk}/attachments/{kept.pk}").content == PNG
    assert stranger.send("get", f"/tickets/{reviewed.pk}/attachments/{kept.pk}").status_code == 404
    assert reader.send("get", f"/tickets/{make_ticket().pk}/attachments/{kept.pk}").status_code == 404
    assert Attachment.objects.count() == 1


def test_json_is_told_that_files_come_as_a_form(api: ApiClient, reviewed: Ticket) -> None:
    answer = api.send("post", f"/tickets/{reviewed.pk}/attachments", {"attachments": ["a"]})
    assert answer.status_code in (415, 422)


def test_on_a_full_disk_a_program_is_told_to_come_again(
    api: ApiClient, reviewed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileSystemStorage, "_save", full_disk)
    answer = put(api, reviewed, ("screen.png", PNG))
    assert (answer.status_code, answer.json()["code"]) == (503, "files_unavailable")
    assert not reviewed.messages.filter(kind="comment").exists()
