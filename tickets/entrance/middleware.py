from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import ResolverMatch, reverse
from django.utils import timezone

from tickets.actions.review import may_decide
from tickets.models import Agent
from triage.models import User

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
# Doors that do not ask who has a session: the API has keys, customers have their own pages.
DOORS = ("/api/", "/support/", "/healthz", "/readyz", "/metrics")
# What is a person's own: how they sign in, what they are told, how their pages look. Auditors may change that, too.
OWN = frozenset(
    {
        "account_login",
        "account_logout",
        "account_reauthenticate",
        "account_change_password",
        "account_set_password",
        "account_reset_password",
        "account_reset_password_from_key",
        "mfa_authenticate",
        "mfa_login_webauthn",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
        "mfa_activate_totp",
        "mfa_deactivate_totp",
        "mfa_generate_recovery_codes",
        "mfa_add_webauthn",
        "mfa_edit_webauthn",
        "mfa_remove_webauthn",
        "socialaccount_connections",
        "github_login",
        "openid_connect_login",
        "tickets:sign-in",
        "tickets:sign-out",
        "tickets:invitation",
        "tickets:session-end",
        "tickets:sessions-end",
        "tickets:settings",
        "tickets:notification-choices",
        "tickets:notifications-seen",
        "tickets:notification-seen",
        "tickets:looks",
        "tickets:save-view",  # its action lets an auditor keep views of their own alone
        "tickets:view",
        "admin:logout",
    }
)
# Where somebody goes who has to set up a second factor first.
ENROLMENT = frozenset(
    {
        "account_login",
        "account_logout",
        "account_inactive",
        "account_reauthenticate",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_view_recovery_codes",
        "mfa_download_recovery_codes",
        "tickets:sign-in",
        "tickets:sign-out",
        "tickets:enrolment",
    }
)
SEEN_EVERY = 300  # seconds


class AccessMiddleware:
    """Before every view of a signed-in person: a second factor that is owed comes first; auditors change nothing.

    What somebody may see is decided by each view and its query. This asks the database nothing of its own: the person,
    their role and what they owe came with the session (DeskBackend.get_user).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> HttpResponse | None:
        if request.path.startswith(DOORS) or not isinstance(user := _person(request), User):
            return None
        name = request.resolver_match.view_name if isinstance(request.resolver_match, ResolverMatch) else ""
        if user.owes_second_factor and name not in ENROLMENT:
            return HttpResponseRedirect(reverse("tickets:enrolment"))
        if request.method not in SAFE and name not in OWN and Agent.of(user) is not None and not may_decide(user):
            raise PermissionDenied
        _note_seen(request, user)
        return None


def _person(request: HttpRequest) -> object:
    """The person behind the lazy object, for isinstance would be asked of the wrapper."""
    return request.user if request.user.is_authenticated else None


def _note_seen(request: HttpRequest, user: User) -> None:
    """Keep the list of sessions true: when and from where each was used, written every few minutes at most."""
    key = request.session.session_key
    if not key or not cache.add(f"seen:{key}", True, SEEN_EVERY):
        return
    values = {"ip": _address(request), "user_agent": request.headers.get("User-Agent", "")[:200]}
    mine = UserSession.objects.filter(session_key=key, user=user)
    if not mine.update(last_seen_at=timezone.now(), **values):
        UserSession.objects.get_or_create(session_key=key, defaults={"user": user, **values})


def _address(request: HttpRequest) -> str:
    from tickets.entrance.adapters import AccountAdapter

    return AccountAdapter(request).get_client_ip(request)
