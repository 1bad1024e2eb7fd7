"""Mail by webhook, as the services send it: each signed in its way, and none taken without."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from tests.mails import DESK, octets, written
from tickets.channels.email import webhooks
from tickets.models import Delivery, Mail, Mailbox, Message, Source, Ticket

SECRET = "desk:a long secret"
# SendGrid works as it did; the authors of anymail cannot try it any more, and say so at every request.
pytestmark = pytest.mark.filterwarnings("ignore::anymail.exceptions.AnymailNotSupportedWarning")


@pytest.fixture(autouse=True)
def open_to(settings: LazySettings, taxonomy: None) -> None:
    settings.ANYMAIL = {"WEBHOOK_SECRET": [SECRET], "MAILGUN_WEBHOOK_SIGNING_KEY": "key-of-mailgun"}
    webhooks._view.cache_clear()


def post(
    client: Client, address: str, data: Any, *, secret: str = SECRET, kind: str | None = "application/json"
) -> int:
    headers = {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()} if secret else {}
    client.raise_request_exception = False
    extra = {"content_type": kind} if kind else {}
    status: int = client.post(address, data, headers=headers, **extra).status_code  # type: ignore[arg-type]
    return status


def of_postmark(**changes: Any) -> dict[str, Any]:
    """Postmark's documented form of a mail, without the raw one."""
    return {
        "From": "kim@example.com", "MessageStream": "inbound", "FromName": "Kim Sample",
        "FromFull": {"Email": "kim@example.com", "Name": "Kim Sample"},
        "ToFull": [{"Email": DESK, "Name": ""}], "CcFull": [{"Email": "lou@example.com", "Name": "Lou"}], "BccFull": [],
        "OriginalRecipient": DESK, "Subject": "Export fails", "MessageID": "22c74902-a0c1-4511-804f2-341342852c90",
        "Date": "Mon, 2 Nov 2026 09:00:00 +0000", "TextBody": "The CSV export stops half way.", "HtmlBody": "",
        "Headers": [{"Name": "Message-ID", "Value": "<kim-1@mail.example.com>"}], "Attachments": [], **changes,
    }  # fmt: skip


