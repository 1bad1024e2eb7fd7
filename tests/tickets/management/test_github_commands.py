"""Connecting a repository, and trying out its webhook, from the command line."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.github_server import GithubServer, Repo
from tests.tickets.conftest import work_through
from tickets.models import GithubAccount, GithubEvent, GithubRepository, Ticket

LOST = "http://127.0.0.1:9"  # nobody answers there


def run(*arguments: Any, **options: Any) -> tuple[str, str]:
    out, told = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=told, **options)
    return out.getvalue(), told.getvalue()


@pytest.mark.django_db
def test_a_repository_is_connected_with_a_token_and_its_secret_printed_last(github: GithubServer, shop: Repo) -> None:
    out, _ = run("connect_github", "acme/shop", "--token", "ghp_desk", "--base-url", github.url)
    made = GithubRepository.objects.select_related("account").get()
    assert made.secret.open() == out.splitlines()[-1]
    assert (made.account.login, made.github_id, made.write_comments, made.write_labels) == (
        "desk-bot",
        700,
        True,
        False,
    )
    run("connect_github", "acme/shop", "--token", "ghp_desk", "--base-url", github.url, "--write", "labels,state")
    assert GithubAccount.objects.filter(way="token").count() == 1 and GithubRepository.objects.get().write_state


@pytest.mark.django_db
def test_without_a_network_it_is_connected_all_the_same(db: None) -> None:
    out, told = run("connect_github", "acme/shop", "--secret", "a secret of ours", "--base-url", LOST)
    assert out.strip() == "a secret of ours" and "was not asked" in told
    assert GithubRepository.objects.get().github_id is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments", [("acme",), ("acme/shop", "--secret", "short"), ("acme/shop", "--write", "everything")]
)
def test_what_cannot_be_connected_says_why(db: None, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run("connect_github", *arguments, "--base-url", LOST)


@pytest.mark.django_db(transaction=True)
def test_a_sample_is_sent_to_a_running_desk_signed_and_becomes_a_ticket(live_server: Any, taxonomy: None) -> None:
    run("connect_github", "acme/shop", "--secret", "a secret of ours", "--base-url", LOST)
    out, _ = run("send_github_event", "issues", "--title", "Is it on?", "--times", "2", "--url", live_server.url)
    assert [line[:3] for line in out.splitlines()] == ["202", "200"]
    run("send_github_event", "issue_comment", "--body", "It is.", "--url", live_server.url)
    work_through()
    ticket = Ticket.objects.get()
    assert ticket.subject == "Is it on?" and ticket.messages.filter(text="It is.").exists()
    assert "pong" in run("send_github_event", "ping", "--url", live_server.url)[0]
    with pytest.raises(CommandError, match="401"):
        run("send_github_event", "--secret", "a wrong secret", "--url", live_server.url)
    assert GithubEvent.objects.count() == 2


@pytest.mark.django_db
def test_without_a_repository_or_a_desk_it_says_what_to_do(db: None) -> None:
    with pytest.raises(CommandError, match="connect_github"):
        run("send_github_event", "--url", LOST)
    run("connect_github", "acme/shop", "--secret", "a secret of ours", "--base-url", LOST)
    with pytest.raises(CommandError, match="No desk answers"):
        run("send_github_event", "--url", LOST)
    with pytest.raises(CommandError, match="--file"):
        run("send_github_event", "deployment", "--url", LOST)
