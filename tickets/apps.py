from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.conf import settings


class TicketsConfig(AppConfig):
    name = "tickets"
    verbose_name = "Desk"

    def ready(self) -> None:
        if settings.ROLE == "worker":
            from django_q.signals import post_spawn

            post_spawn.connect(_warm, weak=False, dispatch_uid="tickets.warm")


def _warm(**_: Any) -> None:
    from tickets.tasks import warm

    warm()
