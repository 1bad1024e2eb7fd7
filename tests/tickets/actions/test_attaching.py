from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from django.test import Client
from pytest_django import Settings

from tests.tickets.conftest import MakeTicket
from tickets.actions import attaching, splitting
from tickets.actions.errors import Invalid, Unavailable
from tickets.actions.intake import add_customer_message
from tickets.models import Attachment, LeftFile, Ticket
from tickets.sniffing import safe_name, type_of
from triage.models import User

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0" * 20


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def ticket(make_ticket: MakeTicket) -> Ticket:
    return make_ticket()


def attach(ticket: Ticket, name: str = "screen.png", content: bytes = PNG) -> Attachment:
    return attaching.attach(message=ticket.messages.get(), name=name, content=content)


def test_a_file_is_kept_with_its_message_and_known_by_its_bytes(ticket: Ticket) -> None:
    kept = attach(ticket, "notes.txt")
    assert (kept.ticket, kept.name, kept.content_type, kept.size) == (ticket, "notes.txt", "image/png", len(PNG))
    with kept.file.open() as file:
        assert file.read() == PNG
    assert "notes" not in str(kept.file.name)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"MZ\x90\0\x03" + b"\0" * 100, "file_type"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 50, "file_type"),
        (b"<!doctype html><script>1</script>", "file_type"),
        (b"\xef\xbb\xbf  \n<svg xmlns='http://www.w3.org/2000/svg' onload='1'/>", "file_type"),
        (b"\xff\xfe" + "<html>".encode("utf-16-le"), "file_type"),
        (b"a" * 2001, "file_too_large"),
    ],
)
def test_it_refuses_programs_pages_and_what_is_too_large(
    ticket: Ticket, settings: Settings, content: bytes, code: str
) -> None:
    settings.ATTACHMENT_BYTES = 2000
    with pytest.raises(Invalid) as refused:
        attach(ticket, "harmless.png", content)
    assert refused.value.code == code
    assert not Attachment.objects.exists()


def test_a_message_takes_so_many_files_and_no_more(ticket: Ticket, settings: Settings) -> None:
    settings.ATTACHMENTS_A_MESSAGE = 1
    attach(ticket)
    with pytest.raises(Invalid, match="One file goes"):
        attach(ticket)


def test_the_file_goes_with_its_row_however_that_goes(ticket: Ticket) -> None:
    path = str(attach(ticket).file.name)
    Attachment.objects.all()._raw_delete("default")
    assert default_storage.exists(path)
    assert attaching.sweep() == 1
    assert not default_storage.exists(path)
    assert not LeftFile.objects.exists()


def test_a_message_that_is_split_off_takes_its_files_along(ticket: Ticket, agent: User) -> None:
    more = add_customer_message(ticket=ticket, text="And another thing.")
    attaching.attach(message=more, name="a.png", content=PNG)
    new = splitting.split(ticket=ticket, messages=[more.pk], subject="Another", by=agent).new
    assert Attachment.objects.get().ticket_id == new.pk


def test_a_picture_is_shown_and_everything_else_is_saved_in_a_sandbox(ticket: Ticket, agent: User) -> None:
    client = Client()
    client.force_login(agent)
    picture = client.get(attach(ticket).get_absolute_url())
    text = client.get(attach(ticket, "a.html", b"a < b").get_absolute_url())
    assert (picture["Content-Type"], picture["Content-Disposition"][:6]) == ("image/png", "inline")
    assert (text["Content-Type"], text["Content-Disposition"][:10]) == ("application/octet-stream", "attachment")
    for response in (picture, text):
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert picture.content == PNG
    assert "screen.png" in client.get(ticket.get_absolute_url()).content.decode()


def test_who_may_not_see_the_ticket_gets_no_file_of_it(reviewed: Ticket, colleague: User) -> None:
    address = attach(reviewed).get_absolute_url()
    client = Client()
    assert client.get(address).status_code == 302
    client.force_login(colleague)
    assert client.get(address).status_code == 404


def test_a_file_of_another_ticket_is_not_found_by_this_one(
    make_ticket: MakeTicket, ticket: Ticket, agent: User
) -> None:
    kept, other = attach(ticket), make_ticket("Another")
    client = Client()
    client.force_login(agent)
    assert client.get(f"/tickets/{other.pk}/attachments/{kept.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.txt", "a.txt"),
        ('a"\r\nSet-Cookie: b.txt', "a_Set-Cookie_ b.txt"),
        ("\u202egpj.exe", "gpj.exe"),
        ("", "file"),
        ("..", "file"),
        ("con.txt", "file-con.txt"),
        ("ä" * 300 + ".pdf", "ä" * 196 + ".pdf"),
    ],
)
def test_names_are_made_safe(given: str, name: str) -> None:
    assert safe_name(given) == name


def test_types_are_read_off_the_bytes() -> None:
    table = io.BytesIO()
    with zipfile.ZipFile(table, "w") as file:
        for one in ("[Content_Types].xml", "_rels/.rels", "word/document.xml"):
            file.writestr(one, "x" * 50)
    assert type_of(table.getvalue()).endswith("wordprocessingml.document")
    assert type_of(b"a,b\n1,2\n", "a.csv") == "text/csv"
    assert type_of(b"MZ and BM begin words too.", "a.txt") == "text/plain"
    assert type_of("Grüße".encode("cp1252")) == "text/plain"
    assert type_of(b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 30, "a.html") == "image/jpeg"


def full_disk(*_: object) -> str:
    raise OSError(28, "No space left on device")


def test_on_a_full_disk_a_file_is_refused_for_now_and_leaves_no_row(
    ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileSystemStorage, "_save", full_disk)
    with pytest.raises(Unavailable, match="just now"):
        attach(ticket)
    assert not Attachment.objects.exists()
