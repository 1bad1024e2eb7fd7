"""A webhook of everything, the receiver behind it, and the process that calls it, as far as it is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from tests.receivers import Receiver, receiving
from tickets.actions import webhooks
from tickets.actions.webhooks import Subscription
from tickets.models import HookEvent, Webhook, WebhookCall
from tickets.webhooks.dispatch import Dispatcher
from triage.models import User

MakeHook = Callable[..., Webhook]


def call_all() -> int:
    """What the process that calls webhooks does about all that is due."""

    async def work() -> int:
        return await Dispatcher().work_off()

    return async_to_sync(work)()


def call_all_later() -> int:
    """The same once the time of every next attempt has come."""
    WebhookCall.objects.update(not_before=timezone.now())
    return call_all()


@pytest.fixture(autouse=True)
def reachable(settings: Any) -> None:
    settings.WEBHOOKS_PRIVATE = settings.WEBHOOKS_HTTP = True


@pytest.fixture
def listener() -> Iterator[Receiver]:
    with receiving() as kept:
        yield kept


@pytest.fixture
def make_hook(lead: User) -> MakeHook:
    def make(url: str, *events: str, name: str = "", **chosen: Any) -> Webhook:
        wanted = Subscription(events=events or tuple(HookEvent.values), **chosen)
        made, _ = webhooks.keep(name=name or url[-50:], url=url, by=lead, subscription=wanted)
        return made

    return make


@pytest.fixture
def hook(make_hook: MakeHook, listener: Receiver) -> Webhook:
    return make_hook(listener.url, name="Pager")
