"""django-q2's broker in PostgreSQL, able to outlive an outage: as published, its pusher sleeps 10 s and dies."""

from __future__ import annotations

import logging
from time import sleep
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections
from django_q.brokers.orm import ORM

PAUSE = 0.5  # seconds

logger = logging.getLogger(__name__)


class PatientORM(ORM):  # type: ignore[misc]
    def dequeue(self) -> Any:
        try:
            return super().dequeue()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("no bells while the database is away: %s", type(error).__name__)
            close_old_connections()
            sleep(PAUSE)
            return None
