from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.models import User as DjangoUser
from django.db.models import Exists, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from tickets.models import Agent, SignInPolicy, administers
from triage.models import User

DESK_APPS = ("triage", "tickets", "analytics")
# People are changed on the pages of the settings alone: there somebody stays admin, and sessions end.
PEOPLE = ("user", "agent", "invitation", "securityevent", "signinpolicy")
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class DeskBackend(AuthenticationBackend):
    """User name or address with a password; in the administration, what the role allows.

    An admin may do everything there that belongs to the desk, an auditor may look at it (docs/decisions/0017).
    """

    def get_user(self, user_id: int) -> User | None:
        """The person of a session, their place at the desk and what sign-in asks of them, in one query."""
        person = User.objects.select_related("agent", "habits").annotate(
            policy=Coalesce(Subquery(SignInPolicy.objects.values("second_factor")[:1]), Value(SignInPolicy.NOBODY)),
            has_second_factor=Exists(Authenticator.objects.filter(user=OuterRef("pk"), type__in=FACTORS)),
        )
        user = person.filter(pk=user_id, is_active=True).first()
        if user is not None:
            user.owes_second_factor = not user.has_second_factor and SignInPolicy.asks(user.policy, user)
        return user

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        allowed: bool = super().has_perm(user_obj, perm, obj)
        return allowed or _by_role(user_obj, perm)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        allowed: bool = super().has_module_perms(user_obj, app_label)
        return allowed or (app_label in DESK_APPS and reaches_administration(user_obj))


def reaches_administration(user: DjangoUser | User | AnonymousUser) -> bool:
    """Whether /admin/ opens: to admins and auditors by their role, to others if a superuser gave them permissions."""
    if not isinstance(user, User) or not user.is_active:
        return False
    agent = Agent.of(user)
    return user.is_staff or administers(user) or (agent is not None and agent.role == Agent.Role.AUDITOR)


def _by_role(user: Any, perm: str) -> bool:
    app, _, codename = perm.partition(".")
    verb, _, noun = codename.partition("_")
    if app not in DESK_APPS or not isinstance(user, User) or not user.is_active:
        return False
    agent = Agent.of(user)
    if agent is not None and agent.role == Agent.Role.AUDITOR:
        return verb == "view"
    return administers(user) and (verb == "view" or noun not in PEOPLE)
