"""The pages on which people are invited, changed and let go, and what their log says."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from tests.tickets.channels.conftest import ApiClient
from tickets.actions import keys
from tickets.models import Agent, Invitation, Team, Ticket
from triage.models import User


@pytest.fixture
def admin(client: Client, admin_of_desk: User) -> Client:
    client.force_login(admin_of_desk)
    return client


def test_the_list_shows_role_teams_load_and_who_is_away_or_gone(admin: Client, agent: User, reviewed: Ticket) -> None:
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=agent)
    Agent.objects.filter(user=agent).update(available=False, capacity=9)
    User.objects.create_user("gone", "gone@example.org", is_active=False)
    Agent.objects.create(user=User.objects.get(username="gone"))
    shown = admin.get("/settings/people/").content.decode()
    row = next(row for row in shown.split("<tr") if "ada@example.org" in row)
    assert "Agent" in row and "Away" in row and "Software" in row and "1<span" in row and "of 9" in row
    assert "Deactivated" in next(row for row in shown.split("<tr") if "gone@example.org" in row)


def test_an_auditor_looks_at_people_and_is_offered_no_button(client: Client, auditor: User, agent: User) -> None:
    client.force_login(auditor)
    for address in ("/settings/people/", f"/settings/people/{agent.pk}/"):
        shown = client.get(address).content.decode()
        assert 'id="invite' not in shown and 'id="deactivate"' not in shown and 'id="person-save"' not in shown


def test_an_invitation_goes_by_mail_and_its_link_makes_the_account(admin: Client) -> None:
    admin.post("/settings/people/invitations/", {"email": "nora@example.org", "role": "agent", "teams": ["billing"]})
    assert mail.outbox[0].to == ["nora@example.org"]
    link = re.search(r"http://\S+(/invitation/\S+)", str(mail.outbox[0].body))
    assert link is not None
    visitor = Client()
    assert "nora@example.org" in visitor.get(link[1]).content.decode()
    answer = visitor.post(link[1], {"username": "nora", "password": "a long password", "first_name": "Nora"})
    assert answer["Location"] == "/tickets/"
    assert visitor.get("/tickets/").status_code == 200
    assert Agent.objects.get(user__username="nora").teams.get().key == "billing"
    visitor.post("/sign-out/")
    assert visitor.get(link[1]).status_code == 410
    assert visitor.post(link[1], {"username": "x", "password": "a long password"}).status_code == 410


def test_where_mail_becomes_files_the_link_is_shown_once(admin: Client, settings: Settings, tmp_path: object) -> None:
    settings.EMAIL_BACKEND = "tickets.channels.email.files.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    values = {"email": "nora@example.org", "role": "agent"}
    shown = admin.post("/settings/people/invitations/", values).content.decode()
    assert Invitation.objects.get().signed_id in shown
    assert Invitation.objects.get().signed_id not in admin.get("/settings/people/").content.decode()


def test_a_mail_server_that_does_not_answer_loses_no_invitation(admin: Client, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    shown = admin.post("/settings/people/invitations/", {"email": "nora@example.org", "role": "agent"}).content.decode()
    assert "did not take the mail" in shown and Invitation.objects.get().signed_id in shown


def test_whoever_is_signed_in_takes_no_invitation_of_another(admin: Client, agent: User) -> None:
    admin.post("/settings/people/invitations/", {"email": "nora@example.org", "role": "admin"})
    client = Client()
    client.force_login(agent)
    address = f"/invitation/{Invitation.objects.get().signed_id}/"
    assert client.post(address, {"username": "nora", "password": "a long password"}).status_code == 409
    assert not User.objects.filter(username="nora").exists()
    assert Agent.objects.get(user=agent).role == "agent"


def test_an_invitation_is_taken_back(admin: Client) -> None:
    admin.post("/settings/people/invitations/", {"email": "nora@example.org", "role": "agent"})
    held = Invitation.objects.get()
    admin.post(f"/settings/people/invitations/{held.pk}/revocation/")
    assert Client().get(f"/invitation/{held.signed_id}/").status_code == 410
    assert "Take back the invitation" not in admin.get("/settings/people/").content.decode()


def test_another_role_holds_from_the_next_click(admin: Client, agent: User, reviewed: Ticket) -> None:
    desk = Client()
    desk.force_login(agent)
    assert desk.post(f"/tickets/{reviewed.number}/comments/", {"text": "Look"}).status_code != 403
    values = {"role": "auditor", "teams": ["billing"], "capacity": "10", "available": "on"}
    assert admin.post(f"/settings/people/{agent.pk}/", values)["Location"] == "/settings/people/"
    assert desk.post(f"/tickets/{reviewed.number}/comments/", {"text": "Look"}).status_code == 403
    admin.post(f"/settings/people/{agent.pk}/", {**values, "role": "agent"})
    assert desk.get(reviewed.get_absolute_url()).status_code == 404


def test_the_last_admin_is_told_why_they_stay_one(admin: Client, admin_of_desk: User) -> None:
    answer = admin.post(f"/settings/people/{admin_of_desk.pk}/", {"role": "lead", "capacity": "25"})
    assert answer.status_code == 409
    assert "last admin" in answer.content.decode()


def test_who_is_let_go_while_signed_in_is_out_with_page_fragment_and_key(
    admin: Client, agent: User, reviewed: Ticket
) -> None:
    _, key = keys.create(name="own", scopes=["read"], username="ada", source_name="API")
    desk, api = Client(), ApiClient(key)
    desk.force_login(agent)
    assert desk.get("/tickets/").status_code == 200
    assert api.send("get", "/stats").status_code == 200
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=agent)
    answer = admin.post(f"/settings/people/{agent.pk}/deactivation/", follow=True)
    assert "1 open ticket" in answer.content.decode()
    assert desk.get("/tickets/")["Location"].startswith("/sign-in/")
    draft = desk.post(f"/tickets/{reviewed.number}/draft/", {"text": "Half"}, headers={"HX-Request": "true"})
    assert draft["HX-Redirect"].startswith("/sign-in/")
    assert api.send("get", "/stats").status_code == 401
    assert desk.post("/sign-in/", {"username": "ada", "password": "a long password"})["Location"] == "/sign-in/ended/"
    admin.post(f"/settings/people/{agent.pk}/deactivation/", {"undo": "1"})
    assert desk.post("/sign-in/", {"username": "ada", "password": "a long password"})["Location"] == "/tickets/"
    assert api.send("get", "/stats").status_code == 401


def test_an_admin_ends_the_sessions_of_another(admin: Client, agent: User) -> None:
    cache.clear()
    desk = Client()
    desk.force_login(agent)
    desk.get("/tickets/")
    admin.post(f"/settings/people/{agent.pk}/sessions/end/")
    assert desk.get("/tickets/").status_code == 302


def test_the_log_tells_who_did_what_to_whom(admin: Client, admin_of_desk: User, agent: User) -> None:
    admin.post("/settings/people/invitations/", {"email": "nora@example.org", "role": "lead"})
    values = {"role": "lead", "teams": ["billing"], "capacity": "10"}
    admin.post(f"/settings/people/{agent.pk}/", values, headers={"X-Correlation-ID": "corr-5678"})
    admin.post(f"/settings/people/{agent.pk}/deactivation/")
    admin.post("/settings/people/second-factor/", {"second_factor": "admins"})
    shown = admin.get("/settings/security-log/")
    assert shown.status_code == 302, "alma is an admin, and owes a second factor now"
    admin.logout()
    User.objects.create_superuser("root")
    auditing = Client()
    auditor = User.objects.create_user("otto")
    Agent.objects.create(user=auditor, role="auditor")
    auditing.force_login(auditor)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", auditing.get("/settings/security-log/").content.decode()))
    name = Team.objects.get(key="billing").name
    for words in (
        "Alma invited nora@example.org as Lead",
        "Alma changed the role of Ada",
        "Role: Agent → Lead",
        f"Alma put Ada into {name}",
        "Alma deactivated Ada",
        "Alma asks a second factor of admins and leads",
        "corr-567",
    ):
        assert words in text, words
    about = auditing.get(f"/settings/security-log/?person={agent.pk}").content.decode()
    assert "invited" not in about and "deactivated" in about


def test_the_log_is_read_page_by_page(admin: Client, agent: User) -> None:
    for number in range(60):
        Agent.objects.filter(user=agent).update(role="lead" if number % 2 else "auditor")
    first = admin.get("/settings/security-log/")
    older = first.context["older"]
    second = admin.get(f"/settings/security-log/?before={older}")
    assert len(first.context["rows"]) == 50 and len(second.context["rows"]) >= 10
    assert max(row.event.pk for row in second.context["rows"]) < older
