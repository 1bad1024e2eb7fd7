"""One's own security: password, authenticator, passkeys, recovery codes, connected providers and open sessions.

The steps are allauth's; the pages, their frame and what else must happen are ours.
"""

from __future__ import annotations

from typing import Any

from allauth.account import views as account
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from allauth.socialaccount import views as connected
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from tickets.actions import sessions
from tickets.views.devices import device_of
from tickets.views.frame import person
from tickets.views.settings import settings_frame, settings_page
from tickets.views.sign_in import braked_old_password, offered


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    user = person(request)
    held = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    by_type: dict[str, list[Authenticator]] = {kind: [] for kind in Authenticator.Type.values}
    for one in held:
        by_type[one.type].append(one)
    keys = [{"pk": one.pk, "name": one.wrap().name, "at": one.created_at, "used": one.last_used_at}
            for one in by_type["webauthn"]]  # fmt: skip
    recovery = by_type["recovery_codes"][0].wrap().get_unused_codes() if by_type["recovery_codes"] else []
    context = {
        "totp": next(iter(by_type["totp"]), None),
        "passkeys": keys,
        "codes_left": len(recovery),
        "protected": bool(by_type["totp"] or keys),
        "sessions": _sessions(request),
        "connections": _connections(request),
    }
    return settings_page(request, "settings/security.html", context)


@require_safe
@login_required
def enrolment(request: HttpRequest) -> HttpResponse:
    """Where somebody is led who has to set up a second factor before anything else."""
    if not person(request).owes_second_factor:
        return HttpResponseRedirect(reverse("tickets:security"))
    return render(request, "entrance/enrolment.html")


def to_page(request: HttpRequest) -> HttpResponse:
    """allauth's own overviews are one page here."""
    return HttpResponseRedirect(reverse("tickets:security"))


@require_POST
@login_required
def session_end(request: HttpRequest, pk: int) -> HttpResponse:
    user = person(request)
    chosen = get_object_or_404(UserSession, pk=pk, user=user)
    sessions.end(sessions=UserSession.objects.filter(pk=chosen.pk), user=user)
    toasts.success(request, "That session has ended.")
    return to_page(request)


@require_POST
@login_required
def sessions_end(request: HttpRequest) -> HttpResponse:
    count = sessions.end_all(user=person(request), but=request.session.session_key or "")
    toasts.success(request, f"Ended: {count} other session{'' if count == 1 else 's'}.")
    return to_page(request)


def _sessions(request: HttpRequest) -> list[dict[str, Any]]:
    """This session first, then the others by when they were used. Those that ran out are cleared away."""
    mine = request.session.session_key
    rows = UserSession.objects.purge_and_list(person(request))
    rows.sort(key=lambda row: (row.session_key != mine, -row.last_seen_at.timestamp()))
    return [{"row": row, "device": device_of(row.user_agent), "here": row.session_key == mine} for row in rows]


def _connections(request: HttpRequest) -> list[dict[str, Any]]:
    """The providers that are offered, each with the account of this person that is connected to it."""
    accounts = {one.provider: one for one in SocialAccount.objects.filter(user=person(request))}
    return [{"offer": one, "account": accounts.get(one.key)} for one in offered(request, process="connect")]


class _InSettings:
    """A view of allauth within the frame of the settings."""

    request: HttpRequest

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        return {**super().get_context_data(**given), **settings_frame(self.request)}  # type: ignore[misc]


class _PasswordView(_InSettings, account.PasswordChangeView):
    template_name = "settings/password.html"
    success_url = "/settings/security/"

    def form_valid(self, form: Any) -> HttpResponseBase:
        response: HttpResponseBase = super().form_valid(form)
        sessions.end_all(user=person(self.request), but=self.request.session.session_key or "")
        toasts.success(self.request, "The new password holds. All other sessions have ended.")
        return response


class _FirstPasswordView(_InSettings, account.PasswordSetView):
    template_name = "settings/password.html"
    success_url = "/settings/security/"


class _AuthenticatorView(_InSettings, totp.ActivateTOTPView):
    template_name = "settings/authenticator.html"


class _AuthenticatorRemovalView(_InSettings, totp.DeactivateTOTPView):
    template_name = "settings/authenticator_removal.html"


class _RecoveryCodesView(_InSettings, codes.ViewRecoveryCodesView):
    template_name = "settings/recovery_codes.html"


class _NewRecoveryCodesView(_InSettings, codes.GenerateRecoveryCodesView):
    template_name = "settings/new_recovery_codes.html"


class _NewPasskeyView(_InSettings, passkeys.AddWebAuthnView):
    template_name = "settings/new_passkey.html"


class _PasskeyNameView(_InSettings, passkeys.EditWebAuthnView):
    template_name = "settings/passkey_name.html"


class _PasskeyRemovalView(_InSettings, passkeys.RemoveWebAuthnView):
    template_name = "settings/passkey_removal.html"


class _ProvidersView(_InSettings, connected.ConnectionsView):
    template_name = "settings/providers.html"
    success_url = "/settings/security/"


password = braked_old_password(_PasswordView.as_view())
first_password = login_required(_FirstPasswordView.as_view())
authenticator = login_required(_AuthenticatorView.as_view())
authenticator_removal = login_required(_AuthenticatorRemovalView.as_view())
recovery_codes = login_required(_RecoveryCodesView.as_view())
new_recovery_codes = login_required(_NewRecoveryCodesView.as_view())
new_passkey = login_required(_NewPasskeyView.as_view())
passkey_name = login_required(_PasskeyNameView.as_view())
passkey_removal = login_required(_PasskeyRemovalView.as_view())
providers = login_required(_ProvidersView.as_view())
