from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from analytics import figures
from analytics.figures import Recurring, Share
from analytics.period import ALL, FORTNIGHT, TODAY, WEEK
from tests.analytics.conftest import Make
from tickets.models import Delivery, Draft, Message, Review, Ticket
from triage.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def tickets(lead: User) -> Any:
    return Ticket.objects.visible_to(lead)


def deliver(ticket: Ticket, by: User, state: str, **fields: Any) -> Delivery:
    message = Message.objects.create(ticket=ticket, kind="outbound", text="Done.", created_at=timezone.now())
    review = Review.objects.create(ticket=ticket, decision="approved", text="Done.", by=by)
    sent_at = timezone.now() if state == "sent" else None
    return Delivery.objects.create(
        ticket=ticket, message=message, review=review, channel="form", recipient="c@example.org",
        key=uuid.uuid4(), state=state, sent_at=sent_at, **fields,
    )  # fmt: skip


def test_an_empty_desk_has_zeros_and_no_medians(tickets: Any) -> None:
    for count in (
        figures.all_tickets, figures.open_tickets, figures.awaiting_approval, figures.escalated, figures.failed,
        figures.reading, figures.overdue, figures.undelivered, figures.undecided,
    ):  # fmt: skip
        assert count(tickets) == 0, count.__name__
    assert figures.new_in(tickets, WEEK) == figures.resolved_in(tickets, WEEK) == figures.replies_in(tickets, WEEK) == 0
    assert figures.median_first_reply(tickets, ALL) is None
    assert figures.decided_alone(tickets, ALL) is None
    assert figures.recurring_tags(tickets, WEEK) == []
    assert figures.by_category(tickets) == figures.by_team(tickets) == []
    assert [day.new for day in figures.by_day(tickets, FORTNIGHT)] == [0] * 14


def test_it_counts_what_is_open_and_what_is_not(tickets: Any, make: Make) -> None:
    for status in ("new", "in_review", "escalated", "waiting", "resolved", "closed", "closed"):
        make(status=status)
    assert figures.all_tickets(tickets) == 7
    assert figures.open_tickets(tickets) == 4
    assert figures.escalated(tickets) == 1
    assert figures.by_status(tickets) == [
        Share("new", "New", 1),
        Share("in_review", "In review", 1),
        Share("escalated", "Escalated", 1),
        Share("waiting", "Waiting", 1),
        Share("resolved", "Resolved", 1),
        Share("closed", "Closed", 2),
    ]


def test_it_counts_what_is_being_read_and_what_could_not_be(tickets: Any, make: Make) -> None:
    make(triage_state="submitted")
    make(triage_state="processing", lease_until=timezone.now() + timedelta(seconds=15))
    make(triage_state="triaged", status="in_review")
    make(triage_state="failed")
    assert figures.reading(tickets) == 2
    assert figures.failed(tickets) == 1
    assert [(share.key, share.count) for share in figures.by_triage_state(tickets)] == [
        ("submitted", 1), ("processing", 1), ("triaged", 1), ("failed", 1),
    ]  # fmt: skip


def test_a_draft_awaits_approval_until_it_is_stale_or_the_ticket_has_ended(tickets: Any, make: Make) -> None:
    for status, stale in (("in_review", False), ("escalated", False), ("in_review", True), ("resolved", False)):
        Draft.objects.create(ticket=make(status=status, triage_state="triaged"), text="Dear customer", stale=stale)
    make(status="in_review", triage_state="triaged")
    assert figures.awaiting_approval(tickets) == 2


def test_overdue_is_what_the_desk_owes_a_first_answer(tickets: Any, make: Make) -> None:
    late, early = timezone.now() - timedelta(minutes=1), timezone.now() + timedelta(hours=1)
    make(status="in_review", due_at=late)
    make(status="in_review", due_at=early)
    make(status="in_review", due_at=late, first_replied_at=timezone.now())
    make(status="waiting", due_at=late)
    make(status="resolved", due_at=late)
    assert figures.overdue(tickets) == 1


def test_failed_and_unknown_replies_wait_for_a_person(tickets: Any, make: Make, lead: User) -> None:
    deliver(make(), lead, "failed")
    deliver(make(), lead, "unknown")
    deliver(make(), lead, "sent")
    deliver(make(), lead, "queued")
    assert figures.undelivered(tickets) == 2
    assert figures.replies_in(tickets, TODAY) == 1


def test_manual_review_counts_open_tickets_only(tickets: Any, make: Make) -> None:
    make(team="manual_review", status="in_review")
    make(team="manual_review", status="closed")
    make(team="software", status="in_review")
    assert figures.undecided(tickets) == 1


