"""A provider of identities on loopback: GitHub and OpenID Connect, as far as a sign-in speaks with them.

It checks what a real one checks: the client's secret, that a code is used once, and its verifier (PKCE).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "the secret of the desk"
CLIENT = "desk"


@dataclass
class Person:
    """Who is signed in at the provider, and which addresses it says are verified."""

    subject: str
    name: str = "Nora Sand"
    emails: dict[str, bool] = field(default_factory=dict)


class IdentityProvider:
    """`with IdentityProvider() as provider:` · `provider.person` is whoever agrees; None declines."""

    def __init__(self) -> None:
        self.person: Person | None = None
        self.codes: dict[str, str] = {}  # code: challenge of its verifier
        self.tokens: set[str] = set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"provider": self}))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> IdentityProvider:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str, asked: dict[str, str], bearer: str) -> tuple[int, Any]:
        """(status, JSON), or (302, address)."""
        routes = {
            "/.well-known/openid-configuration": self._configuration,
            "/authorize": self._authorize,
            "/login/oauth/authorize": self._authorize,
            "/token": self._token,
            "/login/oauth/access_token": self._token,
        }
        if path in routes:
            return routes[path](asked)
        if bearer not in self.tokens or self.person is None:
            return 401, {"message": "Bad credentials"}
        own: dict[str, Any] = {
            "/userinfo": self._claims(),
            "/api/v3/user": {
                "id": int(self.person.subject or 0),
                "login": "nora",
                "name": self.person.name,
                "email": None,
            },
            "/api/v3/user/emails": [
                {"email": email, "verified": verified, "primary": number == 0}
                for number, (email, verified) in enumerate(self.person.emails.items())
            ],
        }
        return (200, own[path]) if path in own else (404, {"message": "Not Found"})

    def _configuration(self, asked: dict[str, str]) -> tuple[int, Any]:
        ends = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "userinfo_endpoint": "/userinfo"}
        found = {name: self.url + path for name, path in ends.items()}
        return 200, {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **found}

    def _authorize(self, asked: dict[str, str]) -> tuple[int, Any]:
        back = {"state": asked["state"]}
        if self.person is None:
            back["error"] = "access_denied"
        else:
            back["code"] = secrets.token_urlsafe(8)
            self.codes[back["code"]] = asked.get("code_challenge", "")
        return 302, f"{asked['redirect_uri']}?{urllib.parse.urlencode(back)}"

    def _token(self, asked: dict[str, str]) -> tuple[int, Any]:
        challenge = self.codes.pop(asked.get("code", ""), None)
        verifier = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        proven = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() == challenge
        if not proven or asked.get("client_secret") != SECRET or asked.get("client_id") != CLIENT:
            return 400, {"error": "invalid_grant"}
        token = secrets.token_urlsafe(8)
        self.tokens.add(token)
        return 200, {"access_token": token, "token_type": "bearer", "id_token": self._id_token()}

    def _claims(self) -> dict[str, Any]:
        assert self.person is not None
        email, verified = next(iter(self.person.emails.items()), (None, False))
        return {
            "sub": self.person.subject,
            "name": self.person.name,
            "given_name": self.person.name.split(" ")[0],
            "family_name": self.person.name.split(" ")[-1],
            "email": email,
            "email_verified": verified,
        }

    def _id_token(self) -> str:
        """Not signed: it is fetched from the provider itself, where OpenID Connect lets a client skip the signature."""
        claims = {
            **self._claims(),
            "iss": self.url,
            "aud": CLIENT,
            "iat": int(time.time()),
            "exp": int(time.time()) + 60,
        }
        parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "kid": "1"}, claims)]
        return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, b"none"))


class _Handler(BaseHTTPRequestHandler):
    provider: IdentityProvider

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self._reply(path, dict(urllib.parse.parse_qsl(query)))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self._reply(self.path, dict(urllib.parse.parse_qsl(body)))

    def _reply(self, path: str, asked: dict[str, str]) -> None:
        bearer = self.headers.get("Authorization", "").rpartition(" ")[2]
        status, content = self.provider.answer(path, asked, bearer)
        body = b"" if status == 302 else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Location", content) if status == 302 else self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
