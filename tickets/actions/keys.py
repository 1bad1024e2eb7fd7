from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from tickets.actions.errors import Invalid
from tickets.actions.review import require_decider
from tickets.models import SCOPES, ApiKey, Source
from triage.models import User


def create(*, name: str, scopes: Iterable[str], username: str | None, source_name: str) -> tuple[ApiKey, str]:
    """Make an API key, and its source when that is new. Returns the row and the key itself, which is not kept."""
    wanted = list(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise Invalid("not_a_choice", f"Scopes are {', '.join(SCOPES)}.", field="scopes")
    if not name.strip() or len(name) > 100:
        raise Invalid("not_a_choice", "A key has a name of up to 100 characters.", field="name")
    user = _person(username)
    if "approve" in wanted and user is None:
        raise Invalid("no_person", "A key that approves acts for a person: name one with --user.", field="user")
    with transaction.atomic():
        source, _ = Source.objects.get_or_create(name=source_name.strip()[:100], defaults={"kind": "api"})
        key, prefix, digest = ApiKey.mint()
        row = ApiKey.objects.create(
            name=name.strip(), prefix=prefix, digest=digest, scopes=wanted, source=source, user=user
        )
    return row, key


def _person(username: str | None) -> User | None:
    if not username:
        return None
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise Invalid("no_such_user", f"There is no active user named {username}.", field="user")
    require_decider(user)
    return user
