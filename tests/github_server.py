"""A GitHub on loopback, as its REST documentation says: pages, ETags, limits, redirects, Apps; failures by script.

with GithubServer() as github:
    github.repository("acme/shop").issue("It crashes", body="On start.")
    github.fail("GET", "/issues", status=502)
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

Json = dict[str, Any]


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Failure:
    """What happens to the next requests that fit instead of an answer, or with it."""

    method: str
    path: str
    times: int
    status: int = 0
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    half: bool = False  # the answer is cut in the middle
    silent: bool = False  # it is done, and the connection closed without a word


@dataclass
class Repo:
    server: GithubServer
    id: int
    full_name: str
    private: bool = False
    permission: str = "admin"
    issues: dict[int, Json] = field(default_factory=dict)
    comments: dict[int, Json] = field(default_factory=dict)
    former: list[str] = field(default_factory=list)
    deleted: bool = False

    def issue(
        self, title: str, *, body: str | None = "", author: str = "kim", at: datetime | None = None, **more: Any
    ) -> Json:
        number = len(self.issues) + 1
        moment = stamp(at or self.server.tick())
        web = f"{self.server.url}/{self.full_name}"
        one: Json = {
            "id": self.id * 10_000 + number, "number": number, "title": title, "body": body, "state": "open",
            "state_reason": None, "user": self.server.user(author), "labels": [], "assignees": [], "locked": False,
            "author_association": "NONE", "html_url": f"{web}/issues/{number}", "comments": 0, "milestone": None,
            "url": f"{self.server.url}/repos/{self.full_name}/issues/{number}",
            "created_at": moment, "updated_at": moment, "closed_at": None, **more,
        }  # fmt: skip
        self.issues[number] = one
        return one

    def pull(self, title: str, **more: Any) -> Json:
        return self.issue(title, pull_request={"url": f"{self.server.url}/pull"}, **more)

    def comment(
        self, number: int, body: str, *, author: str = "kim", association: str = "NONE", at: datetime | None = None
    ) -> Json:
        moment = stamp(at or self.server.tick())
        identity = self.id * 100_000 + len(self.comments) + 1
        one: Json = {
            "id": identity, "body": body, "user": self.server.user(author), "author_association": association,
            "html_url": f"{self.server.url}/{self.full_name}/issues/{number}#issuecomment-{identity}",
            "issue_url": f"{self.server.url}/repos/{self.full_name}/issues/{number}",
            "created_at": moment, "updated_at": moment,
        }  # fmt: skip
        self.comments[identity] = one
        self.issues[number]["comments"] += 1
        self.issues[number]["updated_at"] = moment
        return one

    def comments_of(self, number: int) -> list[Json]:
        return [one for one in self.comments.values() if one["issue_url"].endswith(f"/{number}")]

    def change(self, number: int, **fields: Any) -> Json:
        self.issues[number] |= {**fields, "updated_at": stamp(self.server.tick())}
        return self.issues[number]

    def rename(self, full_name: str) -> None:
        self.former.append(self.full_name)
        self.full_name = full_name

    def as_json(self) -> Json:
        owner, _, name = self.full_name.partition("/")
        ranks = ["pull", "triage", "push", "maintain", "admin"]
        rights = {rank: ranks.index(rank) <= ranks.index(self.permission) for rank in ranks}
        return {
            "id": self.id, "name": name, "full_name": self.full_name, "private": self.private, "archived": False,
            "owner": self.server.user(owner), "html_url": f"{self.server.url}/{self.full_name}",
            "description": f"All about {name}", "permissions": rights, "open_issues_count": len(self.issues),
        }  # fmt: skip

    def event(self, name: str, action: str, number: int, **more: Any) -> Json:
        """The payload of a webhook about an issue."""
        about = {"pull_request": self.issues[number]} if name == "pull_request" else {"issue": self.issues[number]}
        sender = more.pop("sender", self.issues[number]["user"]["login"])
        return {
            "action": action, **about, **more, "repository": self.as_json(), "sender": self.server.user(sender)
        }  # fmt: skip


class GithubServer:
    def __init__(self) -> None:
        self.repos: list[Repo] = []
        self.tokens = {"ghp_desk": "desk-bot"}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.failures: list[Failure] = []
        self.remaining, self.limit, self.resets_at = 5_000, 5_000, int(time.time()) + 3_600
        self.app_id, self.app_slug = "4242", "acme-triage"
        self.installations: dict[int, tuple[str, list[Repo]]] = {}
        self.installation_tokens: dict[str, int] = {}
        self.token_seconds = 3_600
        self._key: rsa.RSAPrivateKey | None = None
        self._ids: dict[str, int] = {}
        self._clock = datetime(2026, 1, 5, 9, tzinfo=UTC)
        self._lock = threading.RLock()
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._httpd.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._httpd.server_address[1]}"

    @property
    def private_key(self) -> str:
        return self._rsa().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()  # fmt: skip

    def _rsa(self) -> rsa.RSAPrivateKey:
        if self._key is None:
            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self._key

    def tick(self, **by: float) -> datetime:
        """Time goes on by a minute with everything that happens there, so that each thing has a time of its own."""
        with self._lock:
            self._clock += timedelta(**(by or {"minutes": 1}))
            return self._clock

    def user(self, login: str) -> Json:
        number = self._ids.setdefault(login, 1_000 + len(self._ids))
        return {"login": login, "id": number, "type": "Bot" if login.endswith("[bot]") else "User"}

    def repository(self, full_name: str, **more: Any) -> Repo:
        repo = Repo(self, 700 + len(self.repos), full_name, **more)
        self.repos.append(repo)
        return repo

    def install(self, installation_id: int, login: str, repos: list[Repo]) -> None:
        self.installations[installation_id] = (login, repos)

    def fail(self, method: str, path: str, *, times: int = 1, **how: Any) -> None:
        """The next `times` requests of this method whose address holds `path` (a pattern) go wrong."""
        self.failures.append(Failure(method, path, times, **how))

    def asked(self, method: str, path: str = "") -> list[str]:
        """Addresses that were asked for so far."""
        return [url for verb, url, _ in self.requests if verb == method and re.search(path, url)]

    def failure_for(self, method: str, url: str) -> Failure | None:
        with self._lock:
            for failure in self.failures:
                if failure.method == method and failure.times > 0 and re.search(failure.path, url):
                    failure.times -= 1
                    return failure
        return None

    # Who asks

    def login_of(self, authorization: str) -> tuple[str, str]:
        """(kind, login): kind is token, app, installation, nobody or wrong."""
        token = authorization.removeprefix("Bearer ").removeprefix("token ")
        if not token:
            return "nobody", ""
        if token in self.tokens:
            return "token", self.tokens[token]
        if token in self.installation_tokens:
            return "installation", str(self.installation_tokens[token])
        try:
            claims = jwt.decode(token, self._rsa().public_key(), algorithms=["RS256"])
        except jwt.PyJWTError:
            return "wrong", ""
        if claims["exp"] - claims["iat"] > 660 or claims["iat"] > time.time():
            return "wrong", ""
        return ("app", self.app_slug) if claims["iss"] == self.app_id else ("wrong", "")

    def find(self, full_name: str, kind: str, login: str) -> Repo | str | None:
        """The repository, the address it moved to, or None where it is not there or not to be seen."""
        for repo in self.repos:
            if repo.deleted:
                continue
            seen = not repo.private or kind == "token"
            if kind == "installation":
                seen = repo in self.installations[int(login)][1]
            if repo.full_name.lower() == full_name.lower():
                return repo if seen else None
            if full_name.lower() in [name.lower() for name in repo.former]:
                return f"{self.url}/repositories/{repo.id}" if seen else None
        return None


def signed(secret: str, payload: Json, name: str, delivery: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a webhook, as GitHub sends it."""
    body = json.dumps(payload).encode()
    return body, {
        "X-GitHub-Event": name,
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
        "User-Agent": "GitHub-Hookshot/044aadd",
    }


