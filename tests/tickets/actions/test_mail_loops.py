"""Receipts and reports: said once, to people alone, and never the beginning of a conversation between programs."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from tests.mails import DESK, bounce, octets, taken, written
from tests.tickets.actions.test_receiving import approve, ticket_of
from tests.tickets.conftest import MakeTicket, last_seen
from tickets.actions import acknowledging, deliveries, intake, mailboxes, mailings, notifying, outgoing, replies
from tickets.actions.deliveries import Claimed
from tickets.channels.base import Inbound
from tickets.models import (
    Acknowledgement,
    Delivery,
    DeliveryAttempt,
    Lane,
    Mail,
    Mailbox,
    Mailing,
    Notification,
    NotificationChoice,
    Source,
    Ticket,
)
from triage.models import User

Come = Callable[..., Mail]


@pytest.fixture
def folder(settings: LazySettings, tmp_path: Path) -> Path:
    settings.EMAIL_BACKEND = "tickets.channels.email.files.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    return tmp_path / "mail"


@pytest.fixture
def source(taxonomy: None, folder: Path) -> Source:
    source = Source.objects.create(kind="email", name="Support mail", sender=f"Support <{DESK}>", receipts=True)
    Mailbox.objects.create(source=source, address=DESK, host="127.0.0.1", port=1, username=DESK)
    return source


@pytest.fixture
def come(source: Source) -> Come:
    return lambda *given, raw=b"", **named: taken(raw or written(*given, **named), source=source)


def sent(folder: Path) -> list[EmailMessage]:
    """What has left, oldest first, after the worker has sent what waits."""
    for claimed in acknowledging.claim(100):
        acknowledging.send(claimed)
    for delivery in deliveries.claim(100):
        deliveries.deliver(delivery)
    files = sorted(folder.glob("*.eml")) if folder.exists() else []
    return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in files]


# Receipts


def test_who_writes_is_told_the_number_and_where_to_follow_it(
    come: Come, source: Source, folder: Path, client: Client
) -> None:
    source.receipt_text, source.signature = "Hello. We have it as {number}.\n\nBye & thanks.", "Acme"
    source.save()
    row = come()
    (mail,) = sent(folder)
    ticket = ticket_of(row)
    assert (mail["To"], mail["From"], mail["In-Reply-To"]) == (
        "kim@example.com",
        f"Support <{DESK}>",
        f"<{row.identity}>",
    )
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert text.startswith(f"Hello. We have it as {ticket.number}.\n\nBye & thanks.")
    assert ticket.get_status_url() in text and "Bye &amp; thanks." in html
    assert client.get(ticket.get_status_url()).status_code == 200
    assert "CSV export" not in text + html
    assert Acknowledgement.objects.get().state == "sent"


def test_the_first_reply_to_a_form_stands_in_the_thread_of_its_receipt(
    form: Source, make_ticket: MakeTicket, agent: User, folder: Path
) -> None:
    form.receipts = True
    form.save()
    ticket = make_ticket()
    (receipt,) = sent(folder)
    replies.approve(ticket=ticket, text="Done.", version=0, answers=last_seen(ticket), by=agent, keep_open=True)
    Delivery.objects.update(not_before=timezone.now())
    reply = next(mail for mail in sent(folder) if "Done." in str(mail.get_body(("plain",))))
    assert reply["In-Reply-To"] == reply["References"] == receipt["Message-ID"]


def test_a_receipt_says_what_it_is_so_that_no_program_answers_it(come: Come, folder: Path) -> None:
    come()
    (mail,) = sent(folder)
    assert (mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"]) == ("auto-replied", "All")


def test_where_a_source_sends_none_there_is_none(come: Come, source: Source, folder: Path) -> None:
    Source.objects.update(receipts=False)
    source.refresh_from_db()
    come()
    assert sent(folder) == []


def test_the_form_sends_receipts_too_where_it_is_switched_on(form: Source, folder: Path) -> None:
    form.receipts = True
    form.save()
    intake.receive(Inbound(title="Help", text="Please", requester_email="kim@example.com"), source=form)
    assert [mail["To"] for mail in sent(folder)] == ["kim@example.com"]


def test_what_is_imported_gets_none(source: Source, folder: Path) -> None:
    inbound = Inbound(title="Old", text="Old", requester_email="kim@example.com", lane=Lane.IMPORTED)
    intake.receive(inbound, source=source)
    assert sent(folder) == []


def test_an_address_that_nobody_reads_gets_none(come: Come, folder: Path) -> None:
    come(sender="GitHub <noreply@github.com>")
    come(sender="Kim <5+kim@users.noreply.github.com>")
    assert sent(folder) == [] and Ticket.objects.count() == 2


def test_an_answer_in_a_thread_gets_none(come: Come, folder: Path) -> None:
    come()
    (receipt,) = sent(folder)
    row = come("One more thing.", answers=receipt["Message-ID"])
    assert row.outcome == "added"
    assert len(sent(folder)) == 1


def test_a_receipt_that_was_being_sent_when_the_worker_died_is_not_sent_again(come: Come, folder: Path) -> None:
    come()
    acknowledging.claim(1)
    Acknowledgement.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert acknowledging.give_up_expired() == 1
    assert Acknowledgement.objects.get().state == "unknown"
    assert sent(folder) == []


def test_a_receipt_that_cannot_leave_yet_is_tried_again_and_then_given_up(come: Come, folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file where the folder should be")
    come()
    for _ in range(outgoing.MOST_ATTEMPTS):
        Acknowledgement.objects.update(not_before=timezone.now())
        for claimed in acknowledging.claim(1):
            acknowledging.send(claimed)
    one = Acknowledgement.objects.get()
    assert (one.state, one.attempts) == ("failed", outgoing.MOST_ATTEMPTS)


def test_who_lost_its_claim_sends_no_second_receipt(come: Come, folder: Path) -> None:
    come()
    (claimed,) = acknowledging.claim(1)
    acknowledging.send(Claimed(claimed.pk, claimed.claim + 1))
    assert not folder.exists()


# Loops


def test_a_program_that_answers_everything_ends_the_talk_at_once(come: Come, folder: Path) -> None:
    """Ten turns are offered; the desk takes part in one."""
    come()
    for turn in range(10):
        mails = sent(folder)
        assert len(mails) == 1, f"turn {turn}"
        come(f"I am away ({turn}).", subject=f"Re: {mails[-1]['Subject']}", answers=mails[-1]["Message-ID"],
             Auto_Submitted="auto-replied")  # fmt: skip
    assert Ticket.objects.count() == 1


def test_a_program_that_does_not_say_what_it_is_and_begins_anew_each_time_is_answered_three_times(
    come: Come, folder: Path
) -> None:
    for turn in range(10):
        come(f"Your mail {turn} was received.", subject=f"Receipt {turn}", sender="robot@example.com")
        sent(folder)
    assert len(sent(folder)) == acknowledging.AN_HOUR
    assert Ticket.objects.count() == 10  # what comes in is kept all the same


def test_a_program_that_answers_with_another_address_each_time_is_answered_once(come: Come, folder: Path) -> None:
    come(sender="robot-0@example.com")
    for turn in range(1, 10):
        last = sent(folder)[-1]
        come("We have your mail.", sender=f"robot-{turn}@example.com", subject=last["Subject"],
             answers=last["Message-ID"])  # fmt: skip
    assert (len(sent(folder)), Ticket.objects.count()) == (1, 10)


def test_somebody_who_was_shown_a_reply_and_answers_it_is_told_that_their_ticket_is_here(
    come: Come, folder: Path, agent: User
) -> None:
    _, ours = delivered(come, folder, agent)
    come("It fails for me, too.", sender="lee@example.com", answers=ours)
    assert sent(folder)[-1]["To"] == "lee@example.com"


def test_a_sender_who_is_another_is_no_reason_to_write_to_whom_it_names(
    come: Come, source: Source, folder: Path
) -> None:
    source.mailbox.verifier = "mx.desk.example"
    come(Authentication_Results="mx.desk.example; dmarc=fail header.from=example.com")
    assert sent(folder) == [] and Ticket.objects.count() == 1


def test_two_desks_that_write_to_each_other_say_one_thing_each(come: Come, source: Source, folder: Path) -> None:
    """The other desk is played by a mail that comes as our own receipt does: marked as an answer of a program."""
    come(sender="Other desk <help@other.example>")
    for _ in range(10):
        ours = sent(folder)[-1]
        come(raw=octets(written(
            "Thank you for writing to us.", sender="Other desk <help@other.example>", subject=ours["Subject"],
            answers=ours["Message-ID"], Auto_Submitted="auto-replied", X_Auto_Response_Suppress="All",
        )))  # fmt: skip
    assert (len(sent(folder)), Ticket.objects.count()) == (1, 1)


def test_mail_that_the_desk_sent_itself_comes_to_an_end(come: Come, folder: Path) -> None:
    come()
    for _ in range(10):
        taken(octets(sent(folder)[-1]), source=Source.objects.get(name="Support mail"))
    assert (len(sent(folder)), Ticket.objects.count()) == (1, 1)


# Reports


def delivered(come: Come, folder: Path, agent: User) -> tuple[Delivery, str]:
    delivery = approve(ticket_of(come()), agent)
    mail = sent(folder)[-1]
    delivery.refresh_from_db()
    assert delivery.state == "sent"
    return delivery, mail["Message-ID"]


@pytest.mark.parametrize(("status", "words"), [("5.1.1", "came back"), ("4.4.1", "sending again may help")])
def test_a_mail_that_came_back_is_a_failed_reply_and_its_writer_is_told(
    come: Come, folder: Path, agent: User, status: str, words: str
) -> None:
    delivery, identity = delivered(come, folder, agent)
    row = come(raw=bounce(identity, status=status))
    delivery.refresh_from_db()
    assert (row.outcome, row.delivery, delivery.state, delivery.sent_at) == ("bounce", delivery, "failed", None)
    assert words in delivery.error and "no such user here" in delivery.error
    assert DeliveryAttempt.objects.filter(delivery=delivery).last().outcome == "returned"  # type: ignore[union-attr]
    assert Notification.objects.get(kind="undelivered").user == agent
    assert Ticket.objects.count() == 1


def test_what_came_back_can_be_sent_again_under_the_same_identity(come: Come, folder: Path, agent: User) -> None:
    delivery, identity = delivered(come, folder, agent)
    come(raw=bounce(identity))
    deliveries.retry(delivery=delivery, by=agent)
    assert [mail["Message-ID"] for mail in sent(folder)[-2:]] == [identity, identity]
    delivery.refresh_from_db()
    assert delivery.state == "sent"


def test_a_mail_that_is_late_is_noted_and_stays_sent(come: Come, folder: Path, agent: User) -> None:
    delivery, identity = delivered(come, folder, agent)
    come(raw=bounce(identity, status="4.4.1", action="delayed"))
    delivery.refresh_from_db()
    assert (delivery.state, "still trying" in delivery.note) == ("sent", True)


def test_a_copy_that_came_back_is_noted_and_the_reply_stays_sent(come: Come, folder: Path, agent: User) -> None:
    delivery = approve(ticket_of(come(Cc="lou@example.com")), agent)
    identity = sent(folder)[-1]["Message-ID"]
    come(raw=bounce(identity, to="lou@example.com"))
    delivery.refresh_from_db()
    assert (delivery.state, "lou@example.com" in delivery.note) == ("sent", True)


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_a_report_of_success_changes_nothing(come: Come, folder: Path, agent: User, action: str) -> None:
    delivery, identity = delivered(come, folder, agent)
    come(raw=bounce(identity, status="2.0.0", action=action))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.note) == ("sent", "")


def test_a_receipt_that_came_back_has_failed(come: Come, folder: Path) -> None:
    come()
    (receipt,) = sent(folder)
    come(raw=bounce(receipt["Message-ID"]))
    assert Acknowledgement.objects.get().state == "failed"
    assert len(sent(folder)) == 1


def test_a_notification_that_came_back_has_failed(come: Come, folder: Path, agent: User, reviewed: Ticket) -> None:
    NotificationChoice.objects.create(user=agent, kind="mention", how="mail")
    notifying.notify(kind="mention", ticket=reviewed, to=[agent])
    for claimed in mailings.claim(1):
        mailings.send(claimed)
    come(raw=bounce(sent(folder)[-1]["Message-ID"]))
    assert Mailing.objects.get().state == "failed"


@pytest.mark.parametrize("identity", ["<ticket-1.00000000-0000-0000-0000-000000000000@desk.example>", "<x@y.example>"])
def test_a_report_of_a_mail_that_is_not_ours_changes_nothing(
    come: Come, folder: Path, agent: User, identity: str
) -> None:
    delivery, _ = delivered(come, folder, agent)
    row = come(raw=bounce(identity))
    delivery.refresh_from_db()
    assert (row.outcome, delivery.state, Ticket.objects.count()) == ("skipped", "sent", 1)


def test_receipts_are_set_by_leads(source: Source, lead: User, agent: User) -> None:
    from tickets.actions.errors import Forbidden

    mailboxes.acknowledge_at(source=source, on=False, text=" Hello \x00", by=lead)
    source.refresh_from_db()
    assert (source.receipts, source.receipt_text) == (False, "Hello")
    with pytest.raises(Forbidden):
        mailboxes.acknowledge_at(source=source, on=True, text="", by=agent)
