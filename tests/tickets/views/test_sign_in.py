from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse

from triage.models import Attempt, User

RIGHT = {"username": "lea", "password": "a long password"}


def guess(client: Client, username: str = "lea", **request: Any) -> Any:
    return client.post("/sign-in/", {"username": username, "password": "wrong"}, **request)


def test_the_form_posts_to_its_own_address_and_opens_the_queue(client: Client, lead: User) -> None:
    assert b'name="username"' in client.get("/sign-in/").content
    answer = client.post("/sign-in/", {"username": "lea", "password": "a long password"})
    assert answer["Location"] == "/tickets/"


def test_it_goes_on_to_where_the_person_wanted_to_go_but_never_to_another_site(client: Client, lead: User) -> None:
    values = {"username": "lea", "password": "a long password"}
    assert client.post("/sign-in/", {**values, "next": "/welcome/"})["Location"] == "/welcome/"
    client.logout()
    assert client.post("/sign-in/", {**values, "next": "https://evil.example/"})["Location"] == "/tickets/"


def test_a_wrong_password_is_told_without_saying_which_was_wrong(client: Client, lead: User) -> None:
    for name in ("lea", "nobody"):
        answer = client.post("/sign-in/", {"username": name, "password": "wrong"})
        assert "do not go together" in answer.content.decode()


def test_signing_out_takes_a_post(client: Client, lead: User) -> None:
    client.force_login(lead)
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/")["Location"] == "/sign-in/"


def test_a_page_that_is_not_there_says_so_with_the_number_to_ask_with(client: Client, db: None) -> None:
    answer = client.get("/nothing/", headers={"X-Correlation-ID": "abcdef123456"})
    assert answer.status_code == 404
    assert "abcdef123456" in answer.content.decode()


def test_an_expired_form_is_explained(lead: User) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/sign-in/", {"username": "lea", "password": "a long password"})
    assert answer.status_code == 403
    assert "This page was open too long" in answer.content.decode()


def test_a_fault_is_shown_with_its_number_and_without_its_cause(
    client: Client, lead: User, monkeypatch: object
) -> None:
    from tickets.views import queue

    client.raise_request_exception = False
    client.force_login(lead)

    def broken(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(queue, "queue_context", broken)  # type: ignore[attr-defined]
    answer = client.get("/tickets/", headers={"X-Correlation-ID": "abcdef123456"})
    assert answer.status_code == 500
    assert "abcdef123456" in answer.content.decode()
    assert "a secret detail" not in answer.content.decode()


def test_five_wrong_passwords_for_a_name_make_it_wait_and_the_right_one_too(client: Client, lead: User) -> None:
    assert [guess(client).status_code for _ in range(5)] == [200] * 5
    answer = client.post("/sign-in/", {**RIGHT, "next": "/welcome/"})
    assert answer.status_code == 429
    assert 890 <= int(answer["Retry-After"]) <= 900
    shown = answer.content.decode()
    assert "Try again in 15 minutes" in shown
    assert 'value="lea"' in shown and 'value="/welcome/"' in shown and "a long password" not in shown
    Attempt.objects.update(at=F("at") - timedelta(minutes=15))
    assert client.post("/sign-in/", RIGHT).status_code == 302


def test_a_name_in_other_letters_or_of_nobody_is_counted_alike(client: Client, lead: User) -> None:
    for name in ("lea", "LEA", " lea", "Lea ", "lEa"):
        guess(client, name)
    assert guess(client, "lea").status_code == 429
    assert [guess(client, "nobody").status_code for _ in range(6)] == [200] * 5 + [429]


def test_an_address_that_tries_many_names_waits_and_others_do_not(client: Client, lead: User) -> None:
    assert {guess(client, f"name{number}").status_code for number in range(20)} == {200}
    assert guess(client, "another").status_code == 429
    assert guess(client, "another", REMOTE_ADDR="203.0.113.9").status_code == 200


def test_a_header_of_the_client_makes_no_other_address_of_it(client: Client, lead: User) -> None:
    for number in range(20):
        guess(client, f"name{number}", headers={"X-Forwarded-For": f"203.0.113.{number}"})
    assert guess(client, "another", headers={"X-Forwarded-For": "203.0.113.99"}).status_code == 429


def test_signing_in_clears_the_name_but_not_what_the_address_tried_elsewhere(client: Client, lead: User) -> None:
    for number in range(19):
        guess(client, f"name{number}")
    for _ in range(2):  # somebody with an account of their own gains no guesses by it
        assert client.post("/sign-in/", RIGHT).status_code == 302
        client.logout()
    guess(client, "lea")
    assert guess(client, "another").status_code == 429


def test_who_is_signed_in_cannot_clear_the_name_of_another(client: Client, lead: User, agent: User) -> None:
    for _ in range(5):
        guess(client, "ada")
    client.force_login(lead)
    guess(client, "ada")
    client.logout()
    assert guess(client, "ada").status_code == 429


@pytest.mark.parametrize("page", ["admin:index", "admin:login"])
def test_the_admin_has_no_other_place_to_try_passwords(client: Client, lead: User, page: str) -> None:
    client.force_login(lead)
    answer = client.post(reverse(page), {"username": "admin", "password": "wrong"}, follow=True)
    assert answer.status_code == 403
    assert "You may not do that" in answer.content.decode()
