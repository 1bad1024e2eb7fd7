from __future__ import annotations

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from tests.tickets.channels.conftest import NEW, ApiClient, Caller
from tickets.channels.api.limits import HEADERS
from tickets.models import Ticket
from triage.models import User, Window


@pytest.fixture(autouse=True)
def few(settings: Settings) -> None:
    settings.API_WINDOW, settings.API_PER_WINDOW, settings.API_KEYLESS_PER_WINDOW = 3_600, 5, 3


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("get", "/tickets", None, 200),
        ("post", "/tickets", NEW, 201),
        ("post", "/tickets", {}, 422),
        ("get", "/tickets/999999", None, 404),
        ("get", "/no/such/address", None, 404),
        ("put", "/tickets", None, 405),
        ("post", "/tickets/1/approval", {}, 403),
        ("get", "/openapi.json", None, 200),
        ("get", "/docs", None, 200),
    ],
)
def test_every_answer_tells_what_is_left(api: ApiClient, method: str, path: str, body: object, status: int) -> None:
    answer = api.send(method, path, body)
    assert answer.status_code == status
    assert [answer[name] for name in HEADERS] == ["5", "4", "3600"]


def test_so_does_an_answer_to_a_host_that_is_not_ours(api: ApiClient) -> None:
    answer = api.get("/api/v1/tickets", headers={"Host": "elsewhere.example"})
    assert (answer.status_code, answer[HEADERS[1]]) == (400, "4")


def test_the_request_too_many_is_a_problem_that_says_when_to_come_back(api: ApiClient) -> None:
    assert [api.send("post", "/tickets", NEW).status_code for _ in range(6)] == [201] * 5 + [429]
    answer = api.send("post", "/tickets", NEW)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "too_many_requests" and "Retry-After" in answer.json()["detail"]
    assert 0 < int(answer["Retry-After"]) <= 7_200
    assert [answer[name] for name in HEADERS] == ["5", "0", "3600"]
    assert answer.json()["correlation_id"] == answer["X-Correlation-ID"]
    assert Ticket.objects.count() == 5


def test_each_key_has_a_limit_of_its_own(caller: Caller) -> None:
    one, other = caller(name="one"), caller(name="other")
    for _ in range(6):
        one.send("get", "/stats")
    assert other.send("get", "/stats").status_code == 200


def test_who_guesses_keys_is_held_up_by_address_and_a_key_from_there_is_not(api: ApiClient) -> None:
    guesses = [ApiClient(f"td_{number}").send("get", "/stats") for number in range(4)]
    assert [guess.status_code for guess in guesses] == [401, 401, 401, 429]
    assert guesses[0][HEADERS[0]] == "3"
    assert api.send("get", "/stats").status_code == 200


def test_no_header_that_anybody_may_set_makes_another_address(taxonomy: None) -> None:
    answers = [
        Client().get("/api/v1/stats", headers={"X-Forwarded-For": f"198.51.100.{number}"}) for number in range(4)
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]


def test_pages_of_the_desk_are_not_counted(client: Client, agent: User) -> None:
    client.force_login(agent)
    assert HEADERS[0] not in client.get("/tickets/")
    assert Window.objects.count() == 0


def test_a_limit_of_nothing_is_none(api: ApiClient, settings: Settings) -> None:
    settings.API_PER_WINDOW = 0
    answers = [api.send("get", "/stats") for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200} and HEADERS[0] not in answers[0]


def test_a_database_that_does_not_answer_is_503(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr("tickets.channels.api.limits.window.take", gone)
    answer = api.send("get", "/stats")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
