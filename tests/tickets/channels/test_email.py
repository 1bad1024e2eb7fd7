"""Replies by e-mail, spoken over real SMTP to servers that take, refuse, stall and die."""

from __future__ import annotations

import email
import email.policy
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.conf import LazySettings
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tickets.conftest import last_seen
from tickets import models
from tickets.actions import deliveries, intake, replies
from tickets.channels.base import SendRefused, SendUnknown, TryAgain
from tickets.channels.email import EmailChannel, subjects
from tickets.channels.fake import FakeChannel
from tickets.models import Delivery, Message, Ticket
from triage.models import User


class Mailbox:
    """A server's handler that keeps what it took; `answer` is what it says to DATA, `rcpt` to a recipient."""

    def __init__(self, *, answer: str = "250 kept", rcpt: str = "250 OK", turns_away: str = "") -> None:
        self.taken: list[EmailMessage] = []
        self.answer = answer
        self.rcpt = rcpt
        self.turns_away = turns_away

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address == self.turns_away:
            return "550 no such user"
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.taken.append(
                email.message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=email.policy.default)
            )
        return self.answer


Serve = Callable[..., Mailbox]


@pytest.fixture
def serve(settings: LazySettings) -> Iterator[Serve]:
    """Start a mail server on loopback and have replies go to it."""
    started: list[Controller] = []

    def start(**given: str) -> Mailbox:
        box = Mailbox(**given)
        controller = Controller(box, hostname="127.0.0.1", port=free_port())
        controller.start()
        started.append(controller)
        point_at(settings, controller.port)
        return box

    yield start
    for controller in started:
        controller.stop(no_assert=True)


def point_at(settings: LazySettings, port: int) -> None:
    settings.EMAIL_BACKEND = "tickets.channels.email.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_TIMEOUT = 1


class Dying:
    """A server that follows its part to a line of the dialogue and then hangs up, or says nothing more."""

    def __init__(self, last_words_before: bytes, *, silent: bool = False) -> None:
        self.until = last_words_before
        self.silent = silent
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        line, _ = self.listening.accept()
        with self.listening, line, line.makefile("rb") as heard, suppress(OSError):
            line.sendall(b"220 dying ESMTP\r\n")
            in_data = False
            for said in heard:
                word = b"." if in_data and said == b".\r\n" else b"" if in_data else said.strip().split(b" ")[0].upper()
                if word == self.until:
                    if self.silent:
                        threading.Event().wait(2)
                    return
                if word == b"DATA":
                    in_data = True
                    line.sendall(b"354 go on\r\n")
                elif word == b".":
                    in_data = False
                    line.sendall(b"250 kept\r\n")
                elif word:
                    line.sendall(b"250 OK\r\n")


@pytest.fixture
def delivery(reviewed: Ticket, agent: User) -> Delivery:
    return approve(reviewed, agent)


def approve(
    ticket: Ticket,
    by: User,
    text: str = "Please **update** to 6.3.\n\nIt is fixed there.",
    *,
    accept_flags: bool = False,
) -> Delivery:
    ticket.refresh_from_db()
    draft = ticket.__class__.objects.get(pk=ticket.pk).current_draft
    return replies.approve(
        ticket=ticket,
        text=text,
        version=draft.version if draft else 0,
        answers=last_seen(ticket),
        accept_flags=accept_flags,
        by=by,
    )


def loaded(delivery: Delivery) -> Delivery:
    return Delivery.objects.select_related("message", "ticket__source", "ticket__requester").get(pk=delivery.pk)


def test_the_reply_arrives_as_text_first_and_simple_html_second(serve: Serve, delivery: Delivery) -> None:
    box = serve()
    receipt = EmailChannel().send(loaded(delivery))
    (mail,) = box.taken
    assert (mail["To"], mail["From"]) == ("kim@example.com", "Support <support@localhost>")
    assert mail["Subject"] == f"Re: Export fails {subjects.mark_of(delivery.ticket_id)}"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().startswith("Please **update** to 6.3.\n\nIt is fixed there.")
    assert "> The CSV export stops half way." in text.get_content()
    assert "<strong>update</strong>" in html.get_content()
    assert mail["Message-ID"] == receipt.reference
    assert "img" not in html.get_content()


def test_the_message_id_is_stored_before_anything_is_sent_and_stays_the_same(
    serve: Serve, settings: LazySettings, delivery: Delivery
) -> None:
    point_at(settings, free_port())
    with pytest.raises(TryAgain):
        EmailChannel().send(loaded(delivery))
    stored = Message.objects.get(pk=delivery.message_id).message_id
    assert stored == f"ticket-{delivery.ticket_id}.{delivery.key}@localhost"
    box = serve()
    EmailChannel().send(loaded(delivery))
    assert box.taken[0]["Message-ID"] == f"<{stored}>"


