"""Files that come and go with mails, and images within their text."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from typing import IO, Any

import pytest
from django.core.mail import EmailMultiAlternatives
from pytest_django import Settings

from tests.mails import octets, taken, written
from tickets.channels.base import TryAgain
from tickets.channels.email import EmailChannel, attached, reading
from tickets.models import Delivery, Source


@dataclass
class Kept:
    """An attachment as the desk keeps it, on this disk."""

    name: str
    path: Path
    content_type: str = "application/pdf"
    content_id: str = ""

    @property
    def file(self) -> Kept:
        return self

    def open(self, mode: str) -> IO[Any]:
        return self.path.open(mode)

    def get_absolute_url(self) -> str:
        return f'/tickets/1/attachments/{self.name}?a&b"'


def test_the_files_of_a_reply_leave_with_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"%PDF-1.7")
    email = EmailMultiAlternatives(subject="x", body="y", to=["kim@example.com"])
    attached.add_files(email, [Kept("manual.pdf", tmp_path / "a")])
    (file,) = reading.read(email.message().as_bytes()).files
    assert (file.name, file.content, file.content_type) == ("manual.pdf", b"%PDF-1.7", "application/pdf")


@pytest.mark.parametrize(
    "content", [b"one\r\ntwo\r\n", b"one\ntwo", "Gr\u00fc\u00dfe\n".encode("latin-1"), b"From here\n.\n"]
)
def test_a_text_arrives_byte_for_byte(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    email = EmailMultiAlternatives(subject="x", body="y", to=["kim@example.com"])
    attached.add_files(email, [Kept("Protok\u00f6ll.txt", tmp_path / "a", "text/plain")])
    (part,) = [one for one in message_from_bytes(email.message().as_bytes()).walk() if one.get_filename()]
    assert part.get_payload(decode=True) == content and part.get_content_type() == "text/plain"
    (file,) = reading.read(email.message().as_bytes()).files
    assert file.name == "Protok\u00f6ll.txt"


def test_a_reply_whose_file_cannot_be_read_now_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, delivery: Delivery
) -> None:
    monkeypatch.setattr(attached, "files_of", lambda _: [Kept("manual.pdf", tmp_path / "gone")])
    row = Delivery.objects.select_related("message", "ticket__source", "ticket__requester").get(pk=delivery.pk)
    with pytest.raises(TryAgain, match="could not be read"):
        EmailChannel().send(row)


@pytest.fixture
def delivery(reviewed: Any, agent: Any) -> Delivery:
    from tests.tickets.channels.test_email import approve

    return approve(reviewed, agent)


def test_images_of_the_text_are_those_that_came_and_no_others(tmp_path: Path) -> None:
    safe = reading.read(
        octets(written(html='<p><img src="cid:one%40x" alt="One"><img src="cid:two" alt="Two"></p>'))
    ).html
    shown = attached.with_images(safe, [Kept("one.png", tmp_path, content_id="one@x")])
    assert 'src="/tickets/1/attachments/one.png?a&amp;b&quot;"' in shown
    assert "cid:" not in shown and 'alt="Two"' in shown


PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + b"1 0 obj << /Type /Catalog >> endobj\n" * 20 + b"%%EOF\n"


def test_each_file_is_kept_or_the_mail_says_why_not(taxonomy: None, settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    mail = written()
    mail.add_attachment(PDF, "application", "pdf", filename="a.pdf")
    mail.add_attachment(b"MZ" + b"\0" * 100, "application", "octet-stream", filename="b.exe")
    row = taken(mail, source=Source.objects.create(kind="email", name="Support mail"))
    assert row.message is not None
    (kept,) = attached.files_of(row.message)
    with kept.file.open() as opened:
        assert (kept.name, kept.content_type, opened.read()) == ("a.pdf", "application/pdf", PDF)
    assert len(row.notes) == 1 and row.notes[0].startswith("b.exe: ")
