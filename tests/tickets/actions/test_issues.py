"""What becomes of an issue's ticket as the issue lives on GitHub."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from tests.github_server import GithubServer, Repo
from tests.tickets.conftest import Hook, work_through
from tickets.actions import github_events
from tickets.models import Draft, GithubComment, GithubEvent, GithubIssue, GithubRepository, Message, Status, Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticket(hook: Hook, shop: Repo) -> Ticket:
    """Of an opened issue, as the machine has read it."""
    shop.issue("Checkout crashes", body="On every start.", labels=[{"name": "bug", "color": "d73a4a"}])
    hook("issues", shop.event("issues", "opened", 1))
    Ticket.objects.update(triage_state="triaged", status="in_review")
    return Ticket.objects.get()


def texts(ticket: Ticket, kind: str = "") -> list[str]:
    messages = ticket.messages.filter(kind=kind) if kind else ticket.messages.all()
    return list(messages.order_by("pk").values_list("text", flat=True))


def test_what_github_says_of_it_is_kept_and_decides_nothing(hook: Hook, shop: Repo, github: GithubServer) -> None:
    shop.issue(
        "Crash", body="Help", labels=[{"name": "P0", "color": "ff0000"}, "old style"], author="sam",
        assignees=[github.user("lee")], author_association="MEMBER", milestone={"title": "1.5"},
    )  # fmt: skip
    hook("issues", shop.event("issues", "opened", 1))
    ticket = Ticket.objects.get()
    said = ticket.github
    assert [label["name"] for label in said.labels] == ["P0", "old style"] and said.labels[0]["color"] == "ff0000"
    assert (said.assignees, said.author, said.association, said.milestone) == (["lee"], "sam", "MEMBER", "1.5")
    assert said.url == f"{github.url}/acme/shop/issues/1" and said.state == "open"
    assert ticket.raw is not None and ticket.raw["milestone"] == {"title": "1.5"}
    assert (ticket.priority, ticket.assignee, ticket.tags) == ("", None, [])


def test_an_issue_without_text_is_its_title(hook: Hook, shop: Repo) -> None:
    shop.issue("Crash", body=None)
    hook("issues", shop.event("issues", "opened", 1))
    assert texts(Ticket.objects.get()) == ["Crash"]


def test_an_edited_issue_is_read_again_with_its_new_text(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    shop.change(1, title="Checkout crashes on iOS", body="On every start of iOS.")
    hook("issues", shop.event("issues", "edited", 1, changes={"body": {"from": "On every start."}}))
    ticket.refresh_from_db()
    assert (ticket.subject, ticket.triage_state) == ("Checkout crashes on iOS", "submitted")
    assert texts(ticket) == ["On every start.", "On every start of iOS."]


def test_a_changed_title_alone_adds_no_text(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    shop.comment(1, "Any news?")
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=next(iter(shop.comments.values()))))
    shop.change(1, title="Checkout crashes at once")
    hook("issues", shop.event("issues", "edited", 1, changes={"title": {"from": "Checkout crashes"}}))
    ticket.refresh_from_db()
    assert ticket.subject == "Checkout crashes at once"
    assert texts(ticket) == ["On every start.", "Any news?"]


@pytest.mark.parametrize("action", ["labeled", "unlabeled", "assigned", "unassigned", "milestoned", "locked"])
def test_labels_and_assignees_are_kept_and_nothing_is_read_again(
    hook: Hook, shop: Repo, github: GithubServer, ticket: Ticket, action: str
) -> None:
    shop.change(1, labels=[{"name": "triaged", "color": "00ff00"}], assignees=[github.user("lee")], locked=True)
    hook("issues", shop.event("issues", action, 1))
    ticket.refresh_from_db()
    assert ticket.triage_state == "triaged"
    said = GithubIssue.objects.get()
    assert ([label["name"] for label in said.labels], said.assignees, said.locked) == (["triaged"], ["lee"], True)


def test_closing_and_reopening_change_its_state_and_the_tickets(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    shop.change(1, state="closed", state_reason="not_planned", closed_at="2026-01-06T10:00:00Z")
    hook("issues", shop.event("issues", "closed", 1, sender="lee"))
    ticket.refresh_from_db()
    assert (ticket.github.state, ticket.github.state_reason, ticket.status) == ("closed", "not_planned", "resolved")
    assert texts(ticket, "system") == ["lee closed the issue on GitHub as not planned."]
    shop.change(1, state="open", state_reason="reopened", closed_at=None)
    hook("issues", shop.event("issues", "reopened", 1, sender="kim"))
    ticket = Ticket.objects.get()
    assert (ticket.github.state, ticket.status) == ("open", "in_review")


def test_a_repository_may_leave_the_tickets_status_to_the_desk(
    hook: Hook, shop: Repo, repository: GithubRepository, ticket: Ticket
) -> None:
    GithubRepository.objects.update(follow_state=False)
    shop.change(1, state="closed")
    hook("issues", shop.event("issues", "closed", 1))
    ticket = Ticket.objects.get()
    assert (ticket.github.state, ticket.status) == ("closed", "in_review")


@pytest.mark.parametrize("action", ["deleted", "transferred"])
def test_an_issue_that_is_gone_says_so_and_is_no_work(hook: Hook, shop: Repo, ticket: Ticket, action: str) -> None:
    changes = {"new_issue": {"html_url": "https://github.com/acme/api/issues/9"}}
    hook("issues", shop.event("issues", action, 1, changes=changes))
    ticket = Ticket.objects.get()
    assert (ticket.github.state, ticket.status) == (action, Status.RESOLVED)
    assert ticket.github.moved_to.endswith("/api/issues/9")


def test_events_that_come_late_do_not_undo_newer_ones(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    earlier = shop.event("issues", "labeled", 1)
    earlier = {**earlier, "issue": dict(earlier["issue"])}
    shop.change(1, state="closed", labels=[])
    hook("issues", shop.event("issues", "closed", 1))
    hook("issues", earlier)
    said = GithubIssue.objects.get()
    assert (said.state, said.labels) == ("closed", [])


def test_a_customers_comment_is_a_message_and_the_draft_is_stale(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    Draft.objects.create(ticket=ticket, text="Dear kim", answers=ticket.messages.get())
    comment = shop.comment(1, "It still crashes.")
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=comment))
    ticket.refresh_from_db()
    message = ticket.messages.get(kind="inbound", text="It still crashes.")
    assert message.requester == ticket.requester and message.github.url == comment["html_url"]
    assert ticket.draft.stale and ticket.triage_state == "submitted"


def test_another_users_comment_is_theirs(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=shop.comment(1, "Me too", author="pat")))
    message = ticket.messages.get(text="Me too")
    assert message.requester is not None and message.requester.name == "pat" and message.requester != ticket.requester


def test_a_maintainers_comment_is_an_answer_and_no_question(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    comment = shop.comment(1, "Fixed in 1.5.", author="lee", association="MEMBER")
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=comment))
    ticket.refresh_from_db()
    message = ticket.messages.get(text="Fixed in 1.5.")
    assert (message.kind, message.author_label) == ("outbound", "lee")
    assert ticket.triage_state == "triaged" and ticket.first_replied_at is not None


def test_a_bots_comment_is_a_note_and_wakes_nobody(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    Ticket.objects.update(status="waiting")
    comment = shop.comment(1, "This issue is stale.", author="stale[bot]")
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=comment))
    ticket.refresh_from_db()
    message = ticket.messages.get(text="This issue is stale.")
    assert (message.kind, message.author_label, message.github.author_is_bot) == ("system", "stale[bot]", True)
    assert (ticket.status, ticket.triage_state) == ("waiting", "triaged")


def test_the_same_comment_in_two_deliveries_is_one_message(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    comment = shop.comment(1, "Hello?")
    for delivery in ("a", "b"):
        hook("issue_comment", shop.event("issue_comment", "created", 1, comment=comment), delivery=delivery)
    assert texts(ticket).count("Hello?") == 1


def test_an_edited_comment_is_one_more_message_and_the_first_says_it_was_replaced(
    hook: Hook, shop: Repo, ticket: Ticket
) -> None:
    comment = shop.comment(1, "It crashes on iOS 17.")
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=comment))
    for words in ("It crashes on iOS 18.", "It crashes on iOS 19."):
        comment |= {"body": words, "updated_at": comment["updated_at"].replace("T09", "T10")}
        event = shop.event("issue_comment", "edited", 1, comment=dict(comment))
        hook("issue_comment", event)
        hook("issue_comment", event)
    assert texts(ticket)[1:] == [f"It crashes on iOS {n}." for n in (17, 18, 19)]
    assert list(GithubComment.objects.order_by("pk").values_list("replaced", flat=True)) == [True, True, False]


def test_a_deleted_comment_stays_and_says_so(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    comment = shop.comment(1, "Never mind.")
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=comment))
    hook("issue_comment", shop.event("issue_comment", "deleted", 1, comment=comment))
    assert ticket.messages.get(text="Never mind.").github.deleted_at is not None


def test_a_comment_on_an_issue_that_was_never_seen_brings_the_issue_along(hook: Hook, shop: Repo) -> None:
    shop.issue("Old problem", body="From last year.")
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=shop.comment(1, "Still there.")))
    assert texts(Ticket.objects.get()) == ["From last year.", "Still there."]


def test_events_of_one_issue_are_worked_through_in_their_order(hook: Hook, shop: Repo) -> None:
    shop.issue("First", body="One.")
    shop.issue("Other", body="Two.")
    hook("issues", shop.event("issues", "opened", 1), work=False)
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=shop.comment(1, "More.")), work=False)
    hook("issues", shop.event("issues", "opened", 2), work=False)
    first = github_events.claim(20)
    assert [GithubEvent.objects.get(pk=one.pk).subject for one in first] == [
        GithubEvent.objects.get(pk=pk).subject for pk in (first[0].pk, first[1].pk)
    ]
    assert len(first) == 2, "the comment waits for its issue"
    for claimed in first:
        github_events.work(claimed)
    assert len(github_events.claim(20)) == 1


def test_an_event_that_breaks_is_tried_again_and_then_left_to_a_person(
    hook: Hook, shop: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError("the disk is full")

    shop.issue("Crash")
    monkeypatch.setattr("tickets.actions.issues.keep", broken)
    hook("issues", shop.event("issues", "opened", 1))
    event = GithubEvent.objects.get()
    assert event.state == "queued" and "the disk is full" in event.error and not Ticket.objects.exists()
    for _ in range(github_events.MOST_ATTEMPTS):
        GithubEvent.objects.update(not_before=event.received_at)
        for claimed in github_events.claim(1):
            github_events.work(claimed)
    event.refresh_from_db()
    assert event.state == "failed" and "the disk is full" in event.result
    monkeypatch.undo()
    assert github_events.run_again(event=event)
    for claimed in github_events.claim(1):
        github_events.work(claimed)
    assert Ticket.objects.get().subject == "Crash"


def test_what_a_delivery_said_is_forgotten_in_time_and_the_delivery_is_not(
    hook: Hook, shop: Repo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_events, "_forgotten", github_events._Forgotten())
    shop.issue("Crash", body="My telephone number is 555-0100.")
    event = shop.event("issues", "opened", 1)
    first = hook("issues", event, delivery="once")
    hook("issues", shop.event("issues", "labeled", 1), delivery="young")
    old, young = GithubEvent.objects.order_by("pk")
    _aged(old, days=settings.GITHUB_PAYLOAD_DAYS + 1)
    _aged(young, days=settings.GITHUB_PAYLOAD_DAYS - 1)
    assert (github_events.forget(), github_events.forget()) == (1, 0)
    kept = dict(GithubEvent.objects.values_list("delivery", "payload"))
    assert kept["once"] == "" and "555-0100" in kept["young"]
    again = hook("issues", event, delivery="once")
    assert again.status_code == 200 and {**again.json(), **first.json()} == again.json()
    assert Ticket.objects.count() == 1 and GithubEvent.objects.count() == 2
    _aged(young, days=settings.GITHUB_PAYLOAD_DAYS + 1)
    assert github_events.forget() == 1


def test_what_waits_is_not_forgotten_and_what_is_forgotten_is_not_run_again(
    hook: Hook, shop: Repo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_events, "_forgotten", github_events._Forgotten())
    shop.issue("Crash")
    hook("issues", shop.event("issues", "opened", 1), work=False)
    hook("issues", shop.event("issues", "labeled", 1), work=False)
    waiting, failed = GithubEvent.objects.order_by("pk")
    GithubEvent.objects.filter(pk=failed.pk).update(state="failed", finished_at=timezone.now())
    for event in (waiting, failed):
        _aged(event, days=settings.GITHUB_PAYLOAD_DAYS + 1)
    assert github_events.forget() == 1
    assert not github_events.run_again(event=failed)
    work_through()
    assert Ticket.objects.get().subject == "Crash"
    assert github_events.forget() == 1, "what waited then"


def _aged(event: GithubEvent, *, days: int) -> None:
    GithubEvent.objects.filter(pk=event.pk).update(received_at=timezone.now() - timedelta(days=days))


def test_a_worker_that_lost_its_lease_changes_nothing(hook: Hook, shop: Repo) -> None:
    shop.issue("Crash")
    hook("issues", shop.event("issues", "opened", 1), work=False)
    (claimed,) = github_events.claim(1)
    GithubEvent.objects.update(claim=claimed.claim + 1)
    github_events.work(claimed)
    assert not Ticket.objects.exists()


def test_a_ticket_that_the_desk_deleted_is_not_made_again(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    Ticket.objects.update(deleted_at=ticket.created_at)
    shop.change(1, title="Again")
    hook("issues", shop.event("issues", "edited", 1))
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=shop.comment(1, "Hello?")))
    assert not Ticket.objects.exists() and Message.objects.count() == 1
    assert not GithubEvent.objects.exclude(state="done").exists()


def test_what_is_said_on_an_issue_that_is_held_as_spam_is_there_when_it_is_let_in(
    hook: Hook, shop: Repo, ticket: Ticket
) -> None:
    Ticket.objects.update(deleted_at=ticket.created_at, spam=True)
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=shop.comment(1, "Hello?")))
    hook(
        "issue_comment",
        shop.event("issue_comment", "created", 1, comment=shop.comment(1, "Hi", author="boss", association="OWNER")),
    )
    held = Ticket.everything.get()
    assert sorted(Message.objects.exclude(pk=ticket.messages.earliest("pk").pk).values_list("text", flat=True)) == [
        "Hello?",
        "Hi",
    ]
    assert held.spam and held.triage_state == ticket.triage_state and held.updated_at == ticket.updated_at


def test_a_new_title_is_not_lost_where_a_label_comes_before_it(hook: Hook, shop: Repo, ticket: Ticket) -> None:
    shop.change(1, title="Crash on save")
    labelled = shop.event("issues", "labeled", 1)
    hook("issues", labelled)
    hook("issues", shop.event("issues", "edited", 1))
    ticket.refresh_from_db()
    assert ticket.subject == "Crash on save"
