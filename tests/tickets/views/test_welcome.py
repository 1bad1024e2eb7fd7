from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tickets.actions import keys
from tickets.first_steps import checklist_for
from tickets.models import Agent
from triage.models import User


@pytest.fixture
def boss(taxonomy: None) -> User:
    return User.objects.create_superuser("boss", "boss@example.org", "a long password")


def _done(user: User) -> set[str]:
    return {step.key for step in checklist_for(user).steps if step.done}


def test_a_new_desk_has_everything_left_to_do(boss: User, settings: Any) -> None:
    settings.ANTHROPIC_API_KEY = settings.ANTHROPIC_BASE_URL = ""
    settings.EMAIL_BACKEND = "tickets.channels.email.files.EmailBackend"
    assert _done(boss) == set()
    assert checklist_for(boss).shown


def test_a_step_is_done_when_it_is_so(boss: User, settings: Any) -> None:
    settings.ANTHROPIC_API_KEY = "a key"
    settings.EMAIL_BACKEND = "tickets.channels.email.smtp.EmailBackend"
    keys.create(name="Shop", scopes=["read"], username=None, source_name="API")
    assert {"model", "mail", "api_key"} <= _done(boss)


def test_the_steps_are_hidden_for_one_person_and_come_back(client: Client, boss: User) -> None:
    client.force_login(boss)
    client.post("/welcome/dismissal/")
    assert not checklist_for(boss).shown
    client.post("/welcome/dismissal/", {"undo": "1"})
    assert checklist_for(boss).shown


def test_the_page_shows_what_to_set(client: Client, boss: User, settings: Any) -> None:
    settings.ANTHROPIC_API_KEY = settings.ANTHROPIC_BASE_URL = ""
    client.force_login(boss)
    assert "ANTHROPIC_API_KEY" in client.get("/welcome/").content.decode()


def test_hiding_the_steps_gives_an_outsider_no_place_at_the_desk(client: Client, outsider: User) -> None:
    client.force_login(outsider)
    assert client.post("/welcome/dismissal/").status_code == 403
    assert not Agent.objects.filter(user=outsider).exists()
