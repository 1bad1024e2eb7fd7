"""What tests of replays share: a worker of the batch cluster, and a model server on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from django.utils import timezone
from pytest_django import Settings

from tests.triage.prices import price_haiku
from tickets import tasks
from tickets.actions import replay
from triage.models import MessageBatch
from triage.providers.fake_batches import FakeBatchesAPI


def drain() -> None:
    """The batch cluster works until nothing is due, and the tender looks in before and after."""
    replay.advance_all()
    asyncio.run(tasks.Drain("batch").run())
    replay.advance_all()


def make_batches_due() -> None:
    MessageBatch.objects.update(not_before=timezone.now(), lease_until=None)


@contextmanager
def model_server(settings: Settings) -> Iterator[FakeBatchesAPI]:
    """A Messages API with batches that the desk is set to ask, and the price of its model."""
    price_haiku()
    with FakeBatchesAPI(retry_after=0.05) as fake:
        settings.ANTHROPIC_BASE_URL = fake.base_url
        settings.ANTHROPIC_API_KEY = "test-key"
        settings.TRIAGE_MODEL = "claude-haiku-5-5"
        settings.TRIAGE_MODEL_TIMEOUT = 5.0
        yield fake
