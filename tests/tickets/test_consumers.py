"""The socket as a browser uses it: over the real NOTIFY layer, with committed rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets import consumers, live
from tickets.actions import review
from tickets.actions.notifying import notify
from tickets.consumers import DeskConsumer
from tickets.models import Team, Ticket
from triage.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@asynccontextmanager
async def _desk(user: User | AnonymousUser, query: str = "") -> AsyncIterator[WebsocketCommunicator]:
    socket = WebsocketCommunicator(DeskConsumer.as_asgi(), f"/ws/desk/?{query}")
    socket.scope["user"] = user
    connected, _ = await socket.connect(timeout=5)
    assert connected
    try:
        yield socket
    finally:
        await socket.disconnect(timeout=5)


async def _next(socket: WebsocketCommunicator, kind: str, within: float = 5) -> dict[str, Any]:
    """The next message of a kind; others are passed over."""
    async with asyncio.timeout(within):
        while True:
            message: dict[str, Any] = await socket.receive_json_from(timeout=within)
            if message["type"] == kind:
                return message


def _run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
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


def test_it_refuses_whoever_has_no_place_at_the_desk(outsider: User) -> None:
    async def test() -> None:
        for user in (AnonymousUser(), outsider):
            socket = WebsocketCommunicator(DeskConsumer.as_asgi(), "/ws/desk/")
            socket.scope["user"] = user
            connected, code = await socket.connect(timeout=5)
            assert (connected, code) == (False, consumers.SIGNED_OUT)

    _run(test)


def test_a_new_ticket_is_pushed_with_its_row_and_the_counts(lead: User, make_ticket: MakeTicket) -> None:
    async def test() -> None:
        async with _desk(lead) as socket:
            ticket = await sync_to_async(make_ticket)(title="Fresh from the door")
            message = await _next(socket, "tickets")
            assert "Fresh from the door" in message["rows"][str(ticket.number)]
            assert 'data-triage="submitted"' in message["rows"][str(ticket.number)]
            assert (message["open"], message["counts"]["new"]) == (1, 1)

    _run(test)


def test_a_desk_of_another_team_is_pushed_nothing_of_a_ticket(colleague: User, lead: User, reviewed: Ticket) -> None:
    async def test() -> None:
        async with _desk(colleague) as theirs, _desk(lead) as all_seeing:
            await sync_to_async(review.correct)(ticket=reviewed, changes={"priority": "P1"}, by=lead)
            assert str(reviewed.number) in (await _next(all_seeing, "tickets"))["rows"]
            with pytest.raises(TimeoutError):
                await _next(theirs, "tickets", within=0.6)

    _run(test)


def test_a_desk_drops_the_row_that_moved_to_another_team(agent: User, lead: User, reviewed: Ticket) -> None:
    async def test() -> None:
        async with _desk(agent) as socket:
            await sync_to_async(review.correct)(ticket=reviewed, changes={"team": "billing"}, by=lead)
            message = await _next(socket, "tickets")
            assert message["rows"] == {}
            assert message["gone"] == [reviewed.number]

    _run(test)


def test_an_open_page_hears_of_its_ticket(agent: User, reviewed: Ticket) -> None:
    async def test() -> None:
        async with _desk(agent, f"ticket={reviewed.number}") as socket:
            await sync_to_async(review.correct)(ticket=reviewed, changes={"priority": "P1"}, by=agent)
            assert (await _next(socket, "ticket"))["number"] == reviewed.number

    _run(test)


def test_the_page_of_another_teams_ticket_hears_nothing(colleague: User, lead: User, reviewed: Ticket) -> None:
    async def test() -> None:
        async with _desk(colleague, f"ticket={reviewed.number}") as socket:
            await sync_to_async(review.correct)(ticket=reviewed, changes={"priority": "P1"}, by=lead)
            with pytest.raises(TimeoutError):
                await _next(socket, "ticket", within=0.6)

    _run(test)


def test_many_changes_at_once_become_one_word_to_catch_up(
    lead: User, make_ticket: MakeTicket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "MOST_PUSHED", 3)
    monkeypatch.setattr(consumers, "GATHER", 0.5)

    def flood() -> None:
        for number in range(5):
            make_ticket(title=f"Ticket {number}")

    async def test() -> None:
        async with _desk(lead) as socket:
            await sync_to_async(flood)()
            assert await _next(socket, "catch-up")

    _run(test)


def test_two_desks_of_a_process_share_one_rendering(
    lead: User, agent: User, make_ticket: MakeTicket, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[list[int]] = []
    original = live._render_numbers

    def counting(numbers: list[int]) -> Any:
        rendered.append(numbers)
        return original(numbers)

    monkeypatch.setattr(live, "_render_numbers", counting)

    async def test() -> None:
        async with _desk(lead) as first, _desk(agent) as second:
            await sync_to_async(make_ticket)()
            await _next(first, "tickets")
            await _next(second, "tickets")

    _run(test)
    assert len(rendered) == 1


def test_the_server_says_that_it_is_alive_and_how_many_desks_there_are(
    lead: User, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "BEAT", 0.1)

    async def test() -> None:
        async with _desk(lead) as socket:
            async with _desk(agent):
                while (await _next(socket, "beat"))["desks"] != 2:
                    pass
            while (await _next(socket, "beat"))["desks"] != 1:
                pass

    _run(test)


def test_who_is_deactivated_is_let_go(agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "BEAT", 0.05)

    async def test() -> None:
        socket = WebsocketCommunicator(DeskConsumer.as_asgi(), "/ws/desk/")
        socket.scope["user"] = agent
        assert (await socket.connect(timeout=5))[0]
        await sync_to_async(User.objects.filter(pk=agent.pk).update)(is_active=False)
        async with asyncio.timeout(5):
            while (message := await socket.receive_output(timeout=5))["type"] != "websocket.close":
                pass
        assert message["code"] == consumers.SIGNED_OUT
        await socket.disconnect(timeout=5)

    _run(test)


def test_a_desk_whose_session_ended_is_let_go(agent: User, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "BEAT", 0.05)
    client.force_login(agent)
    session = client.session

    async def test() -> None:
        socket = WebsocketCommunicator(DeskConsumer.as_asgi(), "/ws/desk/")
        socket.scope.update(user=agent, session=session)
        assert (await socket.connect(timeout=5))[0]
        await sync_to_async(client.logout)()
        async with asyncio.timeout(5):
            while (message := await socket.receive_output(timeout=5))["type"] != "websocket.close":
                pass
        assert message["code"] == consumers.SIGNED_OUT
        await socket.disconnect(timeout=5)

    _run(test)


def test_what_a_browser_sends_changes_nothing(lead: User, reviewed: Ticket) -> None:
    async def test() -> None:
        async with _desk(lead) as socket:
            await socket.send_json_to({"type": "ticket.changed", "number": 1})
            assert await _next(socket, "beat")

    _run(test)
    assert Ticket.objects.get().team == Team.objects.get(key="software")


def test_a_desk_hears_that_there_is_news_for_its_person_and_nothing_of_what_it_is(
    agent: User, lead: User, reviewed: Ticket
) -> None:
    async def test() -> None:
        async with _desk(agent) as theirs, _desk(lead) as others:
            await sync_to_async(notify)(kind="mention", ticket=reviewed, to=[agent], by=lead, text="A secret")
            assert await _next(theirs, "news") == {"type": "news"}
            with pytest.raises(TimeoutError):
                await _next(others, "news", within=0.5)

    _run(test)
