"""Repositories read page by page, over a GitHub that fails, limits and changes meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from tests.github_server import GithubServer, Repo
from tickets.actions import github_syncs
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.channels.github.client import Gone
from tickets.models import GithubAccount, GithubIssue, GithubRepository, GithubSync, Message, Ticket
from triage.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def many(shop: Repo) -> Repo:
    """230 issues, some closed, some commented on, one a pull request."""
    for number in range(1, 230):
        shop.issue(f"Problem {number}", body=f"It is broken, {number}.", author=f"user{number % 7}")
    shop.pull("A fix")
    shop.change(5, state="closed", state_reason="completed", closed_at="2026-01-05T12:00:00Z")
    shop.comment(7, "Same here.", author="pat")
    shop.comment(7, "We are on it.", author="lee", association="MEMBER")
    return shop


def work(repository: GithubRepository, by: User | None = None, *, begin: bool = True) -> GithubSync:
    """Begin a sync and go on with it as often as it is due."""
    if begin:
        github_syncs.begin(repository=GithubRepository.objects.get(pk=repository.pk), by=by)
    while claimed := github_syncs.claim(1):
        github_syncs.work(claimed[0])
    return repository.syncs.latest("pk")


def test_a_backfill_reads_every_page_once_and_leaves_pull_requests_out(
    repository: GithubRepository, many: Repo, lead: User, github: GithubServer
) -> None:
    sync = work(repository, lead)
    assert (sync.state, sync.kind, sync.seen, sync.stored, sync.comments) == ("completed", "backfill", 229, 229, 2)
    assert Ticket.objects.count() == 229 and not Ticket.objects.filter(subject="A fix").exists()
    assert set(Ticket.objects.values_list("lane", flat=True)) == {1}, "history waits behind what is new"
    assert len(github.asked("GET", r"/issues\?")) == 3 and all(
        "per_page=100" in url for url in github.asked("GET", "/issues")
    )


def test_what_was_closed_before_is_closed_here_and_dates_are_those_of_github(
    repository: GithubRepository, many: Repo, lead: User
) -> None:
    work(repository, lead)
    closed = Ticket.objects.get(external_id="5")
    assert closed.status == "closed" and closed.resolved_at == datetime(2026, 1, 5, 12, tzinfo=UTC)
    first = Ticket.objects.get(external_id="1")
    assert first.created_at == datetime(2026, 1, 5, 9, 1, tzinfo=UTC)
    thread = Ticket.objects.get(external_id="7").messages.order_by("pk")
    assert [(one.kind, one.author_label) for one in thread] == [
        ("inbound", "user0"),
        ("inbound", "pat"),
        ("outbound", "lee"),
    ]


def test_it_goes_on_at_the_page_where_it_was_killed(
    repository: GithubRepository, many: Repo, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_syncs, "BUDGET", -1.0)  # one page a claim
    github_syncs.begin(repository=repository, by=lead)
    github_syncs.work(github_syncs.claim(1)[0])
    (killed,) = github_syncs.claim(1)  # and never finished
    assert Ticket.objects.count() == 100
    GithubSync.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sync = work(repository, begin=False)
    assert (sync.state, sync.stored, Ticket.objects.count()) == ("completed", 229, 229)
    github_syncs.work(killed)
    assert Message.objects.filter(kind="inbound").count() == 230


def test_issues_that_change_while_they_are_read_are_not_missed(
    repository: GithubRepository, many: Repo, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_syncs, "BUDGET", -1.0)
    github_syncs.begin(repository=repository, by=lead)
    github_syncs.work(github_syncs.claim(1)[0])
    for number in range(1, 60):  # they move to the end, and the others move up by as many
        many.change(number, title=f"Problem {number}, once more")
    work(repository, begin=False)
    assert Ticket.objects.count() == 229
    assert Ticket.objects.get(external_id="3").subject == "Problem 3, once more"


def test_a_hundred_issues_of_one_moment_do_not_hold_it_up(repository: GithubRepository, shop: Repo, lead: User) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(250):
        shop.issue(f"Imported {number}", at=moment)
    assert work(repository, lead).stored == 250


def test_the_next_one_reads_what_changed_since(
    repository: GithubRepository, many: Repo, lead: User, github: GithubServer
) -> None:
    work(repository, lead)
    github.requests.clear()
    many.issue("Something new")
    many.change(9, title="Now different")
    many.comment(11, "And me.", author="pat")
    sync = work(repository, lead)
    assert (sync.kind, sync.state, sync.stored) == ("incremental", "completed", 1)
    assert all("since=" in url for url in github.asked("GET", "/issues"))
    assert Ticket.objects.get(external_id="9").subject == "Now different"
    assert Ticket.objects.get(external_id="11").messages.count() == 2


def test_nothing_new_costs_no_request_of_the_hour(
    repository: GithubRepository, many: Repo, lead: User, github: GithubServer
) -> None:
    work(repository, lead)
    work(repository, lead)
    remaining = github.remaining
    sync = work(repository, lead)
    assert sync.state == "completed" and sync.seen == 0
    assert github.remaining == remaining, "both answers were 304"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_is_tried_again_later(
    repository: GithubRepository, many: Repo, lead: User, github: GithubServer, status: int
) -> None:
    github.fail("GET", "since=", status=status)
    sync = work(repository, lead)
    assert sync.state == "pending" and str(status) in sync.error and sync.not_before > timezone.now()
    GithubSync.objects.update(not_before=timezone.now())
    assert work(repository, begin=False).state == "completed" and Ticket.objects.count() == 229


def test_half_a_page_is_no_page(repository: GithubRepository, many: Repo, lead: User, github: GithubServer) -> None:
    github.fail("GET", "/issues", half=True)
    sync = work(repository, lead)
    assert sync.state == "pending" and "to its end" in sync.error and not Ticket.objects.exists()
    GithubSync.objects.update(not_before=timezone.now())
    assert work(repository, begin=False).stored == 229


def test_what_never_answers_is_given_up_with_its_reason(
    repository: GithubRepository, many: Repo, lead: User, github: GithubServer
) -> None:
    github.fail("GET", "/issues", status=502, times=100)
    github_syncs.begin(repository=repository, by=lead)
    for _ in range(github_syncs.MOST_ATTEMPTS):
        GithubSync.objects.update(not_before=timezone.now())
        github_syncs.work(github_syncs.claim(1)[0])
    sync = GithubSync.objects.get()
    assert sync.state == "failed" and "502" in sync.error and sync.finished_at is not None
    repository.refresh_from_db()
    assert "502" in repository.error
    _due(repository)
    assert github_syncs.begin_due() == 0, "not while GitHub may still be away"
    GithubSync.objects.update(finished_at=timezone.now() - timedelta(minutes=61))
    assert github_syncs.begin_due() == 1
    github.failures.clear()
    GithubSync.objects.update(not_before=timezone.now())
    while claimed := github_syncs.claim(1):
        github_syncs.work(claimed[0])
    repository.refresh_from_db()
    assert repository.error == ""


def _due(repository: GithubRepository) -> None:
    long_ago = timezone.now() - timedelta(days=1)
    GithubRepository.objects.filter(pk=repository.pk).update(sync_minutes=15, synced_at=long_ago, issues_since=long_ago)


def test_a_secondary_limit_makes_it_wait_as_long_as_github_says(
    repository: GithubRepository, many: Repo, lead: User, github: GithubServer
) -> None:
    github.fail("GET", "/issues", status=429, headers={"Retry-After": "120"})
    sync = work(repository, lead)
    assert sync.state == "pending" and sync.attempts == 0
    assert timedelta(seconds=110) < sync.not_before - timezone.now() < timedelta(seconds=121)
    account = GithubAccount.objects.get()
    assert account.limited_until is not None and account.limited_until > timezone.now()
    assert not github_syncs.claim(1)


def test_when_little_is_left_of_the_hour_it_leaves_that_for_replies(
    repository: GithubRepository, many: Repo, lead: User, github: GithubServer
) -> None:
    github.remaining = 40
    github.resets_at = int(timezone.now().timestamp()) + 600
    sync = work(repository, lead)
    assert sync.state == "pending" and "replies" in sync.error and Ticket.objects.count() == 100
    assert timedelta(minutes=9) < sync.not_before - timezone.now() < timedelta(minutes=11)
    assert len(github.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_a_person_must_see_to_fails_at_once_and_is_no_completion(
    repository: GithubRepository, many: Repo, lead: User, github: GithubServer, status: int
) -> None:
    github.fail("GET", "/issues", status=status, message="No")
    sync = work(repository, lead)
    assert sync.state == "failed" and "No" in sync.error
    repository.refresh_from_db()
    assert repository.error and repository.issues_since is None


def test_a_deleted_repository_keeps_its_tickets_and_says_so(
    repository: GithubRepository, many: Repo, lead: User
) -> None:
    work(repository, lead)
    many.deleted = True
    assert work(repository, lead).state == "failed"
    repository.refresh_from_db()
    assert "no such repository" in repository.error and Ticket.objects.count() == 229


def test_a_renamed_repository_is_followed_and_its_name_kept(
    repository: GithubRepository, many: Repo, lead: User
) -> None:
    many.rename("acme/store")
    assert work(repository, lead).stored == 229
    repository.refresh_from_db()
    assert repository.full_name == "acme/store" and repository.github_id == many.id


def test_a_cancelled_one_keeps_what_was_read_and_takes_away_the_rest(
    repository: GithubRepository, many: Repo, lead: User, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_syncs, "BUDGET", -1.0)
    github_syncs.begin(repository=repository, by=lead)
    github_syncs.work(github_syncs.claim(1)[0])
    (held,) = github_syncs.claim(1)
    read = list(Ticket.objects.order_by("pk").values_list("pk", flat=True)[:30])
    Ticket.objects.filter(pk__in=read).update(triage_state="triaged", triaged_at=timezone.now())
    taken = Ticket.objects.exclude(pk__in=read)[0]
    Ticket.objects.filter(pk=taken.pk).update(assignee=agent)
    sync = github_syncs.cancel(repository=repository, by=lead)
    assert (sync.state, sync.removed, sync.kept) == ("cancelled", 69, 31)
    assert set(Ticket.objects.values_list("pk", flat=True)) == {*read, taken.pk}
    github_syncs.work(held)
    assert Ticket.objects.count() == 31, "the worker that had it stores nothing more"
    again = work(repository, lead)
    assert (again.kind, again.state, Ticket.objects.count()) == ("backfill", "completed", 229)


def test_one_at_a_time_and_by_leads_alone(
    repository: GithubRepository, many: Repo, lead: User, agent: User, auditor: User
) -> None:
    github_syncs.begin(repository=repository, by=lead)
    with pytest.raises(Conflict, match="already"):
        github_syncs.begin(repository=repository, by=lead)
    for person in (agent, auditor):
        with pytest.raises(Forbidden):
            github_syncs.cancel(repository=repository, by=person)
        with pytest.raises(Forbidden):
            github_syncs.begin(repository=repository, by=person)
    github_syncs.cancel(repository=repository, by=lead)
    with pytest.raises(Conflict):
        github_syncs.cancel(repository=repository, by=lead)
    GithubRepository.objects.update(disconnected_at=timezone.now())
    with pytest.raises(Invalid, match="disconnected"):
        github_syncs.begin(repository=GithubRepository.objects.get(), by=lead)


def test_the_size_is_asked_of_github_and_priced_by_what_tickets_cost(
    repository: GithubRepository, many: Repo, github: GithubServer, settings: object
) -> None:
    size = github_syncs.measure(repository)
    assert (size.issues, size.estimate.asks, size.estimate.cost) == (230, True, Decimal(0))
    assert len(github.requests) == 1, "counted by Link, not by reading"
    GithubRepository.objects.update(issues_since=datetime(2030, 1, 1, tzinfo=UTC))
    small = github_syncs.measure(GithubRepository.objects.select_related("account").get())
    assert (small.issues, small.estimate.asks) == (0, False)
    many.deleted = True
    with pytest.raises(Gone):
        github_syncs.measure(repository)


def test_what_is_due_is_begun_by_itself(repository: GithubRepository, many: Repo, lead: User) -> None:
    assert github_syncs.begin_due() == 0, "the first one is asked for"
    work(repository, lead)
    assert github_syncs.begin_due() == 0
    GithubRepository.objects.update(synced_at=timezone.now() - timedelta(minutes=61))
    assert github_syncs.begin_due() == 1 and github_syncs.begin_due() == 0
    assert GithubSync.objects.latest("pk").kind == "incremental"


def test_comments_of_history_open_nothing_again(repository: GithubRepository, shop: Repo, lead: User) -> None:
    shop.issue("Old", body="Long ago.")
    shop.comment(1, "Thanks!")
    shop.change(1, state="closed", closed_at="2026-01-05T12:00:00Z")
    work(repository, lead)
    ticket = Ticket.objects.get()
    assert ticket.status == "closed" and ticket.messages.count() == 2
    assert GithubIssue.objects.get().state == "closed"
