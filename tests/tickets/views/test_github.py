"""The pages on which GitHub is set up, and who may do what on them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from tests.github_server import GithubServer, Repo
from tests.tickets.conftest import Hook, work_through
from tickets.actions import github_syncs
from tickets.models import GithubAccount, GithubEvent, GithubRepository, GithubSync, Ticket
from triage.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    cache.clear()


@pytest.fixture
def desk(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_a_lead_sets_up_a_token_browses_and_connects_a_repository(desk: Client, github: GithubServer) -> None:
    github.repository("acme/shop")
    github.repository("acme/api", permission="pull")
    answer = desk.post("/settings/github/accounts/new/", {"base_url": github.url, "token": "ghp_desk"}, follow=True)
    assert "acme/shop" in text(answer) and "ghp_desk" not in text(answer)
    account = GithubAccount.objects.get()
    fragment = {"HX-Request": "true", "HX-Target": "repositories"}
    sieved = text(desk.get(f"{account.get_absolute_url()}?q=api", headers=fragment))
    assert "acme/api" in sieved and "acme/shop" not in sieved and "<html" not in sieved
    shown = desk.post(f"{account.get_absolute_url()}connection/", {"repository": "acme/shop"})
    repository = GithubRepository.objects.get()
    assert repository.secret.open() in text(shown) and "/webhooks/github" in text(shown)
    assert repository.secret.open() not in text(desk.get(repository.get_absolute_url()))
    assert "acme/shop" in text(desk.get("/settings/github/"))


def test_wrong_credentials_are_told_in_place_and_never_shown_again(desk: Client, github: GithubServer) -> None:
    answer = desk.post("/settings/github/accounts/new/", {"base_url": github.url, "token": "ghp_wrong"})
    assert answer.status_code == 422 and "Bad credentials" in text(answer) and "ghp_wrong" not in text(answer)


def test_a_repository_that_the_account_does_not_reach_is_not_connected(desk: Client, account: GithubAccount) -> None:
    answer = desk.post(f"{account.get_absolute_url()}connection/", {"repository": "someone/else"}, follow=True)
    assert "does not reach" in text(answer) and not GithubRepository.objects.exists()


def test_a_public_repository_by_a_wrong_address_is_told_in_place(desk: Client) -> None:
    answer = desk.post("/settings/github/", {"address": "https://gitlab.com/acme/shop"})
    assert answer.status_code == 422 and "no address at github.com" in text(answer)


def test_more_than_a_hundred_issues_are_asked_about_before_they_are_read(
    desk: Client, repository: GithubRepository, shop: Repo
) -> None:
    for number in range(101):
        shop.issue(f"Problem {number}")
    address = f"{repository.get_absolute_url()}sync/"
    asked = desk.post(address, headers={"HX-Request": "true"})
    assert "Read 101 issues?" in text(asked) and "No cost" in text(asked) and not GithubSync.objects.exists()
    begun = desk.post(address, {"confirmed": "1"}, headers={"HX-Request": "true"})
    assert 'data-status="pending"' in text(begun) and GithubSync.objects.get().expected == 101


def test_a_few_issues_are_read_without_a_question_and_a_second_time_is_refused(
    desk: Client, repository: GithubRepository, shop: Repo
) -> None:
    shop.issue("Problem")
    address = f"{repository.get_absolute_url()}sync/"
    assert desk.post(address).status_code == 302
    again = desk.post(address)
    assert again.status_code == 409 and "already" in text(again)


def test_a_github_that_does_not_answer_is_told_on_the_page(
    desk: Client, repository: GithubRepository, github: GithubServer
) -> None:
    github.fail("GET", "/issues", status=502)
    answer = desk.post(f"{repository.get_absolute_url()}sync/", headers={"HX-Request": "true"})
    assert answer.status_code == 422 and "GitHub answered 502" in text(answer)


def test_the_status_is_a_fragment_for_the_page_and_json_for_programs(
    desk: Client, repository: GithubRepository, shop: Repo, lead: User
) -> None:
    address = f"/settings/github/{repository.pk}/status"
    json = {"Accept": "application/json"}
    assert desk.get(address, headers=json).json()["status"] == "never"
    shop.issue("Problem")
    github_syncs.begin(repository=repository, by=lead)
    assert desk.get(address, headers=json).json()["status"] == "pending"
    github_syncs.work(github_syncs.claim(1)[0])
    told = desk.get(address, headers=json).json()
    assert (told["status"], told["stored"], told["repository"]) == ("completed", 1, "acme/shop")
    assert told["last_sync_at"] is not None
    fragment = text(desk.get(address, headers={"HX-Request": "true"}))
    assert 'data-status="completed"' in fragment and "1 new" in fragment and "<html" not in fragment


def test_a_running_sync_is_cancelled_on_the_page(
    desk: Client, repository: GithubRepository, shop: Repo, lead: User
) -> None:
    shop.issue("Problem")
    github_syncs.begin(repository=repository, by=lead)
    answer = desk.post(f"{repository.get_absolute_url()}sync/cancellation/", headers={"HX-Request": "true"})
    assert 'data-status="cancelled"' in text(answer)
    again = desk.post(f"{repository.get_absolute_url()}sync/cancellation/", headers={"HX-Request": "true"})
    assert again.status_code == 409


def test_options_are_chosen_and_only_those(desk: Client, repository: GithubRepository) -> None:
    desk.post(repository.get_absolute_url(), {"write_labels": "on", "sync_minutes": "15"})
    repository.refresh_from_db()
    assert (repository.write_labels, repository.write_comments, repository.follow_state) == (True, False, False)
    assert repository.sync_minutes == 15
    wrong = desk.post(repository.get_absolute_url(), {"sync_minutes": "soon"})
    assert wrong.status_code == 422 and "10,080" in text(wrong)


def test_it_is_disconnected_and_connected_again_with_another_secret(desk: Client, repository: GithubRepository) -> None:
    desk.post(f"{repository.get_absolute_url()}connection/")
    assert "Disconnected" in text(desk.get(repository.get_absolute_url()))
    shown = text(desk.post(f"{repository.get_absolute_url()}connection/", {"connect": "1"}))
    fresh = GithubRepository.objects.get()
    assert fresh.connected and fresh.secret.open() in shown


def test_a_failed_event_is_shown_with_its_reason_and_run_again(
    desk: Client, hook: Hook, repository: GithubRepository, shop: Repo
) -> None:
    shop.issue("Problem")
    hook("issues", shop.event("issues", "opened", 1), work=False)
    event = GithubEvent.objects.get()
    GithubEvent.objects.update(state="failed", result="The disk was full.", finished_at=event.received_at)
    assert "The disk was full." in text(desk.get(repository.get_absolute_url()))
    desk.post(f"{repository.get_absolute_url()}events/{event.pk}/")
    work_through()
    assert Ticket.objects.get().subject == "Problem"


def test_a_failed_event_whose_words_are_forgotten_cannot_be_run_again(
    desk: Client, hook: Hook, repository: GithubRepository, shop: Repo
) -> None:
    shop.issue("Problem")
    hook("issues", shop.event("issues", "opened", 1), work=False)
    event = GithubEvent.objects.get()
    GithubEvent.objects.update(state="failed", result="The disk was full.", finished_at=event.received_at, payload="")
    page, again = text(desk.get(repository.get_absolute_url())), f"{repository.get_absolute_url()}events/{event.pk}/"
    assert "The disk was full." in page and again not in page
    assert "is not kept any more" in text(desk.post(again, follow=True))


@pytest.mark.parametrize("person", ["agent", "outsider"])
def test_who_leads_nothing_sees_nothing_of_it(
    client: Client, repository: GithubRepository, request: pytest.FixtureRequest, person: str
) -> None:
    client.force_login(request.getfixturevalue(person))
    one = repository.get_absolute_url()
    for address in ("/settings/github/", one, f"{one}status", repository.account.get_absolute_url()):
        assert client.get(address).status_code == 403, address


def test_an_auditor_looks_and_changes_nothing(client: Client, repository: GithubRepository, auditor: User) -> None:
    client.force_login(auditor)
    one, account = repository.get_absolute_url(), repository.account.get_absolute_url()
    for address in ("/settings/github/", one, f"{one}status", account):
        shown = client.get(address)
        assert shown.status_code == 200, address
        assert 'id="disconnect"' not in text(shown) and 'id="options-save"' not in text(shown)
    of_one = [one, *(f"{one}{noun}/" for noun in ("sync", "sync/cancellation", "connection", "secret", "events/1"))]
    for address in (*of_one, "/settings/github/", account, f"{account}removal/", f"{account}connection/"):
        assert client.post(address).status_code == 403, address
    assert GithubRepository.objects.get().connected


def test_a_ticket_shows_what_github_says_and_where_an_answer_goes(
    desk: Client, hook: Hook, github: GithubServer, shop: Repo, settings: Settings
) -> None:
    labels = [{"name": "needs <b>triage</b>", "color": "ff0000"}]
    shop.issue("Crash", labels=labels, assignees=[github.user("lee")], author_association="FIRST_TIME_CONTRIBUTOR")
    hook("issues", shop.event("issues", "opened", 1))
    comment = shop.comment(1, "I am a bot.", author="stale[bot]")
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=comment))
    hook("issue_comment", shop.event("issue_comment", "deleted", 1, comment=comment))
    shown = text(desk.get(Ticket.objects.get().get_absolute_url()))
    assert f"{github.url}/acme/shop/issues/1" in shown and "acme/shop#1" in shown
    assert "needs &lt;b&gt;triage&lt;/b&gt;" in shown and "First time contributor" in shown and "lee" in shown
    assert "As a comment on acme/shop#1" in shown and "users.noreply" not in shown
    assert "Deleted on GitHub" in shown and ">Bot<" in shown
    GithubRepository.objects.update(write_comments=False)
    assert "switched off" in text(desk.get(Ticket.objects.get().get_absolute_url()))


def test_the_queue_is_grouped_by_repository(desk: Client, hook: Hook, shop: Repo) -> None:
    for number in (1, 2):
        shop.issue(f"Problem {number}")
        hook("issues", shop.event("issues", "opened", number))
    shown = text(desk.get("/tickets/?group=source"))
    assert 'aria-label="Tickets from acme/shop"' in shown and "<details" in shown
