from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpcore2
import pytest

from tests.receivers import receiving
from tickets.webhooks import posting


def _post(url: str, *, private: bool = False) -> posting.Answer:
    async def once() -> posting.Answer:
        async with posting.Poster(private=private, http=True) as poster:
            return await poster.post(url, b"{}", {"Content-Type": "application/json"})

    return asyncio.run(once())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "198.18.0.1",
        "255.255.255.255",
        "fec0::1",
        "::127.0.0.1",
        "64:ff9b:1::7f00:1",
        "ff02::1",
    ],
)
def test_an_address_of_ones_own_network_is_not_public_in_whatever_guise(address: str) -> None:
    assert not posting.is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert posting.is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "//example.com",
        "https://u:p@example.com/",
        "http://a:b/",
    ],
)
def test_what_is_no_address_to_post_to_is_refused(url: str) -> None:
    with pytest.raises(posting.NotAllowed):
        posting.allowed(url, http=True)


def test_an_address_without_tls_is_refused_unless_it_is_allowed() -> None:
    with pytest.raises(posting.NotAllowed, match="https"):
        posting.allowed("http://example.com/", http=False)
    assert posting.allowed("http://example.com/", http=True) == ("example.com", 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_no_way_of_writing_it_leads_into_ones_own_network(host: str) -> None:
    with receiving() as receiver:
        with pytest.raises(posting.NotAllowed):
            _post(f"http://{host}:{receiver.port}/")
        assert receiver.heard == []


def _resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Names stand for these addresses, the first time and the next; gives the names that were asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *given: Any, **named: Any) -> Any:
        if host != "hooks.example.com":
            return real(host, port, *given, **named)
        asked.append(host)
        return [(socket.AF_INET, 1, 6, "", (one, port)) for one in answers[min(len(asked), len(answers)) - 1]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def _connecting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No connection is made; gives the addresses to which one was to be."""
    called: list[str] = []

    async def connect(self: Any, host: str, *_: Any, **__: Any) -> Any:
        called.append(host)
        raise httpcore2.ConnectError("no network here")

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect)
    return called


def test_every_address_of_a_name_is_judged_before_any_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is public does not excuse the other."""
    _resolving(monkeypatch, ["93.184.216.34", "10.0.0.7"])
    called = _connecting(monkeypatch)
    with pytest.raises(posting.NotAllowed, match=r"10\.0\.0\.7"):
        _post("https://hooks.example.com/x")
    assert called == []


def test_the_address_that_was_judged_is_the_one_that_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that stands for 127.0.0.1 a moment later is not asked again in between."""
    asked = _resolving(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    called = _connecting(monkeypatch)
    with pytest.raises(posting.TryAgain):
        _post("http://hooks.example.com/x")
    assert (called, len(asked)) == (["93.184.216.34"], 1)


def test_a_name_that_leads_inward_at_the_second_look_up_is_refused_then(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        _resolving(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
        reached: list[str] = []
        real = httpcore2.AnyIOBackend.connect_tcp

        async def connect(self: Any, host: str, port: int, *given: Any, **named: Any) -> Any:
            """The internet stands on loopback here."""
            reached.append(host)
            return await real(self, "127.0.0.1", port, *given, **named)

        monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect)
        assert _post(f"http://hooks.example.com:{receiver.port}/").status == 200
        with pytest.raises(posting.NotAllowed, match="one's own network"):
            _post(f"http://hooks.example.com:{receiver.port}/")
        assert (reached, len(receiver.heard)) == (["93.184.216.34"], 1)


def test_it_names_the_host_that_was_configured_and_asks_for_the_path_as_it_is() -> None:
    with receiving() as receiver:
        _post(f"http://localhost:{receiver.port}/a/%20b?c=d&e=ü", private=True)
        headers, body = receiver.heard[0]
    assert (headers["host"], body) == (f"localhost:{receiver.port}", b"{}")
