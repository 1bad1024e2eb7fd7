"""What a setting said when its form was opened, as a short mark: who saves it over somebody else's change is told."""

from __future__ import annotations

import hashlib
import json

from django.db.models import Model

from tickets.actions.errors import Conflict

_OWN = ("updated_at",)  # of when it was saved, and not of what it says


def mark_of(kept: Model | None, *more: object) -> str:
    """A digest of the fields of a setting, and of what `more` it says; empty where there is none yet."""
    if kept is None or kept.pk is None:
        return ""
    said = [(field.attname, getattr(kept, field.attname)) for field in kept._meta.concrete_fields]
    said = [(name, value) for name, value in said if name not in _OWN]
    return hashlib.sha256(json.dumps([said, more], default=str).encode()).hexdigest()[:32]


def refuse_if_gone(kept: Model | None) -> None:
    if kept is None:
        raise Conflict("gone", "Somebody deleted this since you opened it. What you wrote is still here.")


def refuse_if_changed(seen: str, now: str, wanted: str) -> None:
    """Raise Conflict where a setting's mark is neither the one that was `seen` ("": not known) nor the one `wanted`."""
    if seen not in ("", now) and now != wanted:
        raise Conflict(
            "changed",
            "Somebody changed this since you opened it. What you wrote is still here: look at theirs in another "
            "window, then save again to put yours in its place.",
        )
