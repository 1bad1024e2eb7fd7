"""The cast: an agent of the team Software, a colleague of Billing, a lead who sees everything, an outsider."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tickets.models import Agent, Category, Source, Team, Ticket
from triage.models import User

Make = Callable[..., Ticket]


@pytest.fixture
def source(db: None) -> Source:
    return Source.objects.get_or_create(kind="form", name="Desk under test")[0]


@pytest.fixture
def teams(db: None) -> dict[str, Team]:
    wanted = {"software": "Software", "billing": "Billing and accounts", "manual_review": "Manual review"}
    return {key: Team.objects.get_or_create(key=key, defaults={"name": name})[0] for key, name in wanted.items()}


@pytest.fixture
def categories(db: None) -> dict[str, Category]:
    wanted = {"bug": "Bug", "billing": "Billing", "question": "Question"}
    return {key: Category.objects.get_or_create(key=key, defaults={"name": name})[0] for key, name in wanted.items()}


@pytest.fixture
def make(source: Source, teams: dict[str, Team], categories: dict[str, Category]) -> Make:
    """Store a ticket as it would stand after the given history; `ago` is its age in days."""

    def ticket(*, ago: float = 0, team: str | None = "software", category: str | None = "bug", **fields: Any) -> Ticket:
        fields.setdefault("subject", "The export stops half way")
        if fields.get("status") in ("resolved", "closed"):
            fields.setdefault("resolved_at", timezone.now())
        return Ticket.objects.create(
            source=source,
            created_at=timezone.now() - timedelta(days=ago),
            team=teams[team] if team else None,
            category=categories[category] if category else None,
            **fields,
        )

    return ticket


def _staff(name: str, *, role: str = Agent.Role.AGENT, teams: tuple[Team, ...] = ()) -> User:
    user = User.objects.create_user(name, f"{name}@example.org", "a long enough secret", is_staff=True)
    Agent.objects.create(user=user, role=role).teams.set(teams)
    return user


@pytest.fixture
def agent(teams: dict[str, Team]) -> User:
    return _staff("amara", teams=(teams["software"],))


@pytest.fixture
def colleague(teams: dict[str, Team]) -> User:
    return _staff("bruno", teams=(teams["billing"],))


@pytest.fixture
def lead(db: None) -> User:
    return _staff("lena", role=Agent.Role.LEAD)


@pytest.fixture
def outsider(db: None) -> User:
    return User.objects.create_user("oscar", "oscar@example.org", "a long enough secret")
