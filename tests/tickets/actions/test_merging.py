from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from tests.tickets.conftest import MakeTicket, last_seen
from tickets import similar
from tickets.actions import deleting, drafts, intake, joined, merging, replies, review, snoozing, status, triage
from tickets.actions.errors import Conflict, Forbidden, Invalid, Refused
from tickets.actions.merging import merge, unmerge
from tickets.context import inquiry_of
from tickets.models import Draft, Event, Lane, Merge, Message, Notification, Status, Team, Ticket
from tickets.models.message import MessageQuerySet
from tickets.neighbours import neighbours_of
from triage.models import User

KEPT = ("status", "resolved_at", "snoozed_until", "triage_state", "merged_into_id", "assignee_id", "claim", "error")


@pytest.fixture
def twin(make_ticket: MakeTicket) -> Ticket:
    """The same customer, writing of the same thing again."""
    return make_ticket(title="Export still fails", text="It stops after 1,000 rows.")


@pytest.fixture
def stranger(make_ticket: MakeTicket) -> Ticket:
    """Another customer with the same trouble."""
    return make_ticket(title="CSV is cut", text="My table ends early.", requester_email="ola@example.net")


def _row(ticket: Ticket) -> dict[str, Any]:
    found: dict[str, Any] = Ticket.objects.values(*KEPT).get(pk=ticket.pk)
    return found


def _said(messages: MessageQuerySet) -> list[str]:
    return [message.text for message in messages.order_by("created_at", "pk")]


def test_a_merged_ticket_is_closed_and_part_of_the_others_thread(agent: User, reviewed: Ticket, twin: Ticket) -> None:
    merge(ticket=twin, into=reviewed, by=agent)
    twin.refresh_from_db()
    assert (twin.status, twin.merged_into_id) == ("closed", reviewed.pk)
    assert _said(Message.objects.thread(reviewed)) == ["The CSV export stops half way.", "It stops after 1,000 rows."]
    assert set(Message.objects.thread(reviewed).values_list("ticket", flat=True)) == {reviewed.pk, twin.pk}
    assert Event.objects.filter(pgh_obj_id=twin.pk).latest("pgh_id").merged_into_id == reviewed.pk


@pytest.mark.parametrize("was", ["waiting", "escalated"])
def test_undoing_it_restores_both_exactly(agent: User, lead: User, reviewed: Ticket, twin: Ticket, was: str) -> None:
    later = timezone.now() + timedelta(days=1)
    Ticket.objects.filter(pk=twin.pk).update(snoozed_until=later, assignee=lead, status=was)
    status.change(ticket=reviewed, status=Status.RESOLVED, by=agent)
    before = _row(twin), _row(reviewed)
    merge(ticket=twin, into=reviewed, by=agent)
    assert _row(reviewed)["status"] == "in_review"  # for there is somebody who waits
    assert _row(twin) != before[0]
    unmerge(ticket=twin, by=lead)
    assert _row(twin) == before[0]
    assert {name: value for name, value in _row(reviewed).items() if name != "triage_state"} == {
        name: value for name, value in before[1].items() if name != "triage_state"
    }
    done = Merge.objects.get()
    assert (done.by, done.undone_by) == (agent, lead)
    assert _said(Message.objects.thread(reviewed)) == ["The CSV export stops half way."]


def test_one_that_had_ended_ends_again_when_it_had(agent: User, reviewed: Ticket, twin: Ticket) -> None:
    then = timezone.now() - timedelta(days=3)
    Ticket.objects.filter(pk=twin.pk).update(status="resolved", resolved_at=then)
    before = _row(twin), _row(reviewed)["status"]
    merge(ticket=twin, into=reviewed, by=agent)
    unmerge(ticket=twin, by=agent)
    assert (_row(twin), _row(reviewed)["status"]) == before
    assert before[0]["resolved_at"] == then


