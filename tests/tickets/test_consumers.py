"""The socket as a browser uses it: over the real NOTIFY layer, with committed rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets import consumers, live, presence
from tickets.actions import review
from tickets.actions.notifying import notify
from tickets.consumers import DeskConsumer
from tickets.models import Team, Ticket
from triage.models import User
from triage.notify import CLEAN_EVERY, NotifyChannelLayer

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
            assert (message["counts"]["rail"], message["counts"]["tab-new"]) == ("1", "1")

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


def test_desks_that_come_and_go_together_are_told_of_once(lead: User, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    original = NotifyChannelLayer.group_send

    async def counting(self: NotifyChannelLayer, group: str, message: dict[str, Any]) -> None:
        if message["type"] == "desk.presence":
            told.append(message["count"])
        await original(self, group, message)

    monkeypatch.setattr(NotifyChannelLayer, "group_send", counting)

    async def test() -> None:
        async with AsyncExitStack() as desks:
            sockets = [await desks.enter_async_context(_desk(lead)) for _ in range(6)]
            while (await _next(sockets[0], "beat"))["desks"] != 6:
                pass
            assert told[-1] == 6 and len(told) <= 2

    _run(test)


def test_old_messages_are_looked_for_now_and_then_and_not_at_every_message(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned: list[int] = []
    monkeypatch.setattr(InMemoryChannelLayer, "_clean_expired", lambda layer: cleaned.append(1))
    layer = NotifyChannelLayer()
    for _ in range(100):
        layer._clean_expired()
    assert len(cleaned) == 1
    layer._cleaned_at -= CLEAN_EVERY
    layer._clean_expired()
    assert len(cleaned) == 2


def test_a_message_that_the_desk_has_no_word_for_is_an_error(lead: User) -> None:
    desk = DeskConsumer()
    with pytest.raises(ValueError, match=r"nobody\.knows"):
        asyncio.run(desk.dispatch({"type": "nobody.knows"}))


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


async def _do(socket: WebsocketCommunicator, doing: Any) -> None:
    await socket.send_json_to({"type": "presence", "doing": doing})


async def _people(socket: WebsocketCommunicator, within: float = 5) -> list[tuple[str, str]]:
    message = await _next(socket, "presence", within)
    return [(one["name"], one["doing"]) for one in message["people"]]


def test_colleagues_at_a_ticket_see_who_is_there_and_who_writes(agent: User, lead: User, reviewed: Ticket) -> None:
    async def test() -> None:
        page = f"ticket={reviewed.number}"
        async with _desk(agent, page) as ada, _desk(lead, page) as lea:
            await _do(ada, "viewing")
            assert await _people(lea) == [("Ada", "viewing")]
            await _do(lea, "viewing")  # who comes asks who is there
            assert await _people(ada) == [("Lea", "viewing")]
            await _do(ada, "replying")
            assert await _people(lea) == [("Ada", "replying")]
            await _do(ada, "")
            assert await _people(lea) == []

    _run(test)


def test_who_comes_later_is_told_and_who_closes_the_page_is_gone(agent: User, lead: User, reviewed: Ticket) -> None:
    async def test() -> None:
        page = f"ticket={reviewed.number}"
        async with _desk(lead, page) as lea:
            async with _desk(agent, page) as ada:
                await _do(ada, "commenting")
                assert await _people(lea) == [("Ada", "commenting")]
            assert await _people(lea) == []
            await _do(lea, "replying")
            async with _desk(agent, page) as again:
                await _do(again, "viewing")
                assert await _people(again) == [("Lea", "replying")]

    _run(test)


def test_a_person_with_two_tabs_is_shown_once_and_never_to_oneself(agent: User, lead: User, reviewed: Ticket) -> None:
    async def test() -> None:
        page = f"ticket={reviewed.number}"
        async with _desk(lead, page) as lea, _desk(agent, page) as one, _desk(agent, page) as two:
            await _do(one, "replying")
            assert await _people(lea) == [("Ada", "replying")]
            await _do(two, "viewing")
            with pytest.raises(TimeoutError):
                await _people(lea, within=0.5)
            with pytest.raises(TimeoutError):
                await _people(one, within=0.3)

    _run(test)


def test_whoever_misses_their_beat_is_forgotten(
    agent: User, lead: User, reviewed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        page = f"ticket={reviewed.number}"
        monkeypatch.setattr(consumers, "BEAT", 0.1)
        async with _desk(agent, page) as ada, _desk(lead, page) as lea:
            await _do(lea, "viewing")
            await _do(ada, "replying")
            assert await _people(lea) == [("Ada", "replying")]
            await asyncio.sleep(0.4)  # the browser is still there
            monkeypatch.setattr(consumers, "FORGET_AFTER", 0.2)  # and now it has said nothing for too long
            assert await _people(lea) == []

    _run(test)


def test_nobody_of_another_team_hears_who_is_at_a_ticket_or_is_heard_there(
    agent: User, colleague: User, reviewed: Ticket
) -> None:
    async def test() -> None:
        page = f"ticket={reviewed.number}"
        async with _desk(agent, page) as ada, _desk(colleague, page) as bruno:
            await _do(bruno, "replying")
            await _do(ada, "replying")
            for socket in (ada, bruno):
                with pytest.raises(TimeoutError):
                    await _people(socket, within=0.4)

    _run(test)


def test_who_loses_sight_of_the_ticket_leaves_its_company(
    agent: User, lead: User, reviewed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        page = f"ticket={reviewed.number}"
        async with _desk(lead, page) as lea:
            monkeypatch.setattr(consumers, "BEAT", 0.1)
            async with _desk(agent, page) as ada:
                await _do(ada, "viewing")
                assert await _people(lea) == [("Ada", "viewing")]
                await sync_to_async(review.correct)(ticket=reviewed, changes={"team": "billing"}, by=lead)
                assert await _people(lea) == []
                await _do(ada, "replying")
                with pytest.raises(TimeoutError):
                    await _people(lea, within=0.4)

    _run(test)


def test_an_auditor_is_seen_reading_and_never_writing(auditor: User, lead: User, reviewed: Ticket) -> None:
    async def test() -> None:
        page = f"ticket={reviewed.number}"
        async with _desk(auditor, page) as otto, _desk(lead, page) as lea:
            await _do(otto, "replying")
            assert await _people(lea) == [("Otto", "viewing")]

    _run(test)


@pytest.mark.parametrize(
    "text",
    ["nonsense", "[1]", "{}", '{"type": "presence"}', '{"type": "presence", "doing": "dancing"}', "[" * 150,
     '{"type": "ticket.changed", "number": 1}', '{"type": "presence", "doing": ["replying"]}', '"' + "x" * 500 + '"'],
)  # fmt: skip
def test_what_a_browser_should_not_send_is_ignored(agent: User, lead: User, reviewed: Ticket, text: str) -> None:
    async def test() -> None:
        page = f"ticket={reviewed.number}"
        async with _desk(agent, page) as ada, _desk(lead, page) as lea:
            await ada.send_to(text_data=text)
            await ada.send_to(bytes_data=b"\x00\xff")
            await _do(ada, "viewing")
            assert await _people(lea) == [("Ada", "viewing")]

    _run(test)


def test_a_browser_that_talks_too_much_is_not_listened_to_and_then_let_go(
    agent: User, lead: User, reviewed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        page = f"ticket={reviewed.number}"
        monkeypatch.setattr(consumers, "MOST_IGNORED", 5)
        async with _desk(agent, page) as ada, _desk(lead, page) as lea:
            for _ in range(consumers.WORDS[0]):
                await _do(ada, "viewing")
            await _do(ada, "replying")
            assert await _people(lea) == [("Ada", "viewing")]
            for _ in range(6):
                await _do(ada, "replying")
            async with asyncio.timeout(5):
                while (said := await ada.receive_output(timeout=5))["type"] != "websocket.close":
                    pass
            assert said["code"] == consumers.TOO_MUCH

    _run(test)


def test_an_agent_who_is_removed_while_writing_is_gone_for_the_others(
    agent: User, lead: User, reviewed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        page = f"ticket={reviewed.number}"
        async with _desk(lead, page) as lea:
            monkeypatch.setattr(consumers, "BEAT", 0.1)
            async with _desk(agent, page) as ada:
                await _do(ada, "replying")
                assert await _people(lea) == [("Ada", "replying")]
                await sync_to_async(User.objects.filter(pk=agent.pk).update)(is_active=False)
                assert await _people(lea) == []

    _run(test)


def test_a_desk_whose_process_was_killed_is_forgotten(
    lead: User, reviewed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        monkeypatch.setattr(consumers, "BEAT", 0.1)
        async with _desk(lead, f"ticket={reviewed.number}") as lea:
            said = {"type": "ticket.company", "ticket": reviewed.number, "desk": "gone", "asks": False}
            said |= {"person": 0, "name": "Ada", "doing": "replying"}
            await get_channel_layer().group_send(f"ticket-{reviewed.number}", said)
            assert await _people(lea) == [("Ada", "replying")]
            monkeypatch.setattr(presence, "FORGET_AFTER", 0.2)
            assert await _people(lea) == []

    _run(test)


def test_a_queue_hears_who_is_at_which_ticket_and_who_left(lead: User, agent: User, reviewed: Ticket) -> None:
    async def test() -> None:
        async with _desk(lead, "queue=1") as queue:
            assert (await _next(queue, "whereabouts"))["tickets"] == {}
            async with _desk(agent, f"ticket={reviewed.number}") as theirs:
                await theirs.send_json_to({"type": "presence", "doing": "replying"})
                told = (await _next(queue, "whereabouts"))["tickets"]
                assert told == {str(reviewed.number): [{"name": agent.label, "doing": "replying"}]}
                async with _desk(lead, "queue=1") as late:
                    first = await _next(late, "whereabouts")
                    assert (first["all"], first["tickets"]) == (True, told)
            assert (await _next(queue, "whereabouts"))["tickets"] == {str(reviewed.number): []}

    _run(test)


def test_a_queue_of_another_team_hears_nobody_until_the_ticket_is_theirs(
    colleague: User, lead: User, agent: User, reviewed: Ticket
) -> None:
    async def test() -> None:
        async with _desk(colleague, "queue=1") as queue, _desk(lead, f"ticket={reviewed.number}") as theirs:
            assert (await _next(queue, "whereabouts"))["tickets"] == {}
            await theirs.send_json_to({"type": "presence", "doing": "viewing"})
            with pytest.raises(TimeoutError):
                await _next(queue, "whereabouts", within=0.6)

    _run(test)

    async def moved() -> None:
        async with _desk(colleague, "queue=1") as queue, _desk(lead, f"ticket={reviewed.number}") as theirs:
            await theirs.send_json_to({"type": "presence", "doing": "viewing"})
            await sync_to_async(review.correct)(ticket=reviewed, changes={"team": "billing"}, by=agent)
            while not (told := (await _next(queue, "whereabouts"))["tickets"]):
                pass
            assert told == {str(reviewed.number): [{"name": lead.label, "doing": "viewing"}]}

    _run(moved)


def test_a_ticket_page_alone_is_told_of_no_other_ticket(lead: User, agent: User, reviewed: Ticket) -> None:
    async def test() -> None:
        async with _desk(lead) as page, _desk(agent, f"ticket={reviewed.number}") as theirs:
            await theirs.send_json_to({"type": "presence", "doing": "viewing"})
            with pytest.raises(TimeoutError):
                await _next(page, "whereabouts", within=0.6)

    _run(test)


def test_telling_a_browser_that_has_just_left_is_no_fault_and_another_fault_stays_one() -> None:
    class Disconnected(RuntimeError):  # as autobahn's
        pass

    async def gone(message: dict[str, Any]) -> None:
        raise Disconnected("Attempt to send on a closed protocol")

    async def broken(message: dict[str, Any]) -> None:
        raise RuntimeError("something else")

    desk = DeskConsumer()
    desk.base_send = gone
    asyncio.run(desk.send_json({"type": "beat"}))
    desk.base_send = broken
    with pytest.raises(RuntimeError, match="something else"):
        asyncio.run(desk.send_json({"type": "beat"}))