class Answered(Exception):
    def __init__(self, status: int, content: Any = None, **headers: str) -> None:
        self.status, self.content, self.headers = status, content, headers


def _handler_of(server: GithubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            server.requests.append((self.command, self.path, dict(self.headers.items())))
            failure = server.failure_for(self.command, self.path)
            if failure and failure.status:
                self._send(failure.status, {"message": failure.message or "Broken by script"}, failure.headers)
                return
            try:
                with server._lock:
                    _answer(server, self.command, self.path, body, self.headers.get("Authorization", ""))
            except Answered as answered:
                if failure and failure.silent:
                    self.close_connection = True
                    return
                self._finish(answered, half=bool(failure and failure.half))

        do_GET = do_POST = do_PATCH = do_DELETE = _serve

        def _finish(self, answered: Answered, *, half: bool) -> None:
            headers = {name.replace("_", "-"): value for name, value in answered.headers.items()}
            if self.command == "GET" and answered.status == 200:
                etag = f'"{hashlib.sha256(json.dumps(answered.content).encode()).hexdigest()[:20]}"'
                headers["ETag"] = etag
                if self.headers.get("If-None-Match") == etag:
                    self._send(304, None, headers)
                    return
            server.remaining = max(0, server.remaining - 1)
            self._send(answered.status, answered.content, headers, half=half)

        def _send(self, status: int, content: Any, headers: dict[str, str], *, half: bool = False) -> None:
            body = b"" if content is None else json.dumps(content).encode()
            if half:
                body = body[: len(body) // 2]
            limits = {
                "X-RateLimit-Limit": str(server.limit),
                "X-RateLimit-Remaining": str(server.remaining),
                "X-RateLimit-Reset": str(server.resets_at),
            }
            self.send_response(status)
            for name, value in {**limits, **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _answer(server: GithubServer, method: str, url: str, body: Json, authorization: str) -> None:
    """Raises Answered, always."""
    kind, login = server.login_of(authorization)
    if kind == "wrong":
        raise Answered(401, {"message": "Bad credentials"})
    if server.remaining <= 0:
        raise Answered(403, {"message": "API rate limit exceeded for user ID 1."})
    parts = urlsplit(url)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    for verb, pattern, respond in ROUTES:
        match = re.fullmatch(pattern, parts.path)
        if verb == method and match:
            respond(
                Asked(server, parts.path, asked, body, kind, login), *[unquote(one or "") for one in match.groups()]
            )
    raise Answered(404, {"message": "Not Found"})


@dataclass
class Asked:
    server: GithubServer
    path: str
    query: dict[str, str]
    body: Json
    kind: str
    login: str

    def repo(self, full_name: str) -> Repo:
        found = self.server.find(full_name, self.kind, self.login)
        if isinstance(found, str):
            rest = re.sub(rf"^/repos/{re.escape(full_name)}", "", self.path)
            query = f"?{urlencode(self.query)}" if self.query else ""
            status = 301 if not self.body else 307
            raise Answered(
                status, {"message": "Moved Permanently", "url": f"{found}{rest}"}, Location=f"{found}{rest}{query}"
            )
        if found is None:
            raise Answered(404, {"message": "Not Found"})
        return found

    def page(self, items: list[Json]) -> None:
        size, number = min(int(self.query.get("per_page", 30)), 100), int(self.query.get("page", 1))
        last = max(1, -(-len(items) // size))
        links = []
        if number < last:
            links = [("next", number + 1), ("last", last)]
        if number > 1:
            links += [("prev", number - 1), ("first", 1)]
        line = ", ".join(
            f'<{self.server.url}{self.path}?{urlencode({**self.query, "page": to})}>; rel="{rel}"' for rel, to in links
        )
        raise Answered(200, items[(number - 1) * size : number * size], **({"Link": line} if line else {}))

    def writer(self) -> str:
        if self.kind == "installation":
            return f"{self.server.app_slug}[bot]"
        if self.kind != "token":
            raise Answered(401, {"message": "Requires authentication"})
        return self.login


def _sorted(asked: Asked, items: list[Json]) -> list[Json]:
    since = asked.query.get("since", "")
    by = "updated_at" if asked.query.get("sort") == "updated" else "created_at"
    found = [one for one in items if one["updated_at"] >= since]
    return sorted(found, key=lambda one: (one[by], one["id"]), reverse=asked.query.get("direction") != "asc")


def _user(asked: Asked) -> None:
    raise Answered(200, asked.server.user(asked.writer()))


def _my_repos(asked: Asked) -> None:
    asked.writer()
    asked.page([repo.as_json() for repo in asked.server.repos if not repo.deleted])


def _my_orgs(asked: Asked) -> None:
    owners = dict.fromkeys(repo.full_name.partition("/")[0] for repo in asked.server.repos)
    asked.page([{"login": owner, "id": 1} for owner in owners if owner != asked.writer()])


def _repository(asked: Asked, full_name: str) -> None:
    raise Answered(200, asked.repo(full_name).as_json())


def _by_id(asked: Asked, number: str, rest: str) -> None:
    repo = next((one for one in asked.server.repos if one.id == int(number) and not one.deleted), None)
    if repo is None:
        raise Answered(404, {"message": "Not Found"})
    asked.path = f"/repos/{repo.full_name}{rest}"
    method = "GET" if not asked.body else "POST"
    for verb, pattern, respond in ROUTES:
        match = re.fullmatch(pattern, asked.path)
        if verb == method and match:
            respond(asked, *[unquote(one or "") for one in match.groups()])
    raise Answered(404, {"message": "Not Found"})


def _issues(asked: Asked, full_name: str) -> None:
    issues = list(asked.repo(full_name).issues.values())
    wanted = asked.query.get("state", "open")
    asked.page(_sorted(asked, [one for one in issues if wanted in ("all", one["state"])]))


def _all_comments(asked: Asked, full_name: str) -> None:
    asked.page(_sorted(asked, list(asked.repo(full_name).comments.values())))


def _issue(asked: Asked, full_name: str, number: str) -> tuple[Repo, Json]:
    repo = asked.repo(full_name)
    if int(number) not in repo.issues:
        raise Answered(410, {"message": "This issue was deleted"})
    return repo, repo.issues[int(number)]


def _comments(asked: Asked, full_name: str, number: str) -> None:
    repo, _ = _issue(asked, full_name, number)
    since = asked.query.get("since", "")
    asked.page([one for one in repo.comments_of(int(number)) if one["updated_at"] >= since])


def _write_comment(asked: Asked, full_name: str, number: str) -> None:
    repo, issue = _issue(asked, full_name, number)
    author = asked.writer()
    if issue["locked"]:
        raise Answered(403, {"message": "Unable to create comment because issue is locked."})
    if not asked.body.get("body"):
        raise Answered(422, {"message": "Validation Failed"})
    made = repo.comment(int(number), asked.body["body"], author=author, at=datetime.now(UTC))
    if asked.kind == "installation":
        made["performed_via_github_app"] = {"id": int(asked.server.app_id)}
    raise Answered(201, made)


def _write_issue(asked: Asked, full_name: str, number: str) -> None:
    repo, _ = _issue(asked, full_name, number)
    asked.writer()
    raise Answered(200, repo.change(int(number), **asked.body))


def _add_labels(asked: Asked, full_name: str, number: str) -> None:
    _, issue = _issue(asked, full_name, number)
    asked.writer()
    there = {label["name"] for label in issue["labels"]}
    issue["labels"] += [{"name": name, "color": "ededed"} for name in asked.body["labels"] if name not in there]
    raise Answered(200, issue["labels"])


def _remove_label(asked: Asked, full_name: str, number: str, label: str) -> None:
    _, issue = _issue(asked, full_name, number)
    if label not in [one["name"] for one in issue["labels"]]:
        raise Answered(404, {"message": "Label does not exist"})
    issue["labels"] = [one for one in issue["labels"] if one["name"] != label]
    raise Answered(200, issue["labels"])


def _app(asked: Asked) -> None:
    if asked.kind != "app":
        raise Answered(401, {"message": "A JSON web token could not be decoded"})
    raise Answered(200, {"id": int(asked.server.app_id), "slug": asked.server.app_slug})


def _installations(asked: Asked) -> None:
    if asked.kind != "app":
        raise Answered(401, {"message": "A JSON web token could not be decoded"})
    listed = asked.server.installations.items()
    asked.page([{"id": one, "account": {"login": login}, "suspended_at": None} for one, (login, _) in listed])


def _access_token(asked: Asked, number: str) -> None:
    if asked.kind != "app" or int(number) not in asked.server.installations:
        raise Answered(404, {"message": "Not Found"})
    token = f"ghs_{len(asked.server.installation_tokens) + 1}"
    asked.server.installation_tokens[token] = int(number)
    ends = datetime.now(UTC) + timedelta(seconds=asked.server.token_seconds)
    raise Answered(201, {"token": token, "expires_at": stamp(ends)})


def _installed_repos(asked: Asked) -> None:
    if asked.kind != "installation":
        raise Answered(403, {"message": "Resource not accessible"})
    repos = [repo.as_json() for repo in asked.server.installations[int(asked.login)][1]]
    try:
        asked.page(repos)
    except Answered as answered:
        answered.content = {"total_count": len(repos), "repositories": answered.content}
        raise


NAME = r"([^/]+/[^/]+)"
ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", "/user", _user),
    ("GET", "/user/repos", _my_repos),
    ("GET", "/user/orgs", _my_orgs),
    ("GET", "/app", _app),
    ("GET", "/app/installations", _installations),
    ("POST", r"/app/installations/(\d+)/access_tokens", _access_token),
    ("GET", "/installation/repositories", _installed_repos),
    ("GET", r"/repositories/(\d+)(/.*)?", _by_id),
    ("POST", r"/repositories/(\d+)(/.*)?", _by_id),
    ("GET", f"/repos/{NAME}", _repository),
    ("GET", f"/repos/{NAME}/issues", _issues),
    ("GET", f"/repos/{NAME}/issues/comments", _all_comments),
    ("GET", rf"/repos/{NAME}/issues/(\d+)/comments", _comments),
    ("POST", rf"/repos/{NAME}/issues/(\d+)/comments", _write_comment),
    ("PATCH", rf"/repos/{NAME}/issues/(\d+)", _write_issue),
    ("POST", rf"/repos/{NAME}/issues/(\d+)/labels", _add_labels),
    ("DELETE", rf"/repos/{NAME}/issues/(\d+)/labels/(.+)", _remove_label),
]
