"""What allauth is told about this desk: no sign-up, how secrets are kept, and who a provider's account belongs to."""

from __future__ import annotations

import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import render

from tickets.actions import inviting
from tickets.models import Invitation
from triage import vault
from triage.models import User
from triage.proxies import address_of

NAMES = ("Passkey", "Second passkey")


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """As ProxyMiddleware left it; a peer without an address (a socket file) is the machine itself."""
        return str(address_of(request.META.get("REMOTE_ADDR", "")) or "127.0.0.1")

    def add_message(self, *_: Any, **__: Any) -> None:
        """Our pages say themselves what was done; allauth's sentences are not in the words of this desk."""

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        """Not within ten minutes of signing in: whoever just did need not do so again to set up a second factor."""
        records = get_authentication_records(context.request, context.request.user)
        fresh = bool(records) and time.time() - records[-1]["at"] < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        return not fresh and bool(super().is_reauthentication_required(app=app, **options))


class FactorAdapter(DefaultMFAAdapter):
    def get_totp_issuer(self) -> str:
        return "Triage Desk"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "Triage Desk"}

    def encrypt(self, text: str) -> str:
        return vault.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return vault.decrypt(encrypted_text)

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        held = Authenticator.objects.filter(user=user, type=type).count()
        return NAMES[held] if held < len(NAMES) else f"Passkey {held + 1}"


class ProviderAdapter(DefaultSocialAccountAdapter):
    """A provider's account gets in if it was connected before, or has a verified address that we know or invited."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        if sociallogin.is_existing or sociallogin.state.get("process") == AuthProcess.CONNECT:
            return
        verified = {address.email.strip().lower() for address in sociallogin.email_addresses if address.verified}
        user = self._known(verified) or self._invited(verified, sociallogin)
        if user is None:
            page = render(request, "entrance/unknown.html", {"verified": sorted(verified)}, status=403)
            raise ImmediateHttpResponse(page)
        sociallogin.connect(request, user)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def on_authentication_error(self, request: HttpRequest, provider: Any, *_: Any, **__: Any) -> None:
        raise ImmediateHttpResponse(render(request, "entrance/failed.html", {"provider": provider}, status=401))

    @staticmethod
    def _known(verified: set[str]) -> User | None:
        """The one person with such an address. Two of them: nobody can say which."""
        known = [user for address in verified for user in User.objects.filter(email__iexact=address, is_active=True)]
        return known[0] if len({user.pk for user in known}) == 1 else None

    @staticmethod
    def _invited(verified: set[str], sociallogin: SocialLogin) -> User | None:
        for invitation in Invitation.objects.pending().filter(email__in=verified):
            name = sociallogin.user
            return inviting.accept(
                invitation=invitation, username="", first_name=name.first_name, last_name=name.last_name, password=None
            )
        return None
