"""`manage.py metrics`: what Prometheus would be told now, for who has a shell and no key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from prometheus_client import generate_latest

from analytics.metrics import registry


class Command(BaseCommand):
    help = "Print the figures of /metrics."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(generate_latest(registry()).decode())
