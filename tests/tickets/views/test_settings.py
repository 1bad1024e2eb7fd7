from __future__ import annotations

import pytest
from django.test import Client

from tickets.models import Agent
from triage.models import User


def test_a_person_says_their_name_and_that_they_are_away(client: Client, agent: User) -> None:
    client.force_login(agent)
    client.post("/settings/", {"first_name": "Ada", "last_name": "Byron"})
    agent.refresh_from_db()
    assert agent.get_full_name() == "Ada Byron"
    assert not Agent.objects.get(user=agent).available
    client.post("/settings/", {"first_name": "Ada", "last_name": "Byron", "available": "on"})
    assert Agent.objects.get(user=agent).available


@pytest.mark.parametrize(("staff", "shown"), [(True, True), (False, False)])
def test_only_those_who_may_administer_are_shown_the_way_there(
    client: Client, agent: User, staff: bool, shown: bool
) -> None:
    User.objects.filter(pk=agent.pk).update(is_staff=staff)
    client.force_login(agent)
    page = client.get("/settings/").content.decode()
    assert 'aria-current="page">You</a>' in page
    assert ('href="/admin/"' in page) is shown
