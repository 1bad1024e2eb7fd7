"""GitHub's REST API, as far as the desk speaks it: pages by Link, conditional requests, limits, names that changed.

GithubError
├── Limited       not before `until`: whoever asks later is answered
├── Unavailable   no answer, or none that can be read: again after a while. `maybe_done`: it may have been done
├── Denied        401 and 403: a person has to see to the rights
├── Gone          404, 410, 451: the repository or issue is not there, or not for this account
└── Rejected      422 and all else: what was sent is not acceptable
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
from django.utils import timezone

TIMEOUT = httpx2.Timeout(15.0, connect=5.0)
MOST_REDIRECTS = 3
SECONDARY = timedelta(minutes=1)  # what GitHub asks for where it does not say how long
LONGEST = timedelta(hours=2)  # no answer holds the desk up for longer
MOST_READ = 40_000_000  # bytes of one answer
_LINK = re.compile(r'<([^>]+)>\s*;\s*rel="([^"]+)"')


class GithubError(Exception):
    """GitHub did not do it. The message is a sentence for a person; `status` is what it answered, 0 for nothing."""

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


class Limited(GithubError):
    def __init__(self, sentence: str, until: datetime, status: int = 0) -> None:
        super().__init__(sentence, status)
        self.until = until


class Unavailable(GithubError):
    def __init__(self, sentence: str, status: int = 0, *, maybe_done: bool = True) -> None:
        super().__init__(sentence, status)
        self.maybe_done = maybe_done


class Denied(GithubError):
    pass


class Gone(GithubError):
    pass


class Rejected(GithubError):
    pass


@dataclass(frozen=True, slots=True)
class Answer:
    """`content` is None where nothing has changed (304). `links` are addresses by rel; `moved`: it has another name."""

    content: Any
    etag: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    moved: bool = False
    remaining: int | None = None
    limit: int | None = None
    resets_at: datetime | None = None

    @property
    def unchanged(self) -> bool:
        return self.content is None

    @property
    def next_url(self) -> str:
        return self.links.get("next", "")


class Github:
    """One account's way to one GitHub. A context manager; used by one thread at a time.

    `base_url` is https://api.github.com, or https://HOST/api/v3 of an Enterprise server. Nothing but that origin is
    ever called: where an answer leads elsewhere, the token does not follow.
    """

    def __init__(self, base_url: str, token: str = "") -> None:
        self.base_url = base_url.rstrip("/")
        self._client = httpx2.Client(timeout=TIMEOUT, follow_redirects=False, headers=_headers(token))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, *, etag: str = "", **parameters: str | int) -> Answer:
        """One answer. `path` begins with / or is an address that GitHub gave. Raises GithubError."""
        return self._ask("GET", path, parameters=parameters, etag=etag)

    def pages(self, path: str, *, most: int = 50, **parameters: str | int) -> Iterator[Answer]:
        """Page after page, 100 each, as `Link` leads from one to the next. Raises GithubError."""
        answer = self._ask("GET", path, parameters={"per_page": 100, **parameters})
        for _ in range(most):
            yield answer
            if not answer.next_url:
                return
            answer = self.get(answer.next_url)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        return self._ask("POST", path, body=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Answer:
        return self._ask("PATCH", path, body=body)

    def delete(self, path: str) -> Answer:
        return self._ask("DELETE", path)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        etag: str = "",
    ) -> Answer:
        url = path if "://" in path else f"{self.base_url}{path}"
        moved, extra = False, {"If-None-Match": etag} if etag else {}
        for _ in range(MOST_REDIRECTS + 1):
            self._stay_here(url)
            response = self._send(method, url, parameters, body, extra)
            if response.status_code not in (301, 302, 307, 308):
                return _answer(response, moved=moved)
            url, moved, parameters = str(response.url.join(response.headers.get("Location", ""))), True, None
        raise Unavailable("GitHub sends us from one address to the next.", maybe_done=False)

    def _stay_here(self, url: str) -> None:
        """Raises Denied for an address that is not of this GitHub: it would be told our token."""
        ours, theirs = urlsplit(self.base_url), urlsplit(url)
        if (ours.scheme, ours.netloc.lower()) != (theirs.scheme, theirs.netloc.lower()):
            raise Denied(f"GitHub leads to {theirs.netloc or 'nowhere'}, which is another host. That is not followed.")

    def _send(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
        extra: Mapping[str, str],
    ) -> httpx2.Response:
        try:
            return self._client.request(
                method, url, params=dict(parameters) if parameters else None, json=body, headers=dict(extra)
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
            raise Unavailable(f"GitHub cannot be reached: {_words(error)}.", maybe_done=False) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise Unavailable(f"GitHub broke off: {_words(error)}.", maybe_done=method != "GET") from error


def _headers(token: str) -> dict[str, str]:
    headers = {
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": "Triage-Desk",
    }
    return {**headers, "Authorization": f"Bearer {token}"} if token else headers


def _answer(response: httpx2.Response, *, moved: bool) -> Answer:
    """What was answered, or the error it stands for."""
    status, remaining = response.status_code, _number(response, "x-ratelimit-remaining")
    if status == 304:
        content: Any = None
    elif 200 <= status < 300:
        content = _content(response)
    else:
        raise _error(response, remaining)
    return Answer(
        content=content,
        etag=response.headers.get("etag", ""),
        links={rel: url for url, rel in _LINK.findall(response.headers.get("link", ""))},
        moved=moved,
        remaining=remaining,
        limit=_number(response, "x-ratelimit-limit"),
        resets_at=_resets_at(response),
    )


def _content(response: httpx2.Response) -> Any:
    if response.status_code == 204 or not response.content:
        return {}
    if len(response.content) > MOST_READ:
        raise Unavailable("GitHub's answer is too long.", response.status_code)
    try:
        return response.json()
    except ValueError as error:  # cut short on the way, or a page of some proxy
        raise Unavailable("GitHub's answer could not be read to its end.", response.status_code) from error


def _error(response: httpx2.Response, remaining: int | None) -> GithubError:
    status, said = response.status_code, _said(response)
    if status in (403, 429) and (until := _limited_until(response, remaining, said)):
        return Limited(f"GitHub takes no requests of this account until {until:%H:%M:%S} UTC.", until, status)
    if status >= 500 or status == 408:
        return Unavailable(f"GitHub answered {status}.", status)
    if status == 401:
        return Denied(f"GitHub does not take this account's credentials: {said}.", status)
    if status == 403:
        return Denied(f"GitHub does not allow this: {said}.", status)
    if status in (404, 410, 451):
        return Gone(f"GitHub has nothing there, or not for this account: {said}.", status)
    return Rejected(f"GitHub answered {status}: {said}.", status)


def _limited_until(response: httpx2.Response, remaining: int | None, said: str) -> datetime | None:
    """When a request may be made again; None where it was refused for another reason than too many of them.

    In the order of GitHub's documentation: retry-after, then x-ratelimit-reset where nothing remains, else a minute.
    """
    now = timezone.now()
    after = _number(response, "retry-after")
    if after is not None:
        until = now + timedelta(seconds=after)
    elif remaining == 0:
        until = _resets_at(response) or now + SECONDARY
    elif response.status_code == 429 or "rate limit" in said.lower() or "abuse" in said.lower():
        until = now + SECONDARY
    else:
        return None
    return min(max(until, now + timedelta(seconds=1)), now + LONGEST)


def _resets_at(response: httpx2.Response) -> datetime | None:
    seconds = _number(response, "x-ratelimit-reset")
    if seconds is None or not 0 < seconds < time.time() + 365 * 86_400:
        return None
    return datetime.fromtimestamp(seconds + 1, UTC)


def _number(response: httpx2.Response, header: str) -> int | None:
    given = response.headers.get(header, "").strip()
    return int(given) if given.isascii() and given.isdigit() and len(given) < 12 else None


def _said(response: httpx2.Response) -> str:
    """GitHub's own words about an error, on one line."""
    try:
        content = response.json()
        said = str(content.get("message", "")) if isinstance(content, dict) else ""
    except ValueError:
        said = ""
    return " ".join(said.split())[:200].rstrip(".") or f"{response.status_code} without a reason"


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
