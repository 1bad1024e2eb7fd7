"""Who sent a request: the peer of the connection, or what a trusted proxy says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_CLAIMS = ("HTTP_X_FORWARDED_", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


def networks(given: str) -> list[Network]:
    """The addresses and networks of a comma-separated list. ValueError names the first that is none."""
    return [ipaddress.ip_network(part.strip()) for part in given.split(",") if part.strip()]


class ProxyMiddleware:
    """Drop what a peer says of itself, unless it is one of TRUSTED_PROXIES: then REMOTE_ADDR is its client's.

    Anybody can send X-Forwarded-For. A proxy appends the peer it saw, so the list is read from its end, and the first
    address that is no proxy of ours is the client: what stands before it is the client's own word.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent_by = request.META.get("REMOTE_ADDR", "")
        peer = address_of(sent_by)
        if peer is not None and _is_in(peer, settings.TRUSTED_PROXIES):
            request.META["REMOTE_ADDR"] = str(client_of(sent_by, request.META.get("HTTP_X_FORWARDED_FOR", "")))
        else:
            for name in [name for name in request.META if name.startswith(_CLAIMS)]:
                del request.META[name]
        return self.get_response(request)


def client_of(peer: str, forwarded: str) -> Address | None:
    """Whose a request is, by who sent it and by its X-Forwarded-For, where one of TRUSTED_PROXIES sent it."""
    address, trusted = address_of(peer), settings.TRUSTED_PROXIES
    return _client(address, forwarded, trusted) if address is not None and _is_in(address, trusted) else address


def address_of(given: str) -> Address | None:
    """An address as a proxy or a server writes it; an IPv4 one that came over IPv6 is an IPv4 one."""
    try:
        found = ipaddress.ip_address(given.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _client(peer: Address, forwarded: str, trusted: Sequence[Network]) -> Address:
    client = peer
    for hop in reversed(forwarded.split(",")):
        address = address_of(hop)
        if address is None:
            break
        client = address
        if not _is_in(client, trusted):
            break
    return client


def _is_in(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