def of_mailgun(**changes: str) -> dict[str, str]:
    """Mailgun's form with the raw mail in it, signed as its documentation says."""
    stamp, token = str(int(time.time())), "a" * 50
    signature = hmac.new(b"key-of-mailgun", f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    return {
        "recipient": DESK, "sender": "kim@example.com", "timestamp": stamp, "token": token, "signature": signature,
        "body-mime": octets(written()).decode(), **changes,
    }  # fmt: skip


def of_sendgrid() -> dict[str, str]:
    return {
        "headers": "Message-ID: <kim-2@mail.example.com>\nDate: Mon, 2 Nov 2026 09:00:00 +0000\n",
        "from": "Kim Sample <kim@example.com>", "to": DESK, "subject": "Export fails", "text": "The CSV export stops.",
        "envelope": json.dumps({"to": [DESK], "from": "kim@example.com"}), "charsets": "{}", "attachments": "0",
    }  # fmt: skip


MAILGUN, POSTMARK, SENDGRID = (f"/webhooks/email/{name}" for name in ("mailgun", "postmark", "sendgrid"))


def test_a_mail_by_postmark_is_a_ticket_once(client: Client) -> None:
    for _ in range(3):
        assert post(client, POSTMARK, json.dumps(of_postmark())) == 200
    ticket = Ticket.objects.get()
    assert (ticket.subject, ticket.requester.email) == ("Export fails", "kim@example.com")  # type: ignore[union-attr]
    assert Mail.objects.get().cc == ["lou@example.com"]
    assert Message.objects.get().message_id == "kim-1@mail.example.com"


def test_a_mail_by_mailgun_is_a_ticket(client: Client) -> None:
    assert post(client, "/webhooks/mail/mailgun/inbound/", of_mailgun(), kind=None) == 200
    assert Ticket.objects.get().requester.email == "kim@example.com"  # type: ignore[union-attr]


def test_a_mail_by_sendgrid_is_a_ticket(client: Client) -> None:
    assert post(client, SENDGRID, of_sendgrid(), kind=None) == 200
    assert Ticket.objects.get().messages.get().text == "The CSV export stops."


def test_a_mail_belongs_to_the_source_whose_address_it_was_sent_to(client: Client) -> None:
    source = Source.objects.create(kind="email", name="Acme")
    Mailbox.objects.create(source=source, address=DESK, host="mx", username=DESK)
    post(client, POSTMARK, json.dumps(of_postmark()))
    assert Ticket.objects.get().source == source


def test_a_source_whose_address_only_ends_like_it_is_another(client: Client) -> None:
    Source.objects.create(kind="email", name="Other", sender=f"Other <other-{DESK}>")
    source = Source.objects.create(kind="email", name="Acme", sender=f"Acme <{DESK.upper()}>")
    post(client, POSTMARK, json.dumps(of_postmark()))
    assert Ticket.objects.get().source == source


def test_what_was_read_by_imap_already_is_not_stored_again(client: Client) -> None:
    from tests.mails import taken

    source = Source.objects.create(kind="email", name="Acme")
    mail = written()
    taken(mail, source=source)
    assert post(client, MAILGUN, of_mailgun(**{"body-mime": octets(mail).decode()}), kind=None) == 200
    assert Ticket.objects.count() == 1


@pytest.mark.parametrize("secret", ["", "desk:wrong", "desk", "other:a long secret"])
@pytest.mark.parametrize("address", [MAILGUN, POSTMARK, SENDGRID])
def test_nothing_is_taken_without_the_secret(client: Client, address: str, secret: str) -> None:
    data: Any = json.dumps(of_postmark()) if address == POSTMARK else of_mailgun() | of_sendgrid()
    kind = "application/json" if address == POSTMARK else None
    assert post(client, address, data, secret=secret, kind=kind) == 400
    assert Ticket.objects.count() == 0


@pytest.mark.parametrize("changes", [{"signature": "0" * 64}, {"timestamp": "1"}, {"token": "b" * 50}])
def test_nothing_is_taken_whose_signature_is_wrong(client: Client, changes: dict[str, str]) -> None:
    assert post(client, MAILGUN, of_mailgun(**changes), kind=None) == 400
    assert Ticket.objects.count() == 0


def test_a_service_without_its_key_is_not_set_up(client: Client, settings: LazySettings) -> None:
    settings.ANYMAIL = {"WEBHOOK_SECRET": [SECRET]}
    webhooks._view.cache_clear()
    assert post(client, MAILGUN, of_mailgun(), kind=None) == 404
    assert Ticket.objects.count() == 0


@pytest.mark.parametrize("address", [MAILGUN, POSTMARK, SENDGRID, "/webhooks/mail/nobody/inbound/"])
def test_without_a_secret_of_the_desk_there_is_no_door(client: Client, settings: LazySettings, address: str) -> None:
    settings.ANYMAIL = {"WEBHOOK_SECRET": []}
    webhooks._view.cache_clear()
    assert post(client, address, json.dumps(of_postmark()), secret="") == 404


@pytest.mark.parametrize("body", ["", "[]", "{}", "null", '{"From": 7}', "\x00", '{"Headers": "x"}'])
def test_what_is_no_mail_is_refused_and_breaks_nothing(client: Client, body: str) -> None:
    assert post(client, POSTMARK, body) == 400
    assert Ticket.objects.count() == 0


def test_a_mail_with_a_large_attachment_is_taken(client: Client) -> None:
    content = base64.b64encode(b"x" * 4_000_000).decode()
    attachment = {"Name": "log.txt", "Content": content, "ContentType": "text/plain", "ContentLength": 4_000_000}
    assert post(client, POSTMARK, json.dumps(of_postmark(Attachments=[attachment]))) == 200
    assert Mail.objects.get().size > 4_000_000


def _break(*_: Any, **__: Any) -> None:
    raise KeyError("the database is away")


def test_an_error_while_storing_has_the_service_try_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "take_in", _break)
    assert post(client, POSTMARK, json.dumps(of_postmark())) == 500


def test_a_service_that_looks_whether_anybody_is_there_finds_somebody(client: Client) -> None:
    assert client.head(POSTMARK).status_code == 200
    assert client.get(POSTMARK).status_code == 405


def test_a_service_reports_a_mail_that_came_back(client: Client, delivered: Delivery) -> None:
    event = {
        "RecordType": "Bounce", "MessageID": delivered.message.message_id, "Type": "HardBounce", "TypeCode": 1,
        "ID": 42, "Email": "kim@example.com", "BouncedAt": "2026-11-02T09:00:00Z", "Details": "550 no such user",
        "Description": "The server was unable to deliver your message",
    }  # fmt: skip
    assert post(client, "/webhooks/email/postmark/tracking/", json.dumps(event)) == 200
    delivered.refresh_from_db()
    assert (delivered.state, "550 no such user" in delivered.error) == ("failed", True)


@pytest.fixture
def delivered(reviewed: Ticket, agent: Any) -> Delivery:
    from django.utils import timezone

    from tests.tickets.channels.test_email import approve

    delivery = approve(reviewed, agent)
    Message.objects.filter(pk=delivery.message_id).update(message_id="ticket-1.x@localhost")
    Delivery.objects.update(state="sent", sent_at=timezone.now())
    return Delivery.objects.select_related("message").get()