def test_what_the_customer_writes_to_the_merged_one_lands_in_the_other(
    agent: User, lead: User, reviewed: Ticket, twin: Ticket
) -> None:
    merge(ticket=twin, into=reviewed, by=agent)
    Ticket.objects.update(triage_state="triaged")
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=lead, status="waiting")
    Draft.objects.update(stale=False)
    message = intake.add_customer_message(ticket=twin, text="Any news?", external_id="form:1")
    assert message.ticket_id == twin.pk
    reviewed.refresh_from_db()
    twin.refresh_from_db()
    assert (reviewed.status, reviewed.triage_state, twin.status) == ("new", "submitted", "closed")
    assert Draft.objects.get(ticket=reviewed).stale
    assert Notification.objects.get().ticket == reviewed
    with pytest.raises(IntegrityError), transaction.atomic():  # the same again is still the same
        intake.add_customer_message(ticket=twin, text="Any news?", external_id="form:1")


def test_a_reply_waits_for_whoever_wrote_to_either(agent: User, reviewed: Ticket, twin: Ticket) -> None:
    seen = last_seen(reviewed)
    merge(ticket=twin, into=reviewed, by=agent)
    with pytest.raises(Conflict, match="wrote again"):
        replies.approve(ticket=reviewed, text="Done.", version=1, answers=seen, by=agent)
    latest = drafts.last_inbound(reviewed)
    assert latest == last_seen(twin)
    delivery = replies.approve(ticket=reviewed, text="Done.", version=1, answers=latest, by=agent)
    assert delivery.recipient == "kim@example.com"


def test_what_came_meanwhile_goes_back_with_it_and_is_read(agent: User, reviewed: Ticket, twin: Ticket) -> None:
    Ticket.objects.filter(pk=twin.pk).update(triage_state="triaged", status="in_review")
    merge(ticket=twin, into=reviewed, by=agent)
    intake.add_customer_message(ticket=twin, text="Any news?")
    unmerge(ticket=twin, by=agent)
    twin.refresh_from_db()
    assert (twin.status, twin.triage_state) == ("new", "submitted")
    assert _said(twin.messages.all()) == ["It stops after 1,000 rows.", "Any news?"]
    assert drafts.last_inbound(reviewed) == last_seen(reviewed)


def test_the_work_of_a_merged_ticket_stops_and_goes_on_afterwards(agent: User, reviewed: Ticket, twin: Ticket) -> None:
    (claimed,) = triage.claim(1, (Lane.INTERACTIVE,))
    assert claimed.pk == twin.pk
    merge(ticket=twin, into=reviewed, by=agent)
    assert [one.pk for one in triage.claim(5, (Lane.INTERACTIVE,))] == [reviewed.pk]
    twin.refresh_from_db()
    assert not twin.is_reading and twin.claim != claimed.claim
    assert triage.submit_again(tickets=Ticket.objects.filter(pk=twin.pk)) == 0
    unmerge(ticket=twin, by=agent)
    assert twin.pk in [one.pk for one in triage.claim(5, (Lane.INTERACTIVE,))]


def test_a_persons_draft_on_it_is_kept(agent: User, reviewed: Ticket, twin: Ticket) -> None:
    drafts.save(ticket=twin, text="Half written", version=0, by=agent)
    merge(ticket=twin, into=reviewed, by=agent)
    assert Draft.objects.get(ticket=twin).text == "Half written"


def test_another_customers_words_are_shown_to_the_desk_but_not_read_into_the_reply(
    agent: User, reviewed: Ticket, twin: Ticket, stranger: Ticket
) -> None:
    merge(ticket=twin, into=reviewed, by=agent)
    merge(ticket=stranger, into=reviewed, by=agent)
    assert "My table ends early." in _said(Message.objects.thread(reviewed))
    told = repr(inquiry_of(reviewed, list(Message.objects.with_customer(reviewed))))
    assert "1,000 rows" in told and "My table" not in told


def test_nothing_is_merged_into_itself_or_round_in_a_circle(agent: User, reviewed: Ticket, twin: Ticket) -> None:
    with pytest.raises(Invalid, match="itself"):
        merge(ticket=twin, into=twin, by=agent)
    merge(ticket=twin, into=reviewed, by=agent)
    with pytest.raises(Invalid, match="merged into this one"):
        merge(ticket=reviewed, into=twin, by=agent)
    with pytest.raises(IntegrityError), transaction.atomic():
        Ticket.objects.filter(pk=twin.pk).update(merged_into=twin.pk)