def test_days_of_nothing_are_days_too(tickets: Any, make: Make) -> None:
    make(ago=0)
    make(ago=3)
    make(ago=3, status="resolved", resolved_at=timezone.now() - timedelta(days=1))
    make(ago=40, status="closed", resolved_at=timezone.now() - timedelta(days=39))
    days = figures.by_day(tickets, WEEK)
    assert [day.new for day in days] == [0, 0, 0, 2, 0, 0, 1]
    assert [day.resolved for day in days] == [0, 0, 0, 0, 0, 1, 0]
    assert days[-1].date == timezone.localdate()
    assert figures.new_in(tickets, WEEK) == 3
    assert figures.resolved_in(tickets, WEEK) == 1
    assert figures.new_in(tickets, ALL) == 4


def test_the_median_first_reply_is_the_middle_one(tickets: Any, make: Make) -> None:
    for minutes in (10, 20, 600):
        ticket = make(ago=1)
        Ticket.objects.filter(pk=ticket.pk).update(first_replied_at=ticket.created_at + timedelta(minutes=minutes))
    make(ago=1)
    assert figures.median_first_reply(tickets, WEEK) == timedelta(minutes=20)


def test_shares_name_what_is_not_decided_last(tickets: Any, make: Make) -> None:
    make(category="billing", team="billing", priority="P1")
    make(category="bug", priority="P3")
    make(category="bug", priority="P3")
    for _ in range(4):
        make(category=None, team=None)
    assert figures.by_category(tickets) == [
        Share("bug", "Bug", 2),
        Share("billing", "Billing", 1),
        Share("", "Not decided", 4),
    ]
    assert [(share.key, share.count) for share in figures.by_team(tickets)] == [
        ("software", 2),
        ("billing", 1),
        ("", 4),
    ]
    assert [(share.key, share.count) for share in figures.by_priority(tickets)] == [
        ("P1", 1), ("P2", 0), ("P3", 2), ("P4", 0), ("", 4),
    ]  # fmt: skip


def test_a_tag_recurs_from_the_second_ticket_on(tickets: Any, make: Make) -> None:
    make(tags=["vpn", "login"])
    make(tags=["vpn", "slow"], ago=2)
    make(tags=["login", "vpn"], ago=6)
    make(tags=["vpn"], ago=8)
    make(tags=["login"], ago=30)
    assert figures.recurring_tags(tickets, WEEK) == [Recurring("vpn", 3, 1), Recurring("login", 2, 0)]


def test_only_the_ten_most_frequent_tags_are_listed(tickets: Any, make: Make) -> None:
    for _ in range(2):
        for start in (0, 4, 8):
            make(tags=[f"tag-{number:02}" for number in range(start, start + 4)])
    assert [found.tag for found in figures.recurring_tags(tickets, WEEK)] == [
        f"tag-{number:02}" for number in range(10)
    ]


def test_the_machine_decided_alone_what_it_applied(tickets: Any, make: Make) -> None:
    for band in ("apply", "suggest", "suggest", "apply"):
        make(
            triage_state="triaged",
            triaged_at=timezone.now(),
            provenance={"category": {"band": band, "engine": "local"}},
        )
    make(triage_state="submitted")
    assert figures.decided_alone(tickets, WEEK) == 0.5


def test_what_a_person_decided_is_not_the_machines(tickets: Any, make: Make) -> None:
    for engine in ("local", "person"):
        provenance = {"category": {"band": "apply", "engine": engine}}
        make(triage_state="triaged", triaged_at=timezone.now(), provenance=provenance)
    assert figures.decided_alone(tickets, WEEK) == 0.5


def test_another_teams_tickets_are_not_counted(make: Make, agent: User, colleague: User, lead: User) -> None:
    ours = make(team="software", status="escalated", tags=["vpn"], triage_state="failed")
    make(team="software", tags=["vpn"])
    theirs = make(team="billing", status="escalated", tags=["invoice"], triage_state="failed")
    make(team="billing", tags=["invoice"])
    deliver(ours, lead, "unknown")
    deliver(theirs, lead, "unknown")
    for user, tag in ((agent, "vpn"), (colleague, "invoice")):
        seen = Ticket.objects.visible_to(user)
        assert figures.all_tickets(seen) == figures.open_tickets(seen) == figures.new_in(seen, WEEK) == 2
        assert figures.escalated(seen) == figures.failed(seen) == figures.undelivered(seen) == 1
        assert [found.tag for found in figures.recurring_tags(seen, WEEK)] == [tag]
        assert sum(day.new for day in figures.by_day(seen, WEEK)) == 2
    assert figures.all_tickets(Ticket.objects.visible_to(lead)) == 4


def test_a_person_without_a_place_at_the_desk_counts_nothing(make: Make, outsider: User) -> None:
    make(team=None)
    assert figures.all_tickets(Ticket.objects.visible_to(outsider)) == 0
