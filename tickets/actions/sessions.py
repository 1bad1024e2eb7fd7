"""Ending sessions: the rows go, and the sockets of the person look at once whether they may stay."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet

from tickets.models import SecurityEvent
from triage.correlation import actor, current
from triage.models import User
from triage.notify import publish

ROLE, SESSION = "role", "session"


def end(*, sessions: QuerySet[UserSession], user: User) -> int:
    """End these sessions of one person, wherever they are open. Returns how many there were."""
    with transaction.atomic():
        keys = list(sessions.filter(user=user).values_list("session_key", flat=True))
        Session.objects.filter(session_key__in=keys).delete()
        UserSession.objects.filter(session_key__in=keys, user=user).delete()
        if keys:
            SecurityEvent.objects.create(
                noun="session",
                verb="removed",
                person=user.pk,
                before={"sessions": len(keys)},
                actor=actor(),
                correlation_id=current(),
            )
        look_again(user, SESSION)
    return len(keys)


def end_all(*, user: User, but: str = "") -> int:
    """End all sessions of a person, except the one with the key `but`."""
    return end(sessions=UserSession.objects.exclude(session_key=but), user=user)


def look_again(user: User, why: str) -> None:
    """Have every socket of this person checked when the transaction commits. `why` is ROLE or SESSION."""
    publish({"type": "person.changed", "why": why}, f"person-{user.pk}")
