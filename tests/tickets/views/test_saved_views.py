from __future__ import annotations

import pytest
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets.actions.errors import Forbidden
from tickets.actions.views import delete_view, rename_view, save_view
from tickets.models import Agent, Habits, Team, Ticket, View
from triage.models import User


def test_a_view_keeps_the_filters_and_is_counted(client: Client, agent: User, make_ticket: MakeTicket) -> None:
    ticket = make_ticket()
    Ticket.objects.filter(pk=ticket.pk).update(priority="P1")
    make_ticket()
    client.force_login(agent)
    form = {"name": "  Fires ", "query": "?priority=P1&sort=due&nonsense=1&before=1.2", "scope": "own"}
    page = client.post("/tickets/views/", form, follow=True)
    view = View.objects.get()
    assert (view.name, view.query) == ("Fires", "sort=due&priority=P1"), "neither paging nor nonsense is kept"
    assert page.context["views"][0].here
    shown = client.get("/tickets/").content.decode()
    assert f'id="count-view-{view.pk}">1<' in shown


def test_views_are_ones_own_a_teams_or_everybodys(agent: User, colleague: User, lead: User, auditor: User) -> None:
    software = Team.objects.get(key="software")
    save_view(name="Mine", query="", scope=View.Scope.OWN, by=agent)
    save_view(name="Ours", query="", scope=View.Scope.TEAM, team=software, by=agent)
    save_view(name="All", query="", scope=View.Scope.EVERYONE, by=lead)
    assert [view.name for view in View.objects.of(agent)] == ["All", "Mine", "Ours"]
    assert [view.name for view in View.objects.of(colleague)] == ["All"]
    with pytest.raises(Forbidden):
        save_view(name="For all", query="", scope=View.Scope.EVERYONE, by=agent)
    with pytest.raises(Forbidden):
        save_view(name="Theirs", query="", scope=View.Scope.TEAM, team=software, by=colleague)


def test_only_its_maker_and_leads_change_a_shared_view(agent: User, colleague: User, lead: User) -> None:
    view = save_view(name="All", query="", scope=View.Scope.EVERYONE, by=lead)
    with pytest.raises(Forbidden):
        rename_view(view=view, name="Mine now", by=agent)
    with pytest.raises(Forbidden):
        delete_view(view=view, by=colleague)
    delete_view(view=view, by=lead)
    assert not View.objects.exists()


def test_who_is_an_auditor_by_now_changes_nothing_that_others_see(agent: User, lead: User) -> None:
    software = Team.objects.get(key="software")
    ours = save_view(name="Ours", query="", scope=View.Scope.TEAM, team=software, by=agent)
    mine = save_view(name="Mine", query="", scope=View.Scope.OWN, by=agent)
    Agent.objects.filter(user=agent).update(role="auditor")
    by = User.objects.get(pk=agent.pk)
    with pytest.raises(Forbidden):
        delete_view(view=ours, by=by)
    delete_view(view=mine, by=by)
    delete_view(view=ours, by=lead)


def test_a_view_of_others_is_not_there(client: Client, agent: User, colleague: User) -> None:
    view = save_view(name="Mine", query="", scope=View.Scope.OWN, by=agent)
    client.force_login(colleague)
    assert client.post(f"/tickets/views/{view.pk}/", {"delete": "1"}).status_code == 404


def test_a_name_is_given_once(client: Client, agent: User) -> None:
    save_view(name="Fires", query="", scope=View.Scope.OWN, by=agent)
    client.force_login(agent)
    page = client.post("/tickets/views/", {"name": "fires", "query": "?priority=P1", "scope": "own"}, follow=True)
    assert "You have a view" in page.content.decode()
    assert View.objects.count() == 1


def test_a_view_is_renamed_and_deleted_on_its_page(client: Client, agent: User) -> None:
    view = save_view(name="Fires", query="priority=P1", scope=View.Scope.OWN, by=agent)
    client.force_login(agent)
    client.post(f"/tickets/views/{view.pk}/", {"name": "Hot"})
    view.refresh_from_db()
    assert view.name == "Hot"
    assert client.post(f"/tickets/views/{view.pk}/", {"delete": "1"}).headers["Location"] == "/tickets/?priority=P1"
    assert not View.objects.exists()


def test_columns_and_density_are_remembered_for_each_person(client: Client, agent: User, colleague: User) -> None:
    client.force_login(agent)
    form = {"columns": "1", "column": ["category", "age"], "density": "compact", "query": "?priority=P1"}
    assert client.post("/tickets/looks/", form).headers["Location"] == "/tickets/?priority=P1"
    page = client.get("/tickets/").content.decode()
    assert 'class="without-assignee without-confidence without-excerpt without-sla without-team compact"' in page
    assert client.post("/tickets/looks/", {"query": "https://evil.example"}).headers["Location"] == "/tickets/"
    assert Habits.of(agent).queue["density"] == "compact", "what was not asked for stays"
    client.force_login(colleague)
    assert "without-" not in client.get("/tickets/").content.decode()
