"""What every page says of the machine: that it is paused, that its budget is spent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from tickets.models import Ticket
from triage.models import Budget, Pause, Spending, User

PAGES = ("/tickets/", "/tickets/{number}/", "/welcome/", "/", "/calls/", "/summary/")


@pytest.fixture
def boss(taxonomy: None) -> User:
    return User.objects.create_superuser("boss", "boss@example.org", "a long password")


@pytest.fixture
def limited(settings: Settings, db: None) -> None:
    settings.ANTHROPIC_API_KEY = "test-key"
    Budget.objects.update(monthly_limit=Decimal("1500"))


def spend(dollars: str) -> None:
    month = timezone.localdate().replace(day=1)
    Spending.objects.update_or_create(month=month, defaults={"cost": Decimal(dollars)})


def page(user: User, address: str = "/tickets/") -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("address", PAGES)
def test_every_page_says_that_reading_is_paused_by_whom_and_why(agent: User, reviewed: Ticket, address: str) -> None:
    Pause.begin(by="Lea", reason="The new fit <b>looks</b> odd")
    shown = page(agent, address.format(number=reviewed.number))
    assert 'id="banner-pause"' in shown and "by Lea: The new fit &lt;b&gt;looks&lt;/b&gt; odd." in shown
    assert 'id="resume"' not in shown  # an agent may not


def test_without_a_pause_and_with_money_left_no_page_says_anything(lead: User, limited: None) -> None:
    assert 'class="banner' not in page(lead)


def test_a_lead_resumes_from_the_banner(lead: User) -> None:
    Pause.begin(by="Ada")
    assert 'id="resume"' in page(lead)
    client = Client()
    client.force_login(lead)
    answer = client.post("/pause/end/", follow=True)
    assert "The machine reads on." in answer.content.decode()
    assert 'id="banner-pause"' not in page(lead)
    assert Pause.objects.get().ended_by == "Lea"


def test_an_agent_and_a_visitor_end_no_pause(agent: User, client: Client) -> None:
    Pause.begin(by="Ada")
    assert client.post("/pause/end/")["Location"].startswith("/sign-in/")
    client.force_login(agent)
    assert client.post("/pause/end/").status_code == 403
    assert client.get("/pause/end/").status_code == 405
    assert Pause.in_force() is not None


@pytest.mark.parametrize("address", PAGES)
def test_every_page_tells_everybody_that_the_budget_is_spent_and_who_reads_now(
    agent: User, reviewed: Ticket, limited: None, address: str
) -> None:
    spend("1500")
    shown = page(agent, address.format(number=reviewed.number))
    assert 'id="banner-budget"' in shown and "$1,500.00 for this month" in shown
    assert "read by the local engine alone until 1 " in shown
    assert "Change the budget" not in shown


@pytest.mark.parametrize(("spent", "step"), [("1199", 0), ("1200", 80), ("1425", 95), ("1499", 95)])
def test_who_can_raise_the_budget_is_warned_from_four_fifths_on(
    boss: User, agent: User, limited: None, spent: str, step: int
) -> None:
    spend(spent)
    shown = page(boss)
    assert ('id="banner-budget"' in shown) == bool(step)
    if step:
        assert f"{step} % of the language model" in shown and "Change the budget" in shown
    assert 'id="banner-budget"' not in page(agent)


def test_a_desk_without_a_model_has_no_budget_to_speak_of(boss: User, settings: Settings, limited: None) -> None:
    settings.ANTHROPIC_API_KEY = ""
    spend("1500")
    assert 'id="banner-budget"' not in page(boss)


def test_in_admin_to_add_a_pause_is_to_pause_and_the_action_ends_it(boss: User, client: Client) -> None:
    client.force_login(boss)
    assert client.post("/admin/triage/pause/add/", {"reason": "Trying prompts"}).status_code == 302
    pause = Pause.objects.get()
    assert (pause.begun_by, pause.reason) == ("boss", "Trying prompts")
    client.post("/admin/triage/pause/add/", {"reason": "Once more"})
    assert Pause.objects.count() == 1
    assert client.post(f"/admin/triage/pause/{pause.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post("/admin/triage/pause/", {"action": "resume", "_selected_action": [pause.pk]})
    assert Pause.in_force() is None
