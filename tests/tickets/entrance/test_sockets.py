"""Every socket, opened by everybody; and how soon one closes when its person may not stay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_backends
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.db import connections
from django.test import Client

from tickets.actions import people, sessions
from tickets.consumers import SIGNED_OUT
from tickets.models import Agent, SignInPolicy, Team, Ticket
from tickets.urls import websocket_urlpatterns
from triage.models import User

pytestmark = pytest.mark.django_db(transaction=True)
# A row for each socket: may it be opened by nobody, an outsider, an agent, a lead, an admin, an auditor?
TABLE = {"ws/desk/": (False, False, True, True, True, True)}


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        channel_layers.backends.clear()  # a layer belongs to the loop it listens in
        try:
            await test()
        finally:
            layer = channel_layers.backends.get("default")
            if layer is not None and layer._listener is not None:
                layer._listener.cancel()
                await asyncio.gather(layer._listener, return_exceptions=True)
            channel_layers.backends.clear()
            await sync_to_async(connections.close_all)()

    asyncio.run(main())


def socket(path: str, user: User | AnonymousUser, client: Client | None = None) -> WebsocketCommunicator:
    made = WebsocketCommunicator(URLRouter(websocket_urlpatterns), path)
    made.scope["user"] = user
    if client is not None:
        made.scope["session"] = SessionStore(client.session.session_key)
    return made


@asynccontextmanager
async def opened(user: User, client: Client | None = None, query: str = "") -> AsyncIterator[WebsocketCommunicator]:
    one = socket(f"/ws/desk/{query}", user, client)
    connected, _ = await one.connect(timeout=10)
    assert connected
    try:
        yield one
    finally:
        await one.disconnect(timeout=5)


async def closed(one: WebsocketCommunicator, within: float) -> int:
    """The code with which the server closed it."""
    async with asyncio.timeout(within):
        while True:
            message = await one.receive_output(timeout=within)
            if message["type"] == "websocket.close":
                return int(message["code"])


def test_each_socket_opens_to_those_the_table_names(
    outsider: User, agent: User, lead: User, admin_of_desk: User, auditor: User
) -> None:
    assert {str(pattern.pattern) for pattern in websocket_urlpatterns} == TABLE.keys()

    async def test() -> None:
        for path, letters in TABLE.items():
            everybody: tuple[User | AnonymousUser, ...] = (
                AnonymousUser(),
                outsider,
                agent,
                lead,
                admin_of_desk,
                auditor,
            )
            for user, may in zip(everybody, letters, strict=True):
                one = socket(f"/{path}", user)
                connected, code = await one.connect(timeout=10)
                assert connected is may, (path, user)
                assert may or code == SIGNED_OUT
                if connected:
                    await one.disconnect()

    run(test)


def test_whoever_owes_a_second_factor_hears_nothing(agent: User) -> None:
    SignInPolicy.objects.create(second_factor=SignInPolicy.EVERYBODY)

    async def test() -> None:
        connected, code = await socket("/ws/desk/", agent).connect(timeout=10)
        assert (connected, code) == (False, SIGNED_OUT)

    run(test)


def test_an_ended_session_closes_its_socket_at_once_and_leaves_the_others(
    client: Client, agent: User, lead: User
) -> None:
    client.force_login(agent)
    client.get("/welcome/")
    other = Client()
    other.force_login(agent)
    other.get("/welcome/")
    ended = UserSession.objects.get(session_key=client.session.session_key)

    async def test() -> None:
        async with opened(agent, client) as one, opened(agent, other) as another:
            began = time.monotonic()
            await sync_to_async(sessions.end)(sessions=UserSession.objects.filter(pk=ended.pk), user=agent)
            assert await closed(one, within=5) == SIGNED_OUT
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.3)
            while not await another.receive_nothing(timeout=0.1):
                assert (await another.receive_output(timeout=1))["type"] == "websocket.send"

    run(test)


def test_a_deactivated_person_is_put_out_of_an_open_desk_at_once(
    client: Client, agent: User, admin_of_desk: User
) -> None:
    client.force_login(agent)
    client.get("/welcome/")

    async def test() -> None:
        async with opened(agent, client) as one:
            await sync_to_async(people.deactivate)(user=agent, by=admin_of_desk)
            assert await closed(one, within=5) == SIGNED_OUT

    run(test)


def test_another_role_is_applied_to_an_open_desk_at_once(agent: User, admin_of_desk: User, reviewed: Ticket) -> None:
    billing = Team.objects.get(key="billing")

    async def test() -> None:
        user = await sync_to_async(as_in_a_session)(agent)
        async with opened(user, query=f"?ticket={reviewed.number}") as one:
            await sync_to_async(people.change)(
                user=agent, role=Agent.Role.AGENT, teams=[billing], capacity=25, available=True, by=admin_of_desk
            )
            assert await closed(one, within=5) == SIGNED_OUT
        user = await sync_to_async(as_in_a_session)(agent)
        async with opened(user, query=f"?ticket={reviewed.number}") as one:
            await sync_to_async(live_announce)(reviewed)
            await asyncio.sleep(1)
            while not await one.receive_nothing(timeout=0.1):
                message = await one.receive_json_from(timeout=1)
                assert message["type"] != "ticket", "a ticket of another team is followed"
                assert not message.get("rows")

    run(test)


def as_in_a_session(user: User) -> User:
    found = get_backends()[0].get_user(user.pk)
    assert isinstance(found, User)
    return found


def live_announce(ticket: Ticket) -> None:
    from tickets.live import announce

    announce(ticket, "changed")
