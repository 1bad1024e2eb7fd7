"""A POST to an address that somebody configured: to the public network alone, and to nowhere else by a detour.

PostingError
├── NotAllowed   this address must not be called: ask a person
├── Gone         it answered 410: nobody is to call it any more
└── TryAgain     it was not taken: later, and not before `after` seconds where it said so
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpcore2
from django.utils import timezone

TIMEOUT = 10.0  # seconds for all of it: name, connection, request and answer
CONNECT = 5.0
MOST_READ = 64_000  # bytes of an answer; what is longer is cut off
EXCERPT = 500
LONGEST_WAIT = 6 * 3600  # seconds; a receiver that asks for more is asked again then
_UNQUOTED = "/%:@!$&'()*+,;=~-._?"


class PostingError(Exception):
    """`status` is what was answered, 0 where nothing was; `answer` the beginning of what it said."""

    def __init__(self, sentence: str, status: int = 0, *, answer: str = "", after: float = 0.0) -> None:
        super().__init__(sentence)
        self.status, self.answer, self.after = status, answer, after


class NotAllowed(PostingError):
    pass


class Gone(PostingError):
    pass


class TryAgain(PostingError):
    pass


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    milliseconds: int
    text: str = ""


class Poster:
    """Sends to many addresses at once, over connections that are kept for a moment.

    Names are resolved here, every address of a name is judged, and the one that was judged is called. Redirects are
    not followed. `private` allows addresses of one's own network, `http` those without TLS.
    """

    def __init__(self, *, private: bool, http: bool) -> None:
        self.http = http
        self._pinning = _Pinning(private=private)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=1_000,
            max_keepalive_connections=100,
            keepalive_expiry=5.0,
            network_backend=self._pinning,
        )

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)
        self._pinning.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send it once. Raises PostingError."""
        target = _target(url, http=self.http)
        began = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT):
                status, given, text = await self._exchange(target, body, headers)
        except TimeoutError as error:
            raise TryAgain(f"It took longer than {TIMEOUT:g} s.") from error
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise TryAgain(_why(error)) from error
        if 200 <= status < 300:
            return Answer(status, int((time.monotonic() - began) * 1000), text)
        if status == 410:
            raise Gone("It answered 410: nobody is to call it any more.", status, answer=text)
        moved = " It leads elsewhere, and that is not followed." if 300 <= status < 400 else ""
        raise TryAgain(f"It answered {status}.{moved}", status, answer=text, after=_retry_after(given))

    async def _exchange(
        self, target: httpcore2.URL, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and the beginning of the answer."""
        patience = {"connect": CONNECT, "read": TIMEOUT, "write": TIMEOUT, "pool": TIMEOUT}
        given = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        extensions = {"timeout": patience}
        async with self._pool.stream("POST", target, headers=given, content=body, extensions=extensions) as response:
            read = bytearray()
            async for chunk in response.aiter_stream():
                read += chunk
                if len(read) >= MOST_READ:
                    break
            said = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return response.status, said, read[: EXCERPT * 4].decode("utf-8", "replace").replace("\x00", "")[:EXCERPT]


def allowed(url: str, *, http: bool) -> tuple[str, int]:
    """Host and port of an address that may be configured at all. Raises NotAllowed."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as wrong:
        raise NotAllowed("This is no address.") from wrong
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotAllowed("An address begins with https:// and names a host.")
    if parts.scheme == "http" and not http:
        raise NotAllowed("An address begins with https://: what is sent over http can be read on its way.")
    if parts.username or parts.password:
        raise NotAllowed("No user name or password in an address: what is sent is signed instead.")
    return parts.hostname, port


def _target(url: str, *, http: bool) -> httpcore2.URL:
    host, port = allowed(url, http=http)
    parts = urlsplit(url)
    path = quote(parts.path or "/", safe=_UNQUOTED) + (f"?{quote(parts.query, safe=_UNQUOTED)}" if parts.query else "")
    try:
        name = host.encode("ascii") if host.isascii() else host.encode("idna")
    except UnicodeError as wrong:
        raise NotAllowed("This is no name of a host.") from wrong
    explicit = port if parts.port else None
    return httpcore2.URL(scheme=parts.scheme.encode(), host=name, port=explicit, target=path.encode("ascii"))


def _why(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"The connection is not safe: {cause.reason or 'TLS failed'}."
        cause = cause.__cause__ or cause.__context__
    return next((sentence for kind, sentence in _SENTENCES if isinstance(error, kind)), "It hung up.")


_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (httpcore2.ConnectError, "Nothing answers at this address."),
    (httpcore2.ConnectTimeout, f"No connection within {CONNECT:g} s."),
    (httpcore2.TimeoutException, f"It took longer than {TIMEOUT:g} s."),
    (httpcore2.ProtocolError, "It hung up, or what it answered is no HTTP."),
)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the answer asks to wait; 0 where it does not say, or nothing that can be understood."""
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit() and len(given) < 10:
        return float(min(int(given), LONGEST_WAIT))
    try:
        wait = (parsedate_to_datetime(given) - timezone.now()).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(wait, 0.0), float(LONGEST_WAIT))


class _Pinning(httpcore2.AsyncNetworkBackend):
    """Connects to an address that was judged, whatever its name stands for by then. TLS is judged by the name."""

    def __init__(self, *, private: bool) -> None:
        self.private = private
        self._sockets = httpcore2.AnyIOBackend()
        self._names = ThreadPoolExecutor(32, "names")  # a name server that says nothing holds up no other name

    def close(self) -> None:
        self._names.shutdown(wait=False, cancel_futures=True)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore2's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await asyncio.get_running_loop().run_in_executor(
            self._names, lambda: resolve(host, port, private=self.private)
        )
        last: Exception | None = None
        for address in addresses[:3]:
            try:
                return await self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last = error
        raise last or TryAgain(f"The name {host} has no address.")


def resolve(host: str, port: int, *, private: bool) -> list[str]:
    """The addresses of a name, all of which may be called. Raises NotAllowed where one must not, TryAgain."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TryAgain(f"The name {host} is not known.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not private and (inside := [one for one in addresses if not is_public(one)]):
        raise NotAllowed(f"{host} is {inside[0]}, an address of one's own network. Those are not called.")
    return addresses


def is_public(address: str) -> bool:
    """Whether it is of the public internet; one that carries another (IPv4 in IPv6) is judged by that."""
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        inner = one.ipv4_mapped or one.sixtofour or (one.teredo[1] if one.teredo else None)
        if one in _NAT64:
            inner = ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)
        if inner is None and one not in _GIVEN_OUT:
            return False
        one = inner or one
    return one.is_global and not one.is_multicast


_GIVEN_OUT = ipaddress.ip_network("2000::/3")  # all of IPv6 that stands for machines of the internet (RFC 4291)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
