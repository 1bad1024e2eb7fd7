from __future__ import annotations

from django.test import Client

from triage.models import User


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
