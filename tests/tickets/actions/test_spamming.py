"""Spam: held out of the desk, let in again; senders blocked; floods held back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from tests.tickets.conftest import MakeTicket, last_seen
from tests.tickets.ruling import TAG, fire_all, make_rule
from tickets.actions import blocking, bulk, intake, learning, replies, review, spamming, triage
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.channels.base import Inbound
from tickets.context import gather, inquiry_of
from tickets.models import (
    Acknowledgement,
    Block,
    Example,
    GithubAccount,
    Lane,
    Message,
    Notification,
    RuleCause,
    Source,
    SpamMark,
    Ticket,
)
from tickets.models.history import changes_of
from tickets.repeats import _decided
from triage.correlation import acting
from triage.models import User

Why = SpamMark.Why


def held(ticket: Ticket) -> Ticket:
    return Ticket.everything.get(pk=ticket.pk)


def send(source: Source, email: str = "kim@example.com", **given: Any) -> Ticket:
    return intake.receive(Inbound(title="Win", text="A prize.", requester_email=email, **given), source=source).ticket


def test_what_is_marked_is_nowhere_at_the_desk_and_comes_back_as_it_was(reviewed: Ticket, agent: User) -> None:
    before = (reviewed.status, reviewed.triage_state, reviewed.team)
    spamming.mark(ticket=reviewed, by=agent)
    assert not Ticket.objects.filter(pk=reviewed.pk).exists()
    assert (held(reviewed).spam, held(reviewed).spam_mark.by) == (True, agent)
    spamming.unmark(ticket=reviewed, by=agent)
    back = Ticket.objects.get(pk=reviewed.pk)
    assert (back.status, back.triage_state, back.team) == before
    assert not SpamMark.objects.exists()


def test_history_says_who_marked_it_and_who_let_it_in(reviewed: Ticket, agent: User, lead: User) -> None:
    for deed, by in ((spamming.mark, agent), (spamming.unmark, lead)):
        with acting(f"user:{by.pk}"):
            deed(ticket=reviewed, by=by)
    said = [(one.field, one.before, one.after, one.actor_label) for one in changes_of(reviewed)[:2]]
    assert said == [("spam", True, False, lead.label), ("spam", False, True, agent.label)]


def test_what_is_held_is_not_claimed_for_reading_and_is_read_once_it_is_let_in(
    make_ticket: MakeTicket, agent: User
) -> None:
    ticket = make_ticket()
    spamming.mark(ticket=ticket, by=agent)
    assert triage.claim(5, [Lane.INTERACTIVE]) == []
    spamming.unmark(ticket=ticket, by=agent)
    assert [one.pk for one in triage.claim(5, [Lane.INTERACTIVE])] == [ticket.pk]


def test_a_reading_under_way_writes_nothing_to_what_was_marked_meanwhile(make_ticket: MakeTicket, agent: User) -> None:
    ticket = make_ticket()
    claimed = triage.claim(1, [Lane.INTERACTIVE])[0]
    spamming.mark(ticket=ticket, by=agent)
    triage.fail(claimed, "It broke")
    assert (held(ticket).error, held(ticket).triage_state) == ("", "processing")
    spamming.unmark(ticket=ticket, by=agent)
    assert held(ticket).triage_state == "submitted"


def test_spam_teaches_nothing_until_it_is_let_in(reviewed: Ticket, make_ticket: MakeTicket, agent: User) -> None:
    review.correct(ticket=reviewed, changes={"priority": "P1"}, by=agent)
    Ticket.objects.filter(pk=reviewed.pk).update(text_hash="same")
    since, other = timezone.now() - timedelta(days=1), make_ticket("Another")

    def decided() -> set[str]:
        context = gather(inquiry_of(other, list(other.messages.all())), None, ticket=other)
        return set(_decided("same", other, since, context))

    assert decided() == {"priority"}
    spamming.mark(ticket=reviewed, by=agent)
    assert not Example.objects.exists()
    assert decided() == set()
    spamming.unmark(ticket=reviewed, by=agent)
    assert Example.objects.get().labels == {"priority": "P1"}
    assert learning.labels_of(held(reviewed)) == {"priority": "P1"}


def test_a_blocked_senders_next_ticket_is_stored_and_held_without_receipt_or_word(
    make_ticket: MakeTicket, form: Source, agent: User, lead: User
) -> None:
    form.receipts = True
    form.save()
    spamming.mark(ticket=make_ticket(), by=agent, block="sender")
    Acknowledgement.objects.all().delete()
    ticket = send(form, "Kim@Example.com")
    assert held(ticket).spam_mark.why == Why.BLOCKED
    assert held(ticket).messages.get().text == "A prize."
    assert triage.claim(5, [Lane.INTERACTIVE]) == []
    assert not Acknowledgement.objects.exists()
    assert not Notification.objects.exists()
    assert not Ticket.objects.exists()
    assert send(form, "lou@example.com").spam is False


def test_a_receipt_that_waits_is_not_sent_for_spam(make_ticket: MakeTicket, form: Source, agent: User) -> None:
    form.receipts = True
    form.save()
    ticket = send(form)
    assert Acknowledgement.objects.get().ticket == ticket
    spamming.mark(ticket=ticket, by=agent)
    assert not Acknowledgement.objects.exists()


def test_a_domain_is_blocked_with_all_below_it_by_leads_alone(
    make_ticket: MakeTicket, form: Source, agent: User, lead: User
) -> None:
    ticket = make_ticket(requester_email="a@spam.example")
    with pytest.raises(Forbidden):
        spamming.mark(ticket=ticket, by=agent, block="domain")
    assert not held(ticket).spam
    spamming.mark(ticket=ticket, by=lead, block="domain")
    assert [send(form, email).spam for email in ("b@spam.example", "c@mail.spam.example")] == [True, True]
    assert [send(form, email).spam for email in ("b@notspam.example", "b@spam.example.net")] == [False, False]


def test_who_is_let_in_again_is_let_in_and_the_block_stays_on_record(
    make_ticket: MakeTicket, form: Source, agent: User
) -> None:
    ticket = make_ticket()
    spamming.mark(ticket=ticket, by=agent, block="sender")
    waiting = send(form)
    spamming.unmark(ticket=ticket, by=agent, unblock=True)
    assert send(form).spam is False
    assert held(waiting).spam  # somebody looks at each
    block = Block.objects.get()
    assert (block.what, block.by, block.lifted_by, block.ticket) == ("kim@example.com", agent, agent, ticket)
    with pytest.raises(Conflict):
        blocking.lift(block=block, by=agent)


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("gmail.com", "everybodys"),
        ("nonsense", "not_a_sender"),
        ("a b@example.com", "not_a_sender"),
        ("", "not_a_sender"),
        ("ada@example.org", "own"),
        ("example.org", "own"),
    ],
)
def test_it_refuses_to_block_who_works_here_and_where_everybody_has_a_mailbox(
    agent: User, lead: User, what: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        blocking.block(what=what, by=lead)
    assert refused.value.code == code
    assert not Block.objects.exists()
    assert blocking.block(what="@Spam.Example ", by=lead) == blocking.block(what="spam.example", by=lead)


@pytest.mark.parametrize("what", ["users.noreply.github.com", "github.com"])
def test_a_domain_where_all_who_write_on_github_have_their_addresses_is_not_blocked(lead: User, what: str) -> None:
    blocking.block(what="github.com", by=lead)  # no issues are taken from there
    Block.objects.all().delete()
    GithubAccount.objects.create(name="public", way="public", base_url="https://api.github.com")
    with pytest.raises(Invalid) as refused:
        blocking.block(what=what, by=lead)
    assert refused.value.code == "everybodys"
    assert blocking.block(what="5+kim@users.noreply.github.com", by=lead).what == "5+kim@users.noreply.github.com"


def test_the_desks_own_domains_are_those_below_what_is_blocked_and_no_others(agent: User, lead: User) -> None:
    User.objects.filter(pk=agent.pk).update(email="ada@mail.house.example")
    with pytest.raises(Invalid):
        blocking.block(what="house.example", by=lead)
    Source.objects.update(sender="Support <support@ourshop.example>")
    with pytest.raises(Invalid):
        blocking.block(what="ourshop.example", by=lead)
    assert blocking.block(what="shop.example", by=lead).what == "shop.example"


def test_a_ticket_with_a_reply_on_its_way_is_not_marked(reviewed: Ticket, agent: User) -> None:
    replies.approve(ticket=reviewed, text="Hello.", version=1, answers=last_seen(reviewed), by=agent, undo_seconds=60)
    with pytest.raises(Conflict, match="on its way"):
        spamming.mark(ticket=reviewed, by=agent)


def test_an_auditor_marks_nothing(reviewed: Ticket, auditor: User) -> None:
    for deed in (spamming.mark, spamming.unmark):
        with pytest.raises(Forbidden):
            deed(ticket=reviewed, by=auditor)


def test_what_is_added_to_spam_is_kept_and_nothing_is_done_about_it(reviewed: Ticket, agent: User) -> None:
    reviewed.assignee = agent
    reviewed.save()
    spamming.mark(ticket=reviewed, by=agent)
    intake.add_customer_message(ticket=held(reviewed), text="Hello?")
    assert held(reviewed).messages.last().text == "Hello?"  # type: ignore[union-attr]
    assert (held(reviewed).spam, held(reviewed).triage_state) == (True, "triaged")
    assert not Notification.objects.exists()


def test_what_a_blocked_sender_adds_to_their_own_ticket_makes_it_spam(reviewed: Ticket, agent: User) -> None:
    blocking.block(what="kim@example.com", by=agent)
    message = intake.add_customer_message(ticket=reviewed, text="A prize.")
    assert (held(reviewed).spam, message.text, held(reviewed).triage_state) == (True, "A prize.", "triaged")


def test_what_a_blocked_sender_adds_to_anothers_ticket_is_a_note_that_nothing_reads(
    reviewed: Ticket, make_ticket: MakeTicket, agent: User, lead: User
) -> None:
    blocking.block(what="win@prizes.example", by=lead)
    stranger = intake.requester_of("win@prizes.example", "Win")
    before = (reviewed.status, reviewed.triage_state, reviewed.draft.stale)
    note = intake.add_customer_message(ticket=reviewed, text="A prize.", requester=stranger)
    reviewed.refresh_from_db()
    assert note.kind == Message.Kind.SYSTEM and note.author_label == "Win"
    assert (reviewed.status, reviewed.triage_state, reviewed.draft.stale) == before
    read = inquiry_of(reviewed, list(Message.objects.with_customer(reviewed)))
    assert "prize" not in read.text and last_seen(reviewed) != note.pk


def test_a_flood_is_held_and_leads_are_told_once(form: Source, lead: User, settings: Settings) -> None:
    settings.FLOOD_TICKETS, settings.FLOOD_MINUTES = 3, 10
    found = [send(form).spam for _ in range(7)]
    assert found == [False] * 3 + [True] * 4
    told = Notification.objects.get()
    assert (told.user, told.kind, told.times) == (lead, "flood", 1)
    assert told.ticket in Ticket.objects.all()
    assert send(form, "lou@example.com").spam is False


def test_a_flood_ends_with_its_minutes_and_goes_on_while_it_goes_on(
    form: Source, lead: User, settings: Settings
) -> None:
    settings.FLOOD_TICKETS, settings.FLOOD_MINUTES = 2, 10
    now = timezone.now()
    minutes = (60, 59, 55, 50, 46, 20)  # ago
    found = [send(form, created_at=now - timedelta(minutes=ago)).spam for ago in minutes]
    assert found == [False, False, True, True, True, False]


def test_programs_with_a_key_and_colleagues_flood_nothing(
    form: Source, agent: User, settings: Settings, taxonomy: None
) -> None:
    settings.FLOOD_TICKETS = 1
    api = Source.objects.get(kind="api")
    assert not any(send(api).spam for _ in range(3))
    assert not any(send(form, "ada@example.org").spam for _ in range(3))
    settings.FLOOD_TICKETS = 0
    assert not any(send(form, "x@example.net").spam for _ in range(3))


def test_a_rule_holds_what_it_is_told_to_and_not_what_a_person_let_in(
    make_ticket: MakeTicket, agent: User, lead: User
) -> None:
    prizes = [{"fact": "text", "op": "contains", "values": ["prize"]}]
    rule = make_rule(lead, {"do": "spam"}, TAG, when="created", conditions=prizes)
    ticket = make_ticket("Win", "A prize.")
    fire_all()
    assert (held(ticket).spam, held(ticket).spam_mark.why, held(ticket).tags) == (True, Why.RULE, [])
    assert changes_of(ticket)[0].actor == rule.actor
    spamming.unmark(ticket=ticket, by=agent)
    assert RuleCause.objects.filter(ticket=ticket).exists()
    fire_all()
    assert not held(ticket).spam


def test_many_are_marked_at_once_and_taken_back_as_one(make_ticket: MakeTicket, reviewed: Ticket, agent: User) -> None:
    tickets = [reviewed, make_ticket("A"), make_ticket("B")]
    review.correct(ticket=reviewed, changes={"priority": "P1"}, by=agent)
    chosen = Ticket.objects.filter(pk__in=[one.pk for one in tickets])
    run = bulk.start(kind="spam", given="mark", tickets=chosen, chosen="3 tickets", by=agent)
    assert (run.changed, Ticket.objects.count(), SpamMark.objects.filter(by=agent).count()) == (3, 0, 3)
    assert not Example.objects.exists()
    run = bulk.undo(run=run, by=agent)
    assert (run.undone, Ticket.objects.count(), SpamMark.objects.count(), Example.objects.count()) == (3, 3, 0, 1)


def test_many_are_let_in_at_once(make_ticket: MakeTicket, agent: User) -> None:
    for title in "AB":
        spamming.mark(ticket=make_ticket(title), by=agent)
    run = bulk.start(kind="spam", given="unmark", tickets=Ticket.everything.spam(), chosen="2 tickets", by=agent)
    assert (run.changed, Ticket.objects.count()) == (2, 2)
    assert Message.objects.count() == 2
