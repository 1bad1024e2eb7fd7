"""A POST to an address that somebody configured: to the public network alone, and to nowhere else by a detour.

PostingError
├── NotAllowed   this address must not be called: ask a person
├── Refused      it answered, and will not take this message (4xx): stop
└── TryAgain     it did not answer, or not yet (5xx, 429): later
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

TIMEOUT = 10.0  # seconds for each step
MOST_READ = 64_000  # bytes of an answer


class PostingError(Exception):
    """`status` is what was answered, 0 where nothing was."""

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


class NotAllowed(PostingError):
    pass


class Refused(PostingError):
    pass


class TryAgain(PostingError):
    pass


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    milliseconds: int


def post(url: str, body: bytes, headers: Mapping[str, str], *, private: bool) -> Answer:
    """Send it once. The name is resolved here, every address of it is judged, and the one that was judged is called.

    Redirects are not followed. `private` allows addresses of one's own network. Raises PostingError.
    """
    parts = urlsplit(url)
    host, port = allowed(url)
    address = _resolved(host, port, private=private)
    connection = _Pinned(host, port, address, secure=parts.scheme == "https")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    began = time.monotonic()
    try:
        connection.request("POST", path, body=body, headers=dict(headers))
        response = connection.getresponse()
        response.read(MOST_READ)
    except ssl.SSLError as error:
        raise TryAgain(f"The connection is not safe: {error.reason or 'TLS failed'}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise TryAgain(f"No answer: {type(error).__name__}.") from error
    finally:
        connection.close()
    status = response.status
    if status >= 500 or status in (408, 425, 429):
        raise TryAgain(f"It answered {status}.", status)
    if not 200 <= status < 300:
        moved = " It leads elsewhere, and that is not followed." if 300 <= status < 400 else ""
        raise Refused(f"It answered {status}.{moved}", status)
    return Answer(status, int((time.monotonic() - began) * 1000))


def allowed(url: str) -> tuple[str, int]:
    """Host and port of an address that may be configured at all. Raises NotAllowed."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as wrong:
        raise NotAllowed("This is no address.") from wrong
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotAllowed("An address begins with https:// or http:// and names a host.")
    if parts.username or parts.password:
        raise NotAllowed("No user name or password in an address: what is sent is signed instead.")
    return parts.hostname, port


def _resolved(host: str, port: int, *, private: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TryAgain(f"The name {host} is not known.") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not private and (inside := [one for one in addresses if not is_public(one)]):
        raise NotAllowed(f"{host} is {inside[0]}, an address of one's own network. Those are not called.")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether it is of the public internet; one that carries another (IPv4 in IPv6) is judged by that."""
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        inner = one.ipv4_mapped or one.sixtofour or (one.teredo[1] if one.teredo else None)
        if inner is not None:
            one = inner
        elif one in _NAT64:
            one = ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)
    return one.is_global and not one.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, whatever its name stands for by now. TLS is judged by the name."""

    def __init__(self, host: str, port: int, address: str, *, secure: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT)
        self.default_port = 443 if secure else 80  # as the Host header leaves it out
        self._address, self._secure = address, secure

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            self.sock = _context().wrap_socket(self.sock, server_hostname=self.host)


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()