def test_a_second_reply_stands_in_the_thread_of_the_first(serve: Serve, reviewed: Ticket, agent: User) -> None:
    box = serve()
    EmailChannel().send(loaded(approve(reviewed, agent)))
    intake.add_customer_message(ticket=reviewed, text="Still broken.", message_id="kim-2@mail.example.com")
    EmailChannel().send(loaded(approve(reviewed, agent, "Then send us the file, please.")))
    first, second = box.taken
    assert first["In-Reply-To"] is None
    assert second["In-Reply-To"] == "<kim-2@mail.example.com>"
    assert second["References"].split() == [first["Message-ID"], "<kim-2@mail.example.com>"]
    assert "> Still broken." in words_of(second)


def test_sender_and_signature_are_those_of_the_source(serve: Serve, delivery: Delivery) -> None:
    box = serve()
    source = delivery.ticket.source
    source.sender, source.signature = "Acme Help <help@acme.example>", "Acme Support\n<b>Line 2</b>"
    source.save()
    EmailChannel().send(loaded(delivery))
    (mail,) = box.taken
    assert mail["From"] == "Acme Help <help@acme.example>"
    assert mail["Message-ID"].endswith("@acme.example>")
    assert "\n-- \nAcme Support\n<b>Line 2</b>\n" in words_of(mail)
    assert "&lt;b&gt;Line 2&lt;/b&gt;" in words_of(mail, "html")


def test_the_mail_leads_the_customer_to_the_status_page(serve: Serve, delivery: Delivery, client: Client) -> None:
    box = serve()
    EmailChannel().send(loaded(delivery))
    (mail,) = box.taken
    link = f"http://localhost:8000{delivery.ticket.get_status_url()}"
    assert link in words_of(mail).replace("=\n", "") and f'href="{link}"' in words_of(mail, "html")
    assert client.get(delivery.ticket.get_status_url()).status_code == 200


def test_markup_of_a_customer_never_runs_in_the_html_part(serve: Serve, reviewed: Ticket, agent: User) -> None:
    box = serve()
    intake.add_customer_message(ticket=reviewed, text="<script>alert(1)</script><img src=x onerror=alert(1)>")
    text = "<script>x</script> [click](javascript:alert(1))"
    EmailChannel().send(loaded(approve(reviewed, agent, text, accept_flags=True)))
    html = words_of(box.taken[0], "html")
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html


@given(subject=st.text(max_size=280), name=st.text(max_size=100), sender=st.text(max_size=80))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_in_subject_name_or_sender_adds_a_header(
    delivery: Delivery, subject: str, name: str, sender: str
) -> None:
    from tickets.channels.email.compose import message_for

    row = loaded(delivery)
    row.ticket.subject = f"{subject}\r\nBcc: spy@example.com"
    row.ticket.source.sender = f"{sender}\nBcc: spy@example.com <help@acme.example>"
    try:
        sent = message_for(row).message().as_bytes()
    except ValueError:
        return  # no such sender: refused before anything is sent
    parsed = email.message_from_bytes(sent)
    assert parsed["Bcc"] is None
    assert len(parsed.get_all("Subject", [])) == 1


# Errors, by what the caller does about them


@pytest.mark.parametrize("answer", ["450 busy", "421 closing", "452 full"])
def test_a_temporary_refusal_is_tried_again(serve: Serve, delivery: Delivery, answer: str) -> None:
    serve(answer=answer)
    with pytest.raises(TryAgain, match=answer[:3]):
        EmailChannel().send(loaded(delivery))


@pytest.mark.parametrize("given_", [{"answer": "554 spam"}, {"rcpt": "550 no such user"}])
def test_a_lasting_refusal_is_for_a_person_to_read(serve: Serve, delivery: Delivery, given_: dict[str, str]) -> None:
    serve(**given_)
    with pytest.raises(SendRefused, match="55"):
        EmailChannel().send(loaded(delivery))


def test_a_recipient_who_is_greylisted_is_tried_again(serve: Serve, delivery: Delivery) -> None:
    serve(rcpt="451 come back later")
    with pytest.raises(TryAgain, match="451"):
        EmailChannel().send(loaded(delivery))


def test_a_server_that_cannot_be_reached_is_tried_again(settings: LazySettings, delivery: Delivery) -> None:
    point_at(settings, free_port())
    with pytest.raises(TryAgain):
        EmailChannel().send(loaded(delivery))


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("line", [b"EHLO", b"MAIL", b"RCPT", b"DATA"])
def test_a_server_that_dies_before_the_text_is_tried_again(
    settings: LazySettings, delivery: Delivery, line: bytes, silent: bool
) -> None:
    point_at(settings, Dying(line, silent=silent).port)
    with pytest.raises(TryAgain):
        EmailChannel().send(loaded(delivery))