def test_into_a_merged_one_means_into_its_root_and_each_finds_back(
    agent: User, reviewed: Ticket, twin: Ticket, stranger: Ticket
) -> None:
    merge(ticket=twin, into=reviewed, by=agent)
    merge(ticket=stranger, into=twin, by=agent)
    assert _row(stranger)["merged_into_id"] == reviewed.pk
    unmerge(ticket=twin, by=agent)  # the other one was merged with the root, and stays there
    assert (_row(twin)["merged_into_id"], _row(stranger)["merged_into_id"]) == (None, reviewed.pk)


def test_what_was_merged_before_follows_and_comes_back(
    agent: User, reviewed: Ticket, twin: Ticket, stranger: Ticket
) -> None:
    merge(ticket=stranger, into=twin, by=agent)
    merge(ticket=twin, into=reviewed, by=agent)
    assert _row(stranger)["merged_into_id"] == reviewed.pk
    assert len(_said(Message.objects.thread(reviewed))) == 3
    unmerge(ticket=twin, by=agent)
    assert (_row(twin)["merged_into_id"], _row(stranger)["merged_into_id"]) == (None, twin.pk)
    unmerge(ticket=stranger, by=agent)
    assert _row(stranger)["merged_into_id"] is None


def test_a_merged_ticket_takes_no_steps_of_its_own(agent: User, reviewed: Ticket, twin: Ticket) -> None:
    merge(ticket=twin, into=reviewed, by=agent)
    steps: list[Callable[[], object]] = [
        lambda: status.change(ticket=twin, status=Status.IN_REVIEW, by=agent),
        lambda: review.escalate(ticket=twin, reason="Now", by=agent),
        lambda: snoozing.snooze(ticket=twin, until=timezone.now() + timedelta(hours=1), by=agent),
        lambda: merge(ticket=twin, into=reviewed, by=agent),
        lambda: replies.approve(ticket=twin, text="Hello", version=0, answers=last_seen(twin), by=agent),
    ]
    for step in steps:
        with pytest.raises(Conflict):
            step()
    with pytest.raises(IntegrityError), transaction.atomic():
        Ticket.objects.filter(pk=twin.pk).update(status="in_review", resolved_at=None)


def test_undoing_twice_says_that_it_is_undone(agent: User, reviewed: Ticket, twin: Ticket) -> None:
    merge(ticket=twin, into=reviewed, by=agent)
    unmerge(ticket=twin, by=agent)
    with pytest.raises(Conflict, match="a ticket of its own already"):
        unmerge(ticket=twin, by=agent)


def test_only_who_sees_both_and_may_decide_merges_and_brings_back(
    agent: User, lead: User, auditor: User, reviewed: Ticket, twin: Ticket
) -> None:
    Ticket.objects.filter(pk=twin.pk).update(team=Team.objects.get(key="billing"))
    for person in (agent, auditor):
        with pytest.raises(Forbidden):
            merge(ticket=twin, into=reviewed, by=person)
    merge(ticket=twin, into=reviewed, by=lead)
    for person in (agent, auditor):
        with pytest.raises(Forbidden):
            unmerge(ticket=twin, by=person)
    assert _row(twin)["merged_into_id"] == reviewed.pk


@pytest.mark.usefixtures("exact_search")
def test_a_merged_ticket_is_not_counted_as_a_similar_one(
    agent: User, lead: User, reviewed: Ticket, twin: Ticket, stranger: Ticket
) -> None:
    Ticket.objects.update(embedding=[0.1] * 384)
    stranger.refresh_from_db()
    among = Ticket.objects.visible_to(lead)
    assert {one.ticket.pk for one in similar.similar_to(stranger, among)} == {reviewed.pk, twin.pk}
    merge(ticket=twin, into=reviewed, by=agent)
    assert {one.ticket.pk for one in similar.similar_to(stranger, among)} == {reviewed.pk}
    alike = neighbours_of([0.1] * 384, number=stranger.pk, told=False, alike=5).alike
    assert [one.number for one in alike] == [reviewed.pk]


