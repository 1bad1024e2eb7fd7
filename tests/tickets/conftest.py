"""The cast: an agent, a colleague of another team, a lead, an auditor and an outsider, and the tickets they work on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from tests.github_server import GithubServer, Repo, signed
from tickets.actions import github_accounts, github_events, intake
from tickets.actions.seeding import plant_taxonomy
from tickets.channels.base import Inbound
from tickets.models import (
    Agent,
    Draft,
    GithubAccount,
    GithubRepository,
    Message,
    Source,
    Status,
    Suggestion,
    Team,
    Ticket,
)
from triage.models import User

MakeTicket = Callable[..., Ticket]


def _staff(username: str, *, role: str = "agent", teams: tuple[str, ...] = ()) -> User:
    user = User.objects.create_user(username, f"{username}@example.org", "a long password", first_name=username.title())
    agent = Agent.objects.create(user=user, role=role)
    agent.teams.set(Team.objects.filter(key__in=teams))
    return user


@pytest.fixture
def taxonomy(db: None) -> None:
    plant_taxonomy()


@pytest.fixture
def agent(taxonomy: None) -> User:
    return _staff("ada", teams=("software",))


@pytest.fixture
def colleague(taxonomy: None) -> User:
    return _staff("bruno", teams=("billing",))


@pytest.fixture
def lead(taxonomy: None) -> User:
    return _staff("lea", role="lead")


@pytest.fixture
def admin_of_desk(taxonomy: None) -> User:
    """An admin by role: no superuser."""
    return _staff("alma", role="admin")


@pytest.fixture
def auditor(taxonomy: None) -> User:
    return _staff("otto", role="auditor")


@pytest.fixture
def outsider(db: None) -> User:
    """Somebody with an account and no place at the desk."""
    return User.objects.create_user("olga", "olga@example.org", "a long password")


@pytest.fixture
def form(taxonomy: None) -> Source:
    return Source.objects.get(kind="form")


@pytest.fixture
def make_ticket(form: Source) -> MakeTicket:
    """A stored ticket, as it came through the form."""

    def make(title: str = "Export fails", text: str = "The CSV export stops half way.", **given: Any) -> Ticket:
        inbound = Inbound(title=title, text=text, **{"requester_email": "kim@example.com", **given})
        return intake.receive(inbound, source=form).ticket

    return make


@pytest.fixture
def reviewed(make_ticket: MakeTicket) -> Ticket:
    """A ticket of the software team that the machine has read, with a draft."""
    ticket = make_ticket()
    ticket.team = Team.objects.get(key="software")
    ticket.triage_state = "triaged"
    ticket.set_status(Status.IN_REVIEW)
    ticket.provenance = {"team": {"engine": "local", "confidence": 0.9, "band": "suggest", "reason": "Like others."}}
    ticket.save()
    last = ticket.messages.get()
    suggestion = Suggestion.objects.create(
        ticket=ticket, fields={}, confidence=0.9, escalated=False, draft="Thank you for the report.", last_message=last
    )
    Draft.objects.create(ticket=ticket, suggestion=suggestion, text=suggestion.draft, answers=last)
    return ticket


SECRET = "the secret of acme/shop"
Hook = Callable[..., Any]


@pytest.fixture
def github() -> Iterator[GithubServer]:
    with GithubServer() as server:
        yield server


@pytest.fixture
def shop(github: GithubServer) -> Repo:
    """A repository on GitHub."""
    return github.repository("acme/shop")


@pytest.fixture
def account(github: GithubServer, taxonomy: None) -> GithubAccount:
    return GithubAccount.objects.create(
        name="desk-bot", base_url=github.url, way="token", login="desk-bot", token="ghp_desk"
    )


@pytest.fixture
def repository(account: GithubAccount, shop: Repo) -> GithubRepository:
    """The same repository, connected, with replies switched on."""
    made, _ = github_accounts.connect(account=account, full_name=shop.full_name, by=None, secret=SECRET)
    made.github_id, made.write_comments = shop.id, True
    made.save()
    return GithubRepository.objects.select_related("account", "source").get(pk=made.pk)


@pytest.fixture
def hook(client: Client, repository: GithubRepository) -> Hook:
    """Send a webhook as GitHub does, and let the worker work through it: `hook("issues", payload)`."""

    def send(
        name: str, payload: Any, *, delivery: str = "", secret: str = SECRET, work: bool = True, **more: Any
    ) -> Any:
        delivery = delivery or f"d-{hash(json.dumps(payload, sort_keys=True)) & 2**63:x}-{send.count}"  # type: ignore[attr-defined]
        send.count += 1  # type: ignore[attr-defined]
        body, headers = signed(secret, payload, name, delivery)
        answer = client.post(
            "/webhooks/github",
            body,
            content_type="application/json",
            headers={**headers, **more.pop("headers", {})},
            **more,
        )
        if work:
            work_through()
        return answer

    send.count = 0  # type: ignore[attr-defined]
    return send


def work_through() -> None:
    """Do what a worker does about stored events, until there is none."""
    while claimed := github_events.claim(20):
        github_events.work_all(claimed)


def last_seen(ticket: Ticket) -> int:
    """What a page shows as the customer's last message."""
    message = ticket.messages.filter(kind=Message.Kind.INBOUND).last()
    assert message is not None
    return message.pk


@pytest.fixture
def exact_search(db: None) -> None:
    """The nearest by looking at all: thousands of vectors of rolled back tests are in the index until a vacuum."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_indexscan = off")
