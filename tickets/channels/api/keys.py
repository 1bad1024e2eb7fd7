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


def find_key(given: str | None) -> ApiKey | None:
    """The key in force with these letters. A key of a person who left is none."""
    if not given:
        return None
    key = ApiKey.objects.select_related("source", "user").filter(digest=ApiKey.digest_of(given.strip())).first()
    if key is None or key.revoked_at is not None or (key.user is not None and not key.user.is_active):
        raise Problem(401, "unknown_key", "This API key is not known here, or it was revoked.")
    key.touch()
    return key


class BearerKey(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        return find_key(token)


class HeaderKey(APIKeyHeader):
    param_name = "X-API-KEY"

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey | None:
        return find_key(key)


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
