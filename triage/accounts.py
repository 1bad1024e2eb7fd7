"""The part of the settings that says how people sign in: by django-allauth, with its names of settings.

Its own rate limits count in the cache, one a process; ours (triage.brake) count in the database, for all of them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import environ

_env = environ.Env()

ACCOUNT_ADAPTER = "tickets.entrance.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]  # nobody signs up; allauth wants the two to agree
ACCOUNT_EMAIL_VERIFICATION = "none"  # an address is known because an admin invited it
ACCOUNT_EMAIL_NOTIFICATIONS = False
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_RATE_LIMITS = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 10 * 60  # seconds after a sign-in in which one's own security can be changed

MFA_ADAPTER = "tickets.entrance.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RATE_LIMITS = False
MFA_TOTP_TOLERANCE = 1  # periods of 30 s by which the clock of a telephone may be wrong

SOCIALACCOUNT_ADAPTER = "tickets.entrance.adapters.ProviderAdapter"
SOCIALACCOUNT_QUERY_EMAIL = True  # only when asked does GitHub say which addresses it verified
SOCIALACCOUNT_REQUESTS_TIMEOUT = 10

# GitHub (or GitHub Enterprise at GITHUB_URL), and any one OpenID Connect provider. Unset: not offered.
GITHUB_URL: str = _env.str("GITHUB_URL", default="").rstrip("/")
GITHUB_CLIENT_ID: str = _env.str("GITHUB_CLIENT_ID", default="")
GITHUB_CLIENT_SECRET: str = _env.str("GITHUB_CLIENT_SECRET", default="")
OIDC_ISSUER: str = _env.str("OIDC_ISSUER", default="").rstrip("/")
OIDC_NAME: str = _env.str("OIDC_NAME", default="your company account")
OIDC_CLIENT_ID: str = _env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET: str = _env.str("OIDC_CLIENT_SECRET", default="")

SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {}
ORIGINS: list[str] = []  # where the forms that begin a sign-in are redirected
if GITHUB_CLIENT_ID:
    SOCIALACCOUNT_PROVIDERS["github"] = {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [{"client_id": GITHUB_CLIENT_ID, "secret": GITHUB_CLIENT_SECRET}],
        **({"GITHUB_URL": GITHUB_URL} if GITHUB_URL else {}),
    }
    ORIGINS.append("{0.scheme}://{0.netloc}".format(urlsplit(GITHUB_URL or "https://github.com")))
if OIDC_ISSUER:
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": OIDC_NAME,
                "client_id": OIDC_CLIENT_ID,
                "secret": OIDC_CLIENT_SECRET,
                "settings": {"server_url": OIDC_ISSUER},
            }
        ],
    }
    ORIGINS.append("{0.scheme}://{0.netloc}".format(urlsplit(OIDC_ISSUER)))
