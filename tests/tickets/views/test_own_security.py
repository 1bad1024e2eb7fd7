"""One's own password, sessions and a forgotten password."""

from __future__ import annotations

import re

import pytest
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.cache import cache
from django.test import Client

from tickets.views.devices import device_of
from triage.models import User

NEW = {"password1": "quite another word", "password2": "quite another word"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    cache.clear()


def signed_in(user: User, **browser: str) -> Client:
    client = Client(**browser)  # type: ignore[arg-type]
    answer = client.post("/sign-in/", {"username": user.username, "password": "a long password"})
    assert answer.status_code == 302
    return client


def test_sign_in_takes_the_address_in_place_of_the_name_and_counts_guesses_of_both(client: Client, agent: User) -> None:
    for name in ("ada", "ADA@example.org", "ada", "ada@example.org", "Ada"):
        client.post("/sign-in/", {"username": name, "password": "wrong"})
    assert client.post("/sign-in/", {"username": "ada@example.org", "password": "a long password"}).status_code == 429
    other = Client(REMOTE_ADDR="203.0.113.9")
    User.objects.create_user("bob", "bob@example.org", "a long password")
    answer = other.post("/sign-in/", {"username": "bob@example.org", "password": "a long password"})
    assert answer["Location"] == "/tickets/"


def test_sessions_are_listed_with_device_and_address_and_ended_one_by_one(agent: User) -> None:
    here = signed_in(agent, HTTP_USER_AGENT=FIREFOX)
    there = signed_in(agent, HTTP_USER_AGENT="curl/8", REMOTE_ADDR="203.0.113.9")
    shown = here.get("/settings/security/").content.decode()
    assert "Firefox on Linux" in shown and "curl" in shown and "203.0.113.9" in shown
    assert shown.index("This one") < shown.index("203.0.113.9")
    row = UserSession.objects.get(ip="203.0.113.9")
    here.post(f"/settings/security/sessions/{row.pk}/end/")
    assert there.get("/tickets/").status_code == 302
    assert here.get("/tickets/").status_code == 200


def test_all_other_sessions_are_ended_at_once(agent: User) -> None:
    here, *others = [signed_in(agent) for _ in range(3)]
    here.post("/settings/security/sessions/end/")
    assert [one.get("/tickets/").status_code for one in others] == [302, 302]
    assert here.get("/tickets/").status_code == 200


def test_nobody_ends_a_session_of_somebody_else(agent: User, colleague: User) -> None:
    there = signed_in(agent)
    row = UserSession.objects.get(user=agent)
    assert signed_in(colleague).post(f"/settings/security/sessions/{row.pk}/end/").status_code == 404
    assert there.get("/tickets/").status_code == 200


def test_a_session_that_was_there_before_the_list_is_put_on_it(client: Client, agent: User) -> None:
    client.force_login(agent)
    assert not UserSession.objects.exists()
    client.get("/tickets/")
    assert UserSession.objects.get().user == agent


def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(agent: User) -> None:
    here, there = signed_in(agent), signed_in(agent)
    assert here.post("/settings/security/password/", {"oldpassword": "wrong", **NEW}).status_code == 200
    assert here.post("/settings/security/password/", {"oldpassword": "a long password", **NEW}).status_code == 302
    assert here.get("/tickets/").status_code == 200
    assert there.get("/tickets/").status_code == 302
    agent.refresh_from_db()
    assert agent.check_password("quite another word")


def test_the_old_password_is_not_guessed_without_end(agent: User) -> None:
    here = signed_in(agent)
    tries = [here.post("/settings/security/password/", {"oldpassword": "wrong", **NEW}).status_code for _ in range(6)]
    assert tries == [200] * 5 + [429]


def test_a_forgotten_password_is_answered_alike_whoever_is_asked_for(client: Client, agent: User) -> None:
    answers = [
        client.post("/sign-in/forgotten/", {"email": email}, follow=True)
        for email in ("ada@example.org", "nobody@example.com")
    ]
    assert answers[0].redirect_chain == answers[1].redirect_chain
    assert answers[0].content == answers[1].content
    assert [sent.to for sent in mail.outbox] == [["ada@example.org"]]


def test_the_link_of_a_forgotten_password_sets_another_once_and_ends_all_sessions(client: Client, agent: User) -> None:
    there = signed_in(agent)
    client.post("/sign-in/forgotten/", {"email": "ADA@example.org"})
    assert "ada" in mail.outbox[0].body
    link = re.search(r"http://[^/]+(/sign-in/forgotten/\S+)", str(mail.outbox[0].body))
    assert link is not None
    form = client.get(link[1])["Location"]
    assert client.post(form, NEW)["Location"] == "/sign-in/?changed=1"
    assert there.get("/tickets/").status_code == 302
    assert client.post("/sign-in/", {"username": "ada", "password": "quite another word"}).status_code == 302
    assert "used already" in Client().get(link[1]).content.decode()


def test_asking_for_links_without_end_is_braked(client: Client, agent: User) -> None:
    asked = [client.post("/sign-in/forgotten/", {"email": "ada@example.org"}).status_code for _ in range(6)]
    assert asked == [302] * 5 + [429]
    assert len(mail.outbox) == 5


def test_who_was_let_go_gets_no_link(client: Client, agent: User) -> None:
    User.objects.filter(pk=agent.pk).update(is_active=False)
    client.post("/sign-in/forgotten/", {"email": "ada@example.org"})
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("agent_words", "device"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.0", "curl"),
        ("", "An unknown program"),
    ],
)
def test_a_device_is_named_as_people_name_it(agent_words: str, device: str) -> None:
    assert device_of(agent_words) == device
