from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from tests.tickets.channels.conftest import NEW, ApiClient

SHOP = "https://shop.example.org"


@pytest.fixture(autouse=True)
def shop(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [SHOP]


def preflight(path: str, origin: str = SHOP) -> object:
    return Client().options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
        },
    )


def test_a_page_of_a_listed_origin_may_ask_first_without_a_key() -> None:
    answer = preflight("/api/v1/tickets")
    assert answer.status_code == 200  # type: ignore[attr-defined]
    told = answer.headers  # type: ignore[attr-defined]
    assert told["Access-Control-Allow-Origin"] == SHOP
    assert {"GET", "POST", "PATCH"} <= set(told["Access-Control-Allow-Methods"].split(", "))
    allowed = set(told["Access-Control-Allow-Headers"].split(", "))
    assert {"authorization", "content-type", "idempotency-key", "x-api-key"} <= allowed
    assert int(told["Access-Control-Max-Age"]) > 0


def test_it_sends_and_reads_what_is_left_to_it(api: ApiClient) -> None:
    answer = api.send("post", "/tickets", NEW, headers={**api_headers(api), "Origin": SHOP})
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (201, SHOP)
    assert {"X-RateLimit-Remaining", "Retry-After"} <= set(answer["Access-Control-Expose-Headers"].split(", "))
    assert "origin" in answer["Vary"].lower()


def test_its_script_can_read_that_it_comes_too_often(settings: Settings, taxonomy: None) -> None:
    settings.API_KEYLESS_PER_WINDOW = 1
    answers = [Client().get("/api/v1/stats", headers={"Origin": SHOP}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [401, 429]
    assert answers[1]["Access-Control-Allow-Origin"] == SHOP


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://shop.example.org", f"{SHOP}.evil.example"])
def test_any_other_origin_is_allowed_nothing(api: ApiClient, origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight("/api/v1/tickets", origin)  # type: ignore[operator]
    answer = api.send("get", "/stats", headers={**api_headers(api), "Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer


def test_cookies_are_never_asked_for(api: ApiClient) -> None:
    answer = api.send("get", "/stats", headers={**api_headers(api), "Origin": SHOP})
    assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.parametrize("path", ["/tickets/", "/support/", "/webhooks/github", "/admin/", "/healthz"])
def test_nothing_but_the_api_is_opened(db: None, path: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(path)  # type: ignore[operator]
    assert "Access-Control-Allow-Origin" not in Client().get(path, headers={"Origin": SHOP})


@pytest.mark.parametrize("listed", [[], ["*"]])
def test_no_origin_is_every_origin(settings: Settings, api: ApiClient, listed: list[str]) -> None:
    settings.CORS_ALLOWED_ORIGINS = listed
    answer = api.send("get", "/stats", headers={**api_headers(api), "Origin": SHOP})
    assert "Access-Control-Allow-Origin" not in answer


def api_headers(api: ApiClient) -> dict[str, str]:
    return {"Authorization": api.defaults["HTTP_AUTHORIZATION"]}
