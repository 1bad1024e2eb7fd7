"""What goes back to GitHub, where a repository wants it: labels and state."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.github_server import GithubServer, Repo
from tests.tickets.conftest import Hook
from tickets.actions import github_accounts, github_writing, status
from tickets.models import Category, GithubRepository, GithubWriting, Status, Team, Ticket
from triage.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticket(hook: Hook, shop: Repo, repository: GithubRepository, lead: User) -> Ticket:
    """Read, of a repository that wants everything back."""
    options = dict.fromkeys(github_accounts.OPTIONS, True)
    github_accounts.choose(repository=repository, options=options, sync_minutes=60, by=lead)
    shop.issue("Checkout crashes", labels=[{"name": "mine", "color": "000000"}])
    hook("issues", shop.event("issues", "opened", 1))
    ticket = Ticket.objects.get()
    ticket.category, ticket.priority = Category.objects.get(key="bug"), "P2"
    ticket.team = Team.objects.get(key="software")
    ticket.provenance = {"category": {"engine": "person"}, "priority": {"engine": "local", "band": "suggest"}}
    ticket.triage_state, ticket.status = "triaged", "in_review"
    ticket.save()
    return ticket


def labels(shop: Repo) -> list[str]:
    return [label["name"] for label in shop.issues[1]["labels"]]


def work() -> GithubWriting | None:
    github_writing.note_due()
    for claimed in github_writing.claim(10):
        github_writing.work(claimed)
    return GithubWriting.objects.first()


def test_what_is_decided_is_written_and_what_is_only_suggested_is_not(ticket: Ticket, shop: Repo) -> None:
    work()
    assert labels(shop) == ["mine", "category: Bug"]


def test_what_the_machine_is_sure_of_is_written_too(ticket: Ticket, shop: Repo) -> None:
    ticket.provenance |= {
        "priority": {"engine": "local", "band": "apply"},
        "team": {"engine": "local", "band": "apply"},
    }
    ticket.save()
    work()
    assert labels(shop) == ["mine", "category: Bug", "priority: P2", f"team: {ticket.team}"]


def test_a_corrected_value_takes_the_place_of_the_old_label_and_others_stay(ticket: Ticket, shop: Repo) -> None:
    work()
    ticket.category = Category.objects.get(key="question")
    ticket.save()
    work()
    assert labels(shop) == ["mine", "category: Question"]


def test_nothing_is_written_twice(ticket: Ticket, shop: Repo, github: GithubServer) -> None:
    work()
    asked = len(github.requests)
    ticket.save()
    assert github_writing.note_due() == 0
    work()
    assert len(github.requests) == asked


def test_a_resolved_ticket_closes_its_issue_and_a_reopened_one_opens_it(
    ticket: Ticket, shop: Repo, lead: User, hook: Hook
) -> None:
    work()
    status.change(ticket=ticket, status=Status.RESOLVED, by=lead)
    work()
    assert (shop.issues[1]["state"], shop.issues[1]["state_reason"]) == ("closed", "completed")
    hook("issues", shop.event("issues", "closed", 1, sender="desk-bot"))
    status.change(ticket=ticket, status=Status.IN_REVIEW, by=lead)
    work()
    assert shop.issues[1]["state"] == "open"


def test_an_issue_that_was_closed_there_is_not_opened_by_an_open_ticket(
    ticket: Ticket, shop: Repo, hook: Hook, github: GithubServer
) -> None:
    work()
    GithubRepository.objects.update(follow_state=False)
    shop.change(1, state="closed")
    hook("issues", shop.event("issues", "closed", 1, sender="kim"))
    work()
    assert shop.issues[1]["state"] == "closed" and not github.asked("PATCH")


def test_a_repository_that_wants_nothing_gets_nothing(ticket: Ticket, github: GithubServer) -> None:
    GithubRepository.objects.update(write_labels=False, write_team_label=False, write_state=False)
    assert work() is None and github.requests == []


def test_switching_it_on_writes_nothing_about_what_is_past(
    ticket: Ticket, repository: GithubRepository, lead: User, github: GithubServer
) -> None:
    none = dict.fromkeys(github_accounts.OPTIONS, False)
    github_accounts.choose(repository=repository, options=none, sync_minutes=60, by=lead)
    github_accounts.choose(repository=repository, options={"write_labels": True}, sync_minutes=60, by=lead)
    assert work() is None and github.requests == []


def test_a_server_error_is_tried_again_and_a_refusal_is_shown(ticket: Ticket, shop: Repo, github: GithubServer) -> None:
    github.fail("POST", "/labels", status=502)
    writing = work()
    assert writing is not None and writing.state == "queued" and "502" in writing.error
    GithubWriting.objects.update(not_before=timezone.now())
    assert (again := work()) is not None and again.state == "done" and labels(shop) == ["mine", "category: Bug"]
    github.fail("POST", "/labels", status=403, message="Must have push access")
    ticket.category = Category.objects.get(key="question")
    ticket.save()
    refused = work()
    assert refused is not None and refused.state == "failed" and "push access" in refused.error


def test_a_limit_is_obeyed_for_the_whole_account(ticket: Ticket, github: GithubServer) -> None:
    github.fail("POST", "/labels", status=403, message="secondary rate limit", headers={"Retry-After": "60"})
    writing = work()
    assert writing is not None and writing.state == "queued"
    assert writing.not_before > timezone.now() + timedelta(seconds=50)
    GithubWriting.objects.update(not_before=timezone.now())
    assert not github_writing.claim(1), "the account waits"


def test_a_label_that_somebody_took_away_is_not_missed(ticket: Ticket, shop: Repo) -> None:
    work()
    shop.issues[1]["labels"] = []
    ticket.category = Category.objects.get(key="question")
    ticket.save()
    writing = work()
    assert writing is not None and writing.state == "done" and labels(shop) == ["category: Question"]
