"""`manage.py prepare`: what a deployment runs once before web and worker: tables, taxonomy, the user admin."""

from __future__ import annotations

import os
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

from triage.correlation import acting


class Command(BaseCommand):
    help = "Migrate, plant the taxonomy (no demo tickets), and make the user admin if ADMIN_PASSWORD is set."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=1, interactive=False)
        call_command("seed", no_demo=True)
        if os.environ.get("ADMIN_PASSWORD"):
            ensure_admin()


def ensure_admin() -> str | None:
    """Make the user admin, or give it ADMIN_PASSWORD. Returns the password to show once: one that was made up here."""
    with acting("command:prepare"):
        return _ensure_admin()


def _ensure_admin() -> str | None:
    users = get_user_model().objects
    given = os.environ.get("ADMIN_PASSWORD", "")
    admin = users.filter(username="admin").first()
    if admin is None:
        password = given or secrets.token_urlsafe(12)
        users.create_superuser("admin", password=password)
        return None if given else password
    if given and not admin.check_password(given):
        admin.set_password(given)
        admin.save(update_fields=["password"])
    return None
