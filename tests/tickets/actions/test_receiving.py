"""What becomes of a mail: a ticket, an answer in its thread, a note, or a record that it was not taken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.files.storage import FileSystemStorage
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from tests.mails import DESK, octets, taken, written
from tests.tickets.actions.test_attaching import PNG, full_disk
from tests.tickets.conftest import last_seen
from tickets.actions import replies, seeding
from tickets.actions.errors import Unavailable
from tickets.channels.email import compose, subjects
from tickets.models import Acknowledgement, Delivery, Link, Mail, Mailbox, Message, Source, Status, Ticket
from triage.models import User

Come = Callable[..., Mail]


@pytest.fixture
def source(taxonomy: None) -> Source:
    source = Source.objects.create(kind="email", name="Support mail", sender=f"Support <{DESK}>")
    Mailbox.objects.create(source=source, address=DESK, host="127.0.0.1", port=1, username=DESK)
    return source


@pytest.fixture
def come(source: Source) -> Come:
    """A mail comes in; given as `written()` takes it."""

    def arrive(*given: Any, raw: bytes = b"", **named: Any) -> Mail:
        row: Mail = taken(raw or written(*given, **named), source=Source.objects.get(pk=source.pk))
        return row

    return arrive


def approve(ticket: Ticket, by: User, text: str = "Please update to 6.3.") -> Delivery:
    last = ticket.messages.filter(kind="outbound").last()
    return replies.approve(
        ticket=ticket, text=text, version=0, answers=last_seen(ticket), replied=last.pk if last else 0, by=by,
        keep_open=True, accept_flags=True,
    )  # fmt: skip


def sent(delivery: Delivery) -> Any:
    """The mail of a reply, as it leaves."""
    row = Delivery.objects.select_related("message", "ticket__source", "ticket__requester").get(pk=delivery.pk)
    return compose.message_for(row).message()


def ticket_of(row: Mail) -> Ticket:
    assert row.ticket is not None
    return row.ticket


# A ticket


def test_a_mail_opens_a_ticket_of_its_sender(come: Come) -> None:
    row = come("The CSV export stops half way.\n\n-- \nKim Sample\nExample Ltd")
    ticket = ticket_of(row)
    assert (ticket.subject, ticket.requester.email, ticket.requester.name) == (  # type: ignore[union-attr]
        "Export fails", "kim@example.com", "Kim Sample",
    )  # fmt: skip
    message = ticket.messages.get()
    assert message.text == "The CSV export stops half way."
    assert message.message_id == row.identity
    assert "Example Ltd" in row.text  # the whole is kept


def test_the_same_mail_read_twice_is_one_message(source: Source) -> None:
    mail = written()
    first, second = taken(mail, source=source), taken(mail, source=source)
    assert first.pk == second.pk
    assert Message.objects.count() == 1


def test_the_same_mail_by_two_mailboxes_is_one_message(source: Source) -> None:
    other = Source.objects.create(kind="email", name="Sales mail")
    mail = written(to=f"{DESK}, sales@desk.example")
    assert taken(mail, source=source).pk == taken(mail, source=other).pk
    assert Ticket.objects.count() == 1


def test_the_database_itself_holds_each_mail_once(come: Come) -> None:
    row = come()
    row.pk, row.message = 0, None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_a_mail_whose_ticket_cannot_be_stored_leaves_nothing_behind(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickets.actions.receiving._keep_files", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        taken(written(), source=source)
    assert (Mail.objects.count(), Ticket.objects.count()) == (0, 0)


def test_a_mail_whose_file_finds_no_room_is_taken_another_time(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = written()
    mail.add_attachment(PNG, maintype="image", subtype="png", filename="screen.png")
    monkeypatch.setattr(FileSystemStorage, "_save", full_disk)
    with pytest.raises(Unavailable):
        taken(mail, source=source)
    assert (Mail.objects.count(), Ticket.objects.count()) == (0, 0)


@pytest.mark.parametrize("text", ["", "\n\n  \n", "\u200b\u00ad"])
def test_a_mail_that_says_nothing_is_a_ticket_all_the_same(come: Come, text: str) -> None:
    ticket = ticket_of(come(text, subject=""))
    assert (ticket.subject, ticket.messages.get().text) == ("(No subject)", "(This mail holds no text.)")


def test_a_mail_without_a_sender_is_a_ticket_of_nobody(come: Come) -> None:
    row = come(raw=b"Subject: Hello\r\n\r\nIs anybody there?")
    assert ticket_of(row).requester is None


def test_an_answer_goes_where_the_mail_asks_for_it(come: Come) -> None:
    row = come(sender="Web form <noreply@shop.example>", Reply_To="Kim <kim@example.com>")
    assert ticket_of(row).requester.email == "kim@example.com"  # type: ignore[union-attr]


def test_a_list_that_has_answers_sent_to_itself_is_not_whom_the_desk_answers(come: Come) -> None:
    row = come(List_Id="<dev.example.com>", Reply_To="dev@lists.example.com")
    assert ticket_of(row).requester.email == "kim@example.com"  # type: ignore[union-attr]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_read_the_same_mail_at_once_one_stores_it(source: Source) -> None:
    mail, found = written(), set[int]()

    def read() -> None:
        try:
            found.add(taken(mail, source=source).pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 1
    assert (Ticket.objects.count(), Message.objects.count()) == (1, 1)


# The thread


def test_an_answer_to_our_mail_is_added_to_its_ticket_without_what_it_quotes(come: Come, agent: User) -> None:
    ticket = ticket_of(come())
    mail = sent(approve(ticket, agent))
    row = come(
        "Still broken.\n\nOn Mon, 2 Nov 2026 at 10:00, Support <support@desk.example> wrote:\n> Please update to 6.3.",
        subject="Re: something else", answers=mail["Message-ID"],
    )  # fmt: skip
    assert (row.outcome, row.ticket_id) == ("added", ticket.pk)
    assert row.message is not None and row.message.text == "Still broken."
    assert "> Please update" in row.text
    ticket.refresh_from_db()
    assert ticket.status == Status.NEW


def test_the_signed_mark_in_the_subject_leads_home_where_a_program_lost_the_headers(come: Come, agent: User) -> None:
    ticket = ticket_of(come())
    subject = sent(approve(ticket, agent))["Subject"]
    assert subject == f"Re: Export fails {subjects.mark_of(ticket.number)}"
    assert come(subject=f"AW: {subject}").ticket_id == ticket.pk


def test_the_mark_is_known_after_a_change_of_keys(settings: LazySettings, come: Come) -> None:
    ticket = ticket_of(come())
    mark = subjects.mark_of(ticket.number)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key altogether, and long"
    assert come(subject=f"Re: Export fails {mark}").ticket_id == ticket.pk
    settings.SECRET_KEY_FALLBACKS = []
    assert come(subject=f"Re: Export fails {mark}").ticket_id != ticket.pk


@pytest.mark.parametrize("mark", ["[#{}]", "[#{}-AAAAAAAAAAAA]", "[#{}-]", "#{}"])
def test_a_mark_that_is_not_ours_opens_a_ticket_that_knows_of_no_other(come: Come, mark: str) -> None:
    ticket = ticket_of(come())
    row = come(subject=f"Re: Export fails {mark.format(ticket.number)}")
    assert (row.outcome, Link.objects.count()) == ("opened", 0)
    assert row.ticket_id != ticket.pk


@pytest.mark.parametrize("by", ["mark", "identity"])
def test_somebody_else_who_has_the_mail_opens_a_ticket_beside_it_and_reads_nothing(
    come: Come, agent: User, by: str
) -> None:
    ticket = ticket_of(come())
    mail = sent(approve(ticket, agent))
    given = {"subject": mail["Subject"]} if by == "mark" else {"answers": mail["Message-ID"]}
    row = come("Pay it to my account instead.", sender="eve@evil.example", **given)
    assert (row.outcome, ticket_of(row).requester.email) == ("opened", "eve@evil.example")  # type: ignore[union-attr]
    assert row.ticket_id != ticket.pk
    assert Link.objects.filter(one=ticket, other=row.ticket).exists()
    assert any(f"#{ticket.pk}" in note and "no part" in note for note in row.notes)
    reply = sent(approve(ticket_of(row), agent, "Who are you?"))
    assert f"[#{ticket.pk}-" not in reply["Subject"]
    assert "The CSV export" not in reply.as_string()


def test_who_had_a_copy_may_answer_in_the_thread_and_is_shown_as_who_they_are(come: Come, agent: User) -> None:
    ticket = ticket_of(come(Cc="Lou Example <lou@example.com>"))
    mail = sent(approve(ticket, agent))
    assert mail["Cc"] == "lou@example.com"
    row = come("It fails for me too.", sender="Lou Example <lou@example.com>", answers=mail["Message-ID"])
    assert row.ticket_id == ticket.pk
    assert row.message is not None and row.message.author_label == "Lou Example"
    ticket.refresh_from_db()
    again = sent(approve(ticket, agent, "Thank you both."))
    assert (again["To"], again["Cc"]) == ("kim@example.com", "lou@example.com")


def test_the_desks_own_addresses_are_never_among_those_who_get_copies(come: Come, agent: User) -> None:
    ticket = ticket_of(come(to=f"{DESK}, Max <max@example.com>", Cc=DESK))
    assert sent(approve(ticket, agent))["Cc"] == "max@example.com"


def test_an_address_that_nobody_reads_gets_no_copies(come: Come, agent: User) -> None:
    row = come(to=f"{DESK}, noreply@github.com", Cc="lee@example.com, 5+kim@users.noreply.github.com")
    assert approve(ticket_of(row), agent).cc == ["lee@example.com"]


def test_a_sender_whom_the_mail_server_refutes_joins_no_thread(come: Come, agent: User) -> None:
    Mailbox.objects.update(verifier="mx.desk.example")
    ticket = ticket_of(come())
    mail = sent(approve(ticket, agent))
    verdict = "mx.desk.example; spf=fail; dmarc=fail header.from=example.com"
    row = come("Send the money.", answers=mail["Message-ID"], Authentication_Results=verdict)
    assert row.ticket_id != ticket.pk
    assert any("verified" in note for note in row.notes)
    fine = come("It is me.", answers=mail["Message-ID"], Authentication_Results="mx.desk.example; dmarc=pass")
    assert fine.ticket_id == ticket.pk


def test_a_sender_whom_the_mail_server_refutes_passes_nothing_on_as_a_colleague(come: Come, agent: User) -> None:
    Mailbox.objects.update(verifier="mx.desk.example")
    text = "Pay this.\n\n---------- Forwarded message ---------\nFrom: Mallory <mallory@evil.example>\n"
    text += "Date: Mon, 2 Nov\nSubject: Invoice\nTo: Ada\n\nPlease pay."
    verdict = "mx.desk.example; dmarc=fail header.from=example.org"
    ticket = ticket_of(come(text, sender=f"Ada <{agent.email}>", Authentication_Results=verdict))
    assert not Message.objects.filter(author=agent).exists()
    assert ticket.requester is not None and ticket.requester.email == agent.email
    assert ticket.messages.get().text.startswith("Pay this.")


def test_what_a_sender_writes_of_itself_as_a_verdict_counts_for_nothing(come: Come) -> None:
    Mailbox.objects.update(verifier="mx.desk.example")
    raw = b"Authentication-Results: mx.desk.example; dmarc=fail\r\n" + octets(
        written(Authentication_Results="mx.desk.example; dmarc=pass")
    )
    from tickets.actions.mail_thread import is_refuted
    from tickets.channels.email import reading

    assert is_refuted(reading.read(raw), Mailbox.objects.get())


def test_an_answer_to_a_ticket_that_was_deleted_opens_another(come: Come, agent: User, lead: User) -> None:
    from tickets.actions import deleting

    ticket = ticket_of(come())
    mail = sent(approve(ticket, agent))
    Delivery.objects.update(state="sent", sent_at=timezone.now())
    deleting.delete(ticket=ticket, by=lead)
    row = come(answers=mail["Message-ID"])
    assert (row.outcome, row.ticket_id != ticket.pk) == ("opened", True)


# Passed on by a colleague

FORWARDED = (
    "Can you take this?\n\n---------- Forwarded message ---------\nFrom: Lou Example <lou@example.com>\n"
    "Date: Fri, 3 Jan 2025\nSubject: No invoice\nTo: <ada@example.org>\n\nWhere is my invoice?"
)


def test_a_mail_that_a_colleague_passes_on_is_a_ticket_of_its_first_sender(come: Come, agent: User) -> None:
    row = come(FORWARDED, sender=agent.email, subject="Fwd: No invoice")
    ticket = ticket_of(row)
    assert (ticket.requester.email, ticket.subject) == ("lou@example.com", "No invoice")  # type: ignore[union-attr]
    question, comment = ticket.messages.order_by("pk")
    assert question.text == "Where is my invoice?"
    assert (comment.kind, comment.text, comment.author) == ("comment", "Can you take this?", agent)


def test_a_mail_passed_on_as_a_file_is_a_ticket_of_its_first_sender(come: Come, agent: User) -> None:
    mail = written("Please help.", sender=agent.email, subject="Fwd: No invoice")
    mail.add_attachment(written("Where is it?", sender="Lou <lou@example.com>", subject="No invoice"))
    ticket = ticket_of(come(raw=octets(mail)))
    assert (ticket.requester.email, ticket.subject) == ("lou@example.com", "No invoice")  # type: ignore[union-attr]


def test_what_a_customer_passes_on_is_the_customers_own_request(come: Come, agent: User) -> None:
    ticket = ticket_of(come(FORWARDED, subject="Fwd: No invoice"))
    assert ticket.requester.email == "kim@example.com"  # type: ignore[union-attr]
    assert "Where is my invoice?" in ticket.messages.get().text


# Programs, mail servers, ourselves


def test_an_automatic_answer_is_noted_and_nobody_has_to_do_anything(come: Come, agent: User) -> None:
    ticket = ticket_of(come())
    mail = sent(approve(ticket, agent))
    before = Ticket.objects.values("status", "triage_state", "attempts").get(pk=ticket.pk)
    row = come(
        "I am away until Monday.", subject="Automatic reply: Re: Export fails", answers=mail["Message-ID"],
        Auto_Submitted="auto-replied",
    )  # fmt: skip
    assert (row.outcome, row.message.kind) == ("noted", "system")  # type: ignore[union-attr]
    assert "away until Monday" in row.message.text  # type: ignore[union-attr]
    assert Ticket.objects.values("status", "triage_state", "attempts").get(pk=ticket.pk) == before


def test_an_automatic_answer_to_nothing_of_ours_is_not_taken_but_recorded(come: Come) -> None:
    row = come(Auto_Submitted="auto-replied")
    assert (row.outcome, Ticket.objects.count(), len(row.notes)) == ("skipped", 0, 1)


@pytest.mark.parametrize("headers", [{"Auto_Submitted": "auto-generated"}, {"List_Id": "<x.example>"}])
def test_what_programs_and_lists_send_is_a_ticket_without_a_receipt(
    come: Come, source: Source, headers: dict[str, str]
) -> None:
    Source.objects.update(receipts=True)
    source.refresh_from_db()
    assert come(**headers).outcome == "opened"
    assert Acknowledgement.objects.count() == 0


@pytest.mark.parametrize("sender", [DESK, "Support <SUPPORT@desk.example>"])
def test_mail_from_the_desks_own_address_is_not_taken(come: Come, sender: str) -> None:
    row = come(sender=sender)
    assert (row.outcome, Ticket.objects.count()) == ("skipped", 0)


def test_the_seeded_sources_know_no_mailbox(taxonomy: None) -> None:
    seeding.plant_taxonomy()
    assert Mailbox.objects.count() == 0