@pytest.mark.parametrize("silent", [False, True])
def test_nobody_knows_what_became_of_a_text_whose_server_died(
    settings: LazySettings, delivery: Delivery, silent: bool
) -> None:
    point_at(settings, Dying(b".", silent=silent).port)
    with pytest.raises(SendUnknown):
        EmailChannel().send(loaded(delivery))


@pytest.mark.parametrize("silent", [False, True])
def test_a_server_that_dies_after_it_confirmed_has_the_reply(
    settings: LazySettings, delivery: Delivery, silent: bool
) -> None:
    point_at(settings, Dying(b"QUIT", silent=silent).port)
    assert EmailChannel().send(loaded(delivery)).reference


def test_nothing_is_sent_where_nobody_reads(serve: Serve, delivery: Delivery) -> None:
    """What was approved before the desk knew, or has become the recipient since."""
    box = serve()
    delivery.recipient = "noreply@github.com"
    with pytest.raises(SendRefused, match="Nobody reads"):
        EmailChannel().send(delivery)
    assert box.taken == []


def test_the_outbox_records_what_became_of_each(settings: LazySettings, delivery: Delivery) -> None:
    point_at(settings, Dying(b".").port)
    (claimed,) = deliveries.claim(1)
    deliveries.deliver(claimed)
    delivery.refresh_from_db()
    assert delivery.state == "unknown"
    assert "did not confirm" in delivery.error
    assert deliveries.claim(1) == []


def test_a_sender_that_is_no_address_is_refused_before_anything_is_sent(serve: Serve, delivery: Delivery) -> None:
    box = serve()
    delivery.ticket.source.sender = "nobody"
    delivery.ticket.source.save()
    with pytest.raises(SendRefused, match="no address"):
        EmailChannel().send(loaded(delivery))
    assert box.taken == []


def test_answers_go_to_the_mailbox_that_is_read(serve: Serve, delivery: Delivery) -> None:
    box = serve()
    models.Mailbox.objects.create(source=delivery.ticket.source, address="in@acme.example", host="mx", username="in")
    EmailChannel().send(loaded(delivery))
    assert (box.taken[0]["From"], box.taken[0]["Reply-To"]) == ("Support <support@localhost>", "in@acme.example")


def test_a_subject_carries_one_re_and_one_mark_however_often_it_went_back_and_forth(
    serve: Serve, delivery: Delivery
) -> None:
    box = serve()
    row = loaded(delivery)
    row.ticket.subject = "RE: AW: Re: Export fails [#999-AAAAAAAAAAAA]"
    EmailChannel().send(row)
    assert box.taken[0]["Subject"] == f"Re: Export fails {subjects.mark_of(row.ticket_id)}"


def test_a_server_that_takes_the_copies_alone_has_not_taken_the_reply(serve: Serve, delivery: Delivery) -> None:
    box = serve(turns_away="kim@example.com")
    row = loaded(delivery)
    row.cc = ["lou@example.com"]
    with pytest.raises(SendRefused, match="The copies have left"):
        EmailChannel().send(row)
    assert len(box.taken) == 1


# Mail as files


@pytest.fixture
def folder(settings: LazySettings, tmp_path: Path) -> Path:
    settings.EMAIL_BACKEND = "tickets.channels.email.files.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    return tmp_path / "mail"


def test_without_a_mail_server_a_reply_is_one_whole_file_named_after_its_ticket(
    folder: Path, delivery: Delivery
) -> None:
    EmailChannel().send(loaded(delivery))
    (file,) = folder.iterdir()
    assert f"ticket-{delivery.ticket_id}.{delivery.key}" in file.name
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert mail["To"] == "kim@example.com"


def test_a_file_that_cannot_be_written_is_tried_again_and_leaves_nothing(folder: Path, delivery: Delivery) -> None:
    folder.write_text("a file where the folder should be")
    with pytest.raises(TryAgain):
        EmailChannel().send(loaded(delivery))


def test_the_same_reply_sent_twice_is_seen_as_two_files(folder: Path, delivery: Delivery) -> None:
    for _ in range(2):
        EmailChannel().send(loaded(delivery))
    assert len(list(folder.iterdir())) == 2


# The fake


def test_the_fake_answers_by_the_recipients_name(delivery: Delivery) -> None:
    FakeChannel.sent.clear()
    for name, error in (("try-again", TryAgain), ("refused", SendRefused), ("unknown", SendUnknown)):
        delivery.recipient = f"{name}@example.com"
        with pytest.raises(error):
            FakeChannel().send(delivery)
    delivery.recipient = "kim@example.com"
    assert FakeChannel().send(delivery).reference == f"fake-{delivery.key}"
    assert FakeChannel.sent == [("kim@example.com", delivery.message.text)]


def words_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
