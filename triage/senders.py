"""What the services that hand over mail by webhook sign with: settings of django-anymail, from the environment."""

from __future__ import annotations

from typing import Any

import environ

_env = environ.Env()

# "user:password", of the basic authentication that every webhook must bring; several while one takes over.
ANYMAIL: dict[str, Any] = {"WEBHOOK_SECRET": _env.list("ANYMAIL_WEBHOOK_SECRET", default=[])}
for _name in (
    "MAILGUN_WEBHOOK_SIGNING_KEY",
    "MAILERSEND_INBOUND_SECRET",
    "MAILTRAP_INBOUND_SECRET",
    "MAILTRAP_API_TOKEN",
    "MANDRILL_WEBHOOK_KEY",
    "POSTAL_WEBHOOK_KEY",
    "BREVO_API_KEY",
):
    if _given := _env.str(f"ANYMAIL_{_name}", default=""):
        ANYMAIL[_name] = _given
