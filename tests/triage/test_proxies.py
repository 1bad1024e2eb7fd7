from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from triage.proxies import ProxyMiddleware, networks

PROXY, INNER_PROXY, CUSTOMER = "10.0.0.5", "10.0.0.6", "203.0.113.9"


@pytest.fixture(autouse=True)
def trusted(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = networks("10.0.0.0/29, fd00::1")
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


def passed(peer: str, **headers: str) -> HttpRequest:
    """The request as the desk sees it."""
    seen: list[HttpRequest] = []

    def desk(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    ProxyMiddleware(desk)(RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers))
    return seen[0]


def test_a_trusted_proxy_says_whether_its_client_came_over_tls() -> None:
    assert passed(PROXY, X_Forwarded_Proto="https").is_secure()
    assert not passed(PROXY, X_Forwarded_Proto="http").is_secure()


def test_nobody_else_can_say_so() -> None:
    request = passed(
        CUSTOMER, X_Forwarded_Proto="https", X_Forwarded_For="1.2.3.4", Forwarded="for=1.2.3.4;proto=https"
    )
    assert not request.is_secure()
    assert request.META["REMOTE_ADDR"] == CUSTOMER
    assert not [name for name in request.headers if "forwarded" in name.lower()]


def test_the_client_is_the_last_address_that_is_no_proxy_of_ours() -> None:
    assert passed(PROXY, X_Forwarded_For=CUSTOMER).META["REMOTE_ADDR"] == CUSTOMER
    assert passed(PROXY, X_Forwarded_For=f"{CUSTOMER}, {INNER_PROXY}").META["REMOTE_ADDR"] == CUSTOMER
    assert passed("fd00::1", X_Forwarded_For="2001:db8::7").META["REMOTE_ADDR"] == "2001:db8::7"
    assert passed("::ffff:10.0.0.5", X_Forwarded_For=CUSTOMER).META["REMOTE_ADDR"] == CUSTOMER


def test_what_the_client_wrote_before_its_proxy_did_counts_for_nothing() -> None:
    assert passed(PROXY, X_Forwarded_For=f"1.2.3.4, {CUSTOMER}").META["REMOTE_ADDR"] == CUSTOMER


@pytest.mark.parametrize("forwarded", ["", "unknown", "' OR 1=1"])
def test_a_proxy_that_names_nobody_stands_for_its_client(forwarded: str) -> None:
    assert passed(PROXY, X_Forwarded_For=forwarded).META["REMOTE_ADDR"] == PROXY


def test_a_request_over_a_socket_has_no_address_and_no_say() -> None:
    assert not passed("", X_Forwarded_Proto="https").is_secure()


@pytest.mark.parametrize("given", ["nginx", "10.0.0.1/33", "10.0.0.1/8", "10.0.0.1;10.0.0.2"])
def test_what_is_no_network_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"10|nginx"):
        networks(given)


def test_nothing_is_no_network() -> None:
    assert networks(" , ") == []
