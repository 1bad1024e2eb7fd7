"""Who calls: an API key in one of two headers, and what it may do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest
from ninja.security import APIKeyHeader, HttpBearer

from tickets.actions.review import require_decider
from tickets.channels.api.problems import Problem
from tickets.models import ApiKey, Ticket
from tickets.models.ticket import TicketQuerySet
from triage.correlation import acting
from triage.models import User
from triage.proxies import address_of

HEADER = "X-API-KEY"
_FOUND = "_api_keys"  # of a request: the same key is asked for by the limit and by the endpoint


def found_by(request: HttpRequest, secret: str) -> ApiKey | None:
    """The key in force with these letters; the database is asked once a request. Its use is noted."""
    found: dict[str, ApiKey | None] = request.__dict__.setdefault(_FOUND, {})
    secret = secret.strip()
    if secret not in found:
        found[secret] = find_key(secret, address_of(request.META.get("REMOTE_ADDR", "")))
    return found[secret]


def find_key(secret: str, address: object = None) -> ApiKey | None:
    """The key in force with these letters. Its use is noted, from this address."""
    secret = secret.strip()
    # Asked with each request: whether a key is in force is seen in Python, which costs less than to ask for it.
    key = ApiKey.objects.select_related("source", "user").of_secret(secret) if secret else None
    if key is None or key.state != "in force":
        return None
    key.touch(str(address) if address else None)
    return key


def carried(request: HttpRequest) -> str:
    """The letters that a request carries, in force or not: those of `Authorization: Bearer` before the other header."""
    word, _, secret = request.headers.get("Authorization", "").partition(" ")
    return (secret if word.lower() == "bearer" else request.headers.get(HEADER, "")).strip()


def _key(request: HttpRequest, secret: str | None) -> ApiKey | None:
    if not secret:
        return None
    key = found_by(request, secret)
    if key is not None:
        return key
    late = ApiKey.objects.of_secret(secret.strip())
    if late is not None and late.revoked_at is None and late.has_run_out:
        raise Problem(401, "key_expired", f"This API key ran out on {late.expires_at:%Y-%m-%d}. Make another one.")
    raise Problem(401, "unknown_key", "This API key is not known here, or it was revoked.")


class BearerKey(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        return _key(request, token)


class HeaderKey(APIKeyHeader):
    param_name = HEADER

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey | None:
        return _key(request, key)


def caller(request: HttpRequest, scope: str) -> ApiKey:
    """The key of this request. Raises Problem 403 when it lacks `scope`."""
    key: ApiKey = request.auth  # type: ignore[attr-defined]  # set by ninja
    if not key.may(scope):
        has = ", ".join(key.scopes) or "none"
        raise Problem(403, "scope_missing", f"This needs a key with the scope {scope}; yours has: {has}.")
    return key


@contextmanager
def in_the_name_of(key: ApiKey) -> Iterator[User | None]:
    """Do the work inside as the key's person, or where it has none, as the key itself. Yields the person."""
    if key.user is not None:
        require_decider(key.user)
    with acting(f"user:{key.user.pk}" if key.user else f"api:{key.name}"):
        yield key.user


def tickets_of(key: ApiKey) -> TicketQuerySet:
    """What a key may see: all, or what its person sees."""
    return Ticket.objects.visible_to(key.user) if key.user else Ticket.objects.all()
