"""django-q2's brokers, able to outlive an outage: as published, a pusher that loses its server sleeps 10 s and dies."""

from __future__ import annotations

import logging
from time import sleep
from typing import Any

import redis
from django.db import DatabaseError, InterfaceError, close_old_connections
from django_q.brokers.orm import ORM
from django_q.brokers.redis_broker import Redis

_PAUSE = 0.5  # seconds

logger = logging.getLogger(__name__)


class PatientORM(ORM):  # type: ignore[misc]
    def dequeue(self) -> Any:
        try:
            return super().dequeue()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("no bells while the database is away: %s", type(error).__name__)
            close_old_connections()
            sleep(_PAUSE)
            return None


class PatientRedis(Redis):  # type: ignore[misc]
    def dequeue(self) -> Any:
        try:
            return super().dequeue()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            logger.warning("no bells while Redis is away: %s", type(error).__name__)
            sleep(_PAUSE)
            return None
