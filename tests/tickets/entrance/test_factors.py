"""The second factor: an app with its codes, recovery codes, and that it can be asked of people."""

from __future__ import annotations

import re

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client

from tests.tickets.entrance.conftest import PASSWORD, code_at, set_up_app, sign_in
from tickets.actions import people
from tickets.actions.errors import Forbidden, Invalid
from tickets.models import SecurityEvent, SignInPolicy, Ticket
from triage.models import User

STEP = "/sign-in/second-step/"


def test_a_code_is_asked_after_the_password_and_opens_once(client: Client, agent: User) -> None:
    secret = set_up_app(client, agent)
    client.post("/sign-out/")
    assert sign_in(client, agent) == STEP
    assert client.get("/tickets/")["Location"].startswith("/sign-in/")
    assert client.post(STEP, {"code": "000000"}).status_code == 200
    right = code_at(secret)
    assert client.post(STEP, {"code": right})["Location"] == "/tickets/"
    assert client.get("/tickets/").status_code == 200
    client.post("/sign-out/")
    assert sign_in(client, agent) == STEP
    assert "used already" in client.post(STEP, {"code": right}).content.decode()
    assert client.get("/tickets/").status_code == 302


def test_it_goes_on_to_where_the_person_wanted_to_go(client: Client, agent: User) -> None:
    secret = set_up_app(client, agent)
    client.post("/sign-out/")
    client.post("/sign-in/", {"username": "ada", "password": PASSWORD, "next": "/welcome/"})
    assert client.post(STEP, {"code": code_at(secret)})["Location"] == "/welcome/"


def test_a_secret_lies_encrypted_in_the_database(client: Client, agent: User) -> None:
    secret = set_up_app(client, agent)
    held = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in held and len(held) > 80


def test_a_recovery_code_opens_once_in_place_of_the_app(client: Client, agent: User) -> None:
    set_up_app(client, agent)
    page = client.get("/settings/security/recovery-codes/").content.decode()
    codes = re.findall(r"<code>(\d{8})</code>", page)
    assert len(codes) == 10
    saved = client.get("/settings/security/recovery-codes/file/")
    assert saved["Content-Disposition"].startswith("attachment") and codes[3] in saved.content.decode()
    for expected in (302, 200):
        client.post("/sign-out/")
        sign_in(client, agent)
        assert client.post(STEP, {"code": codes[3]}).status_code == expected


def test_guesses_at_the_second_step_make_it_wait_for_the_right_code_too(client: Client, agent: User) -> None:
    secret = set_up_app(client, agent)
    client.post("/sign-out/")
    sign_in(client, agent)
    assert [client.post(STEP, {"code": "000000"}).status_code for _ in range(5)] == [200] * 5
    answer = client.post(STEP, {"code": code_at(secret)})
    assert answer.status_code == 429 and "Try again in" in answer.content.decode()
    another = Client(REMOTE_ADDR="203.0.113.9")
    sign_in(another, agent)
    assert another.post(STEP, {"code": code_at(secret)}).status_code == 429


def test_the_app_is_taken_away_with_the_password_only(client: Client, agent: User) -> None:
    set_up_app(client, agent)
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": 0.0}]  # signed in long ago
    session.save()
    answer = client.post("/settings/security/authenticator/removal/")
    assert answer["Location"].startswith("/sign-in/again/")
    assert Authenticator.objects.filter(type="totp").exists()
    assert client.post("/sign-in/again/", {"password": "wrong"}).status_code == 200
    client.post(answer["Location"], {"password": PASSWORD})
    client.post("/settings/security/authenticator/removal/")
    assert not Authenticator.objects.exists()
    client.post("/sign-out/")
    assert sign_in(client, agent) == "/tickets/"


def test_what_was_set_up_and_taken_away_is_in_the_security_log(client: Client, agent: User) -> None:
    set_up_app(client, agent)
    rows = SecurityEvent.objects.filter(noun="factor", verb="added", person=agent.pk)
    assert {row.after["type"] for row in rows} == {"totp", "recovery_codes"}
    assert {row.actor for row in rows} == {f"user:{agent.pk}"}
    assert all(row.correlation_id for row in rows)
    client.post("/settings/security/authenticator/removal/")
    assert SecurityEvent.objects.filter(noun="factor", verb="removed").count() == 2


def test_whoever_owes_a_second_factor_does_nothing_before_it_is_set_up(
    client: Client, agent: User, admin_of_desk: User, reviewed: Ticket
) -> None:
    people.ask_second_factor(of=SignInPolicy.EVERYBODY, by=admin_of_desk)
    sign_in(client, agent)
    for address in ("/tickets/", reviewed.get_absolute_url(), "/settings/", "/settings/security/", "/", "/admin/"):
        assert client.get(address)["Location"] == "/settings/security/first/", address
    answer = client.get("/tickets/changes/?since=0", headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == "/settings/security/first/"
    client.post(f"/tickets/{reviewed.number}/status/", {"status": "closed"})
    reviewed.refresh_from_db()
    assert reviewed.status == "in_review"
    assert 'id="enrol-app"' in client.get("/settings/security/first/").content.decode()
    set_up_app(client, agent)
    assert client.get("/tickets/").status_code == 200


def test_it_can_be_asked_of_admins_and_leads_alone(agent: User, lead: User, admin_of_desk: User) -> None:
    people.ask_second_factor(of=SignInPolicy.ADMINS, by=admin_of_desk)
    for user, asked in ((agent, False), (lead, True), (admin_of_desk, True)):
        client = Client()
        client.force_login(user)
        assert (client.get("/welcome/").status_code == 302) is asked, user
    people.ask_second_factor(of=SignInPolicy.NOBODY, by=admin_of_desk)
    client = Client()
    client.force_login(lead)
    assert client.get("/welcome/").status_code == 200


def test_only_an_admin_asks_it_of_people(agent: User, lead: User, auditor: User, admin_of_desk: User) -> None:
    for user in (agent, lead, auditor):
        with pytest.raises(Forbidden):
            people.ask_second_factor(of=SignInPolicy.EVERYBODY, by=user)
    with pytest.raises(Invalid):
        people.ask_second_factor(of="dogs", by=admin_of_desk)
    assert SignInPolicy.now() == SignInPolicy.NOBODY


def test_the_person_their_role_and_what_they_owe_are_one_query(
    client: Client, agent: User, django_assert_num_queries: object
) -> None:
    client.force_login(agent)
    client.get("/settings/security/first/")
    with django_assert_num_queries(2):  # type: ignore[operator]  # the session, and the person
        client.get("/settings/security/first/")
    cache.clear()
    with django_assert_num_queries(3):  # type: ignore[operator]  # and, every five minutes, that they were seen
        client.get("/settings/security/first/")
