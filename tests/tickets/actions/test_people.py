from __future__ import annotations

import threading

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Permission
from django.db import ProgrammingError, connection, connections, transaction
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets.actions import assignment, inviting, people
from tickets.actions.errors import Conflict, Forbidden, Invalid, Refused
from tickets.models import (
    Agent,
    ApiKey,
    Draft,
    Event,
    Invitation,
    SecurityEvent,
    Source,
    Team,
    Ticket,
    administers,
    leads,
)
from triage.correlation import acting
from triage.models import User


def change(user: User, by: User, role: str = "agent", teams: tuple[str, ...] = (), capacity: int = 25) -> Agent:
    chosen = list(Team.objects.filter(key__in=teams))
    return people.change(user=user, role=role, teams=chosen, capacity=capacity, available=True, by=by)


def fresh(user: User) -> User:
    return User.objects.get(pk=user.pk)


def test_a_role_teams_and_load_are_given_and_noted_with_before_and_after(agent: User, admin_of_desk: User) -> None:
    with acting(f"user:{admin_of_desk.pk}", correlation_id="corr-1234"):
        change(agent, admin_of_desk, role="lead", teams=("billing",), capacity=7)
    held = Agent.objects.get(user=agent)
    assert (held.role, held.capacity, [team.key for team in held.teams.all()]) == ("lead", 7, ["billing"])
    event = SecurityEvent.objects.get(noun="role", verb="changed")
    assert (event.person, event.before, event.after) == (agent.pk, {"role": "agent"}, {"role": "lead"})
    assert (event.actor, event.correlation_id) == (f"user:{admin_of_desk.pk}", "corr-1234")
    teams = {(row.verb, row.before.get("team_id") or row.after.get("team_id")) for row in _events("team")[:2]}
    keys = dict(Team.objects.values_list("key", "pk"))
    assert teams == {("added", keys["billing"]), ("removed", keys["software"])}


def test_whoever_leaves_a_team_keeps_none_of_its_tickets_but_those_they_see(
    agent: User, admin_of_desk: User, make_ticket: MakeTicket
) -> None:
    routed, unrouted = make_ticket(title="Routed"), make_ticket(title="Unrouted")
    Ticket.objects.filter(pk=routed.pk).update(team=Team.objects.get(key="software"))
    for ticket in (routed, unrouted):
        assignment.assign(ticket=ticket, to=agent, by=admin_of_desk)
    change(agent, admin_of_desk, teams=("software", "billing"))
    assert agent.assigned_tickets.count() == 2
    change(agent, admin_of_desk, teams=("billing",))
    assert [ticket.pk for ticket in agent.assigned_tickets.all()] == [unrouted.pk]
    change(agent, admin_of_desk, teams=())
    assert agent.assigned_tickets.count() == 1


def test_a_superuser_who_is_an_auditor_leads_nobody(auditor: User) -> None:
    auditor.is_superuser = True
    auditor.save()
    assert not leads(fresh(auditor)) and not administers(fresh(auditor))


def _events(noun: str) -> list[SecurityEvent]:
    return list(SecurityEvent.objects.filter(noun=noun))


