"""The addresses of sign-in and of one's own security, under the names that allauth asks for: it reverses them.

Each view is allauth's with a template of ours; what is wrapped here lives in tickets/views/sign_in.py and security.py.
"""

from __future__ import annotations

from allauth.account import views as account
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.webauthn import views as passkeys
from allauth.socialaccount.providers.github import views as github
from allauth.socialaccount.providers.openid_connect import views as openid
from django.urls import URLPattern, path, re_path
from django.views.generic import TemplateView

from tickets.views import security, sign_in

urlpatterns: list[URLPattern] = [
    path("sign-in/", sign_in.sign_in, name="account_login"),
    path("sign-in/second-step/", sign_in.second_step, name="mfa_authenticate"),
    path("sign-in/passkey/", passkeys.login_webauthn, name="mfa_login_webauthn"),
    path("sign-in/again/", sign_in.again, name="account_reauthenticate"),
    path("sign-in/again/code/", sign_in.again_by_code, name="mfa_reauthenticate"),
    path("sign-in/again/passkey/", sign_in.again_by_passkey, name="mfa_reauthenticate_webauthn"),
    path("sign-in/ended/", TemplateView.as_view(template_name="entrance/inactive.html"), name="account_inactive"),
    path("sign-in/forgotten/", sign_in.forgotten, name="account_reset_password"),
    path(
        "sign-in/forgotten/sent/",
        account.PasswordResetDoneView.as_view(template_name="entrance/forgotten_sent.html"),
        name="account_reset_password_done",
    ),
    re_path(
        r"^sign-in/forgotten/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[^/]+)/$",
        sign_in.new_password,
        name="account_reset_password_from_key",
    ),
    path("sign-in/with/github/", sign_in.if_offered("github", github.oauth2_login), name="github_login"),
    path(
        "sign-in/with/github/callback/",
        sign_in.if_offered("github", github.oauth2_callback),
        name="github_callback",
    ),
    path("sign-in/with/<str:provider_id>/", openid.login, name="openid_connect_login"),
    path("sign-in/with/<str:provider_id>/callback/", openid.callback, name="openid_connect_callback"),
    path("sign-out/", sign_in.sign_out, name="account_logout"),
    path("settings/security/password/", security.password, name="account_change_password"),
    path("settings/security/password/first/", security.first_password, name="account_set_password"),
    path("settings/security/factors/", security.to_page, name="mfa_index"),
    path("settings/security/authenticator/", security.authenticator, name="mfa_activate_totp"),
    path("settings/security/authenticator/removal/", security.authenticator_removal, name="mfa_deactivate_totp"),
    path("settings/security/recovery-codes/", security.recovery_codes, name="mfa_view_recovery_codes"),
    path("settings/security/recovery-codes/new/", security.new_recovery_codes, name="mfa_generate_recovery_codes"),
    path(
        "settings/security/recovery-codes/file/",
        codes.DownloadRecoveryCodesView.as_view(template_name="entrance/recovery_codes.txt"),
        name="mfa_download_recovery_codes",
    ),
    path("settings/security/passkeys/", security.to_page, name="mfa_list_webauthn"),
    path("settings/security/passkeys/new/", security.new_passkey, name="mfa_add_webauthn"),
    path("settings/security/passkeys/<int:pk>/name/", security.passkey_name, name="mfa_edit_webauthn"),
    path("settings/security/passkeys/<int:pk>/removal/", security.passkey_removal, name="mfa_remove_webauthn"),
    path("settings/security/providers/", security.providers, name="socialaccount_connections"),
]