def test_a_reply_that_was_sent_since_keeps_the_other_one_as_it_is(agent: User, reviewed: Ticket, twin: Ticket) -> None:
    status.change(ticket=reviewed, status=Status.RESOLVED, by=agent)
    merge(ticket=twin, into=reviewed, by=agent)
    latest = drafts.last_inbound(reviewed)
    replies.approve(ticket=reviewed, text="Done.", version=1, answers=latest, by=agent, keep_open=True)
    unmerge(ticket=twin, by=agent)
    assert _row(reviewed)["status"] == "waiting"


def _at_once(*acts: Callable[[], object]) -> list[str]:
    """The codes of what was refused, "" for what was done."""

    def run(act: Callable[[], object]) -> str:
        try:
            act()
        except Refused as why:
            return why.code
        finally:
            connections.close_all()
        return ""

    with ThreadPoolExecutor(len(acts)) as pool:
        return sorted(pool.map(run, acts))


@pytest.mark.django_db(transaction=True)
def test_of_two_who_merge_the_same_ticket_at_once_one_wins_and_the_other_is_told(
    agent: User, lead: User, reviewed: Ticket, twin: Ticket, stranger: Ticket
) -> None:
    refused = _at_once(
        lambda: merge(ticket=twin, into=reviewed, by=agent), lambda: merge(ticket=twin, into=stranger, by=lead)
    )
    assert refused == ["", "merged_already"]
    assert Merge.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(3))
def test_of_two_who_merge_each_into_the_other_at_once_one_wins(
    agent: User, lead: User, reviewed: Ticket, twin: Ticket, _round: int
) -> None:
    refused = _at_once(
        lambda: merge(ticket=twin, into=reviewed, by=agent), lambda: merge(ticket=reviewed, into=twin, by=lead)
    )
    assert refused[0] == "" and refused[1] in ("merged_already", "target_merged", "circle")
    assert Ticket.objects.filter(merged_into__isnull=False).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_customer_who_writes_while_it_is_merged_is_heard_on_one_of_them(
    agent: User, reviewed: Ticket, twin: Ticket
) -> None:
    Ticket.objects.update(triage_state="triaged")
    refused = _at_once(
        lambda: merge(ticket=twin, into=reviewed, by=agent),
        lambda: intake.add_customer_message(ticket=twin, text="Hello?"),
        lambda: intake.add_customer_message(ticket=reviewed, text="Hello again?"),
    )
    assert refused == ["", "", ""]
    assert _row(twin)["merged_into_id"] == reviewed.pk
    assert _row(reviewed)["triage_state"] == "submitted"
    assert {"Hello?", "Hello again?"} <= set(_said(Message.objects.thread(reviewed)))


@pytest.mark.django_db(transaction=True)
def test_of_two_who_bring_it_back_at_once_one_does(agent: User, lead: User, reviewed: Ticket, twin: Ticket) -> None:
    merging.merge(ticket=twin, into=reviewed, by=agent)
    refused = _at_once(lambda: unmerge(ticket=twin, by=agent), lambda: unmerge(ticket=twin, by=lead))
    assert refused == ["", "not_merged"]


def test_a_ticket_that_others_are_part_of_is_not_deleted(
    agent: User, lead: User, reviewed: Ticket, twin: Ticket, stranger: Ticket
) -> None:
    merge(ticket=stranger, into=twin, by=agent)
    merge(ticket=twin, into=reviewed, by=agent)
    with pytest.raises(Conflict, match="Bring them back first"):
        deleting.delete(ticket=reviewed, by=lead)
    deleting.delete(ticket=stranger, by=lead)  # what is deleted follows all the same
    unmerge(ticket=twin, by=agent)
    deleting.restore(ticket=stranger, by=lead)
    assert _row(stranger)["merged_into_id"] == twin.pk
    with pytest.raises(Conflict, match="not there any more"):
        deleting.delete(ticket=reviewed, by=lead)
        merging.put_back(ticket=reviewed, into=joined.hold(reviewed.pk)[reviewed.pk], by=lead)