def test_a_change_past_the_application_is_noted_as_the_databases(agent: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tickets_agent SET role = 'admin' WHERE user_id = %s", [agent.pk])
    event = SecurityEvent.objects.get(noun="role", verb="changed")
    assert (event.actor, event.before, event.after) == ("database", {"role": "agent"}, {"role": "admin"})


def test_the_log_never_holds_a_password_and_cannot_be_changed(agent: User) -> None:
    agent.set_password("another long password")
    agent.save()
    event = SecurityEvent.objects.filter(noun="person", verb="changed").latest("pk")
    assert (event.before, event.after) == ({"password": "set before"}, {"password": "set anew"})
    assert not SecurityEvent.objects.filter(after__password__contains="$").exists()
    for attempt in (event.delete, lambda: SecurityEvent.objects.update(actor="nobody")):
        with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
            attempt()


def test_only_admins_decide_about_people(agent: User, lead: User, auditor: User, colleague: User) -> None:
    for by in (agent, lead, auditor):
        for act in (
            lambda by=by: change(colleague, by, role="admin"),
            lambda by=by: people.deactivate(user=colleague, by=by),
            lambda by=by: people.reactivate(user=colleague, by=by),
            lambda by=by: people.reset_second_factor(user=colleague, by=by),
            lambda by=by: inviting.invite(email="x@example.org", role="agent", teams=[], by=by),
        ):
            with pytest.raises(Forbidden):
                act()
    assert Agent.objects.get(user=colleague).role == "agent"


@pytest.mark.parametrize(("role", "capacity"), [("king", 25), ("agent", -1), ("agent", 5_000)])
def test_what_is_no_role_or_no_load_is_refused(agent: User, admin_of_desk: User, role: str, capacity: int) -> None:
    with pytest.raises(Invalid):
        change(agent, admin_of_desk, role=role, capacity=capacity)


def test_the_last_admin_stays_one(admin_of_desk: User, lead: User) -> None:
    with pytest.raises(Conflict, match="last admin"):
        change(admin_of_desk, admin_of_desk, role="lead")
    change(lead, admin_of_desk, role="admin")
    change(admin_of_desk, fresh(lead), role="lead")
    with pytest.raises(Conflict, match="last admin"):
        change(lead, fresh(lead), role="auditor")
    assert administers(fresh(lead))


def test_an_admin_who_was_let_go_is_not_counted_as_one(admin_of_desk: User, lead: User) -> None:
    change(lead, admin_of_desk, role="admin")
    people.deactivate(user=lead, by=admin_of_desk)
    with pytest.raises(Conflict, match="last admin"):
        change(admin_of_desk, admin_of_desk, role="agent")


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_remove_each_other_at_once_do_not_both_succeed(admin_of_desk: User, lead: User) -> None:
    change(lead, admin_of_desk, role="admin")
    pair, outcomes, together = (fresh(admin_of_desk), fresh(lead)), [], threading.Barrier(2)

    def remove(user: User, by: User) -> None:
        try:
            together.wait(5)
            change(user, by, role="agent")
            outcomes.append("done")
        except Refused as why:
            outcomes.append(why.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=remove, args=pair), threading.Thread(target=remove, args=pair[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["done", "last_admin"]
    assert sum(administers(fresh(one)) for one in pair) == 1


def test_whoever_is_made_less_than_an_admin_keeps_no_other_rights(admin_of_desk: User) -> None:
    root = User.objects.create_superuser("root", "root@example.org", "a long password")
    Agent.objects.create(user=root, role="admin")
    root.user_permissions.set(Permission.objects.filter(codename="view_call"))
    other = User.objects.create_superuser("other")
    with pytest.raises(Forbidden, match="superuser"):
        change(root, admin_of_desk, role="auditor")
    change(root, other, role="auditor")
    held = fresh(root)
    assert (held.is_superuser, held.is_staff, held.user_permissions.count()) == (False, False, 0)
    assert not held.has_perm("tickets.change_source") and held.has_perm("tickets.view_source")


def test_who_is_let_go_hands_back_open_tickets_and_keeps_what_they_wrote(
    agent: User, admin_of_desk: User, reviewed: Ticket, make_ticket: MakeTicket
) -> None:
    done = make_ticket(title="Done long ago")
    Ticket.objects.filter(pk=done.pk).update(assignee=agent, status="resolved", resolved_at="2026-01-01T00:00Z")
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=agent)
    Draft.objects.filter(ticket=reviewed).update(text="Half a rep", editor=agent)
    with acting(f"user:{admin_of_desk.pk}"):
        assert people.deactivate(user=agent, by=admin_of_desk) == 1
    reviewed.refresh_from_db()
    done.refresh_from_db()
    assert (reviewed.assignee, done.assignee) == (None, agent)
    event = Event.objects.filter(pgh_obj=reviewed).latest("pgh_id")
    assert (event.assignee_id, event.actor) == (None, f"user:{admin_of_desk.pk}")
    assert Draft.objects.get(ticket=reviewed).text == "Half a rep"
    assert not Ticket.objects.visible_to(fresh(agent)).exists()


def test_who_is_let_go_loses_sessions_keys_and_open_invitations(
    client: Client, lead: User, admin_of_desk: User
) -> None:
    change(lead, admin_of_desk, role="admin")
    inviting.invite(email="friend@example.org", role="admin", teams=[], by=fresh(lead))
    ApiKey.objects.create(
        name="own", prefix="a", digest="b", scopes=["read"], source=Source.objects.get(kind="api"), user=lead
    )
    client.force_login(lead)
    client.get("/welcome/")
    people.deactivate(user=lead, by=admin_of_desk)
    assert not UserSession.objects.filter(user=lead).exists()
    assert ApiKey.objects.get(user=lead).revoked_at is not None
    assert Invitation.objects.get().revoked_at is not None
    people.reactivate(user=lead, by=admin_of_desk)
    assert fresh(lead).is_active and ApiKey.objects.get(user=lead).revoked_at is not None
    assert [
        row.after["is_active"] for row in _events("person") if "is_active" in row.after and row.verb == "changed"
    ] == [
        True,
        False,
    ]


def test_nobody_lets_themselves_go(admin_of_desk: User, lead: User) -> None:
    change(lead, admin_of_desk, role="admin")
    with pytest.raises(Conflict, match="themselves"):
        people.deactivate(user=admin_of_desk, by=admin_of_desk)


def test_a_lost_second_factor_is_taken_away_and_sessions_with_it(
    client: Client, agent: User, admin_of_desk: User
) -> None:
    Authenticator.objects.create(user=agent, type="totp", data={})
    client.force_login(agent)
    client.get("/welcome/")
    assert people.reset_second_factor(user=agent, by=admin_of_desk) == 1
    assert client.get("/welcome/").status_code == 302
    assert SecurityEvent.objects.filter(noun="session", person=agent.pk, before={"sessions": 1}).exists()
