"""`manage.py health`: ask the running desk whether it can work. Fails when it cannot."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Ask /readyz of the running desk: each dependency with its state and latency."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{settings.PORT}/readyz", headers={"Host": "localhost"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  our own address
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            found = json.load(error)
        except OSError as error:
            raise CommandError(f"Nothing answers on port {settings.PORT}. `make up` starts the desk.") from error
        for name, check in found["checks"].items():
            line = f"{name:<12} {check['status']:<9} {check['latency_ms']:.0f} ms"
            self.stdout.write(f"{line}  {check['detail']}".rstrip())
        if found["status"] == "down":
            raise CommandError("The desk cannot work.")
        self.stdout.write(f"The desk is {found['status']}.")
