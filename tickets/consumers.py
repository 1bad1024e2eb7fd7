"""One socket a page of the desk: rows and counts as they change, who else is at a ticket, and a heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from typing import Any
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth import get_backends

from tickets.actions.review import may_decide
from tickets.live import SHOWN, Audience, Changes, Presence, audience_of, seen_group
from tickets.presence import AWAY, FORGET_AFTER, Company, Throttle, doing_of
from tickets.whereabouts import QUEUES, Glance, Spot, Told, Whereabouts
from triage.models import User

BEAT = 10.0  # seconds; the browser gives up after 25 without a word
GATHER = 0.05  # seconds: what commits together is sent together
APART = 0.3  # seconds between two messages to one desk
PRESENCE_APART = 0.5  # seconds between two words on how many desks there are
GLANCES_APART = 1.0  # seconds between two words to one queue of who is where
MOST_PUSHED = 40  # tickets in one message; beyond, the desk asks for what changed
MOVING = ("read", "routed")  # after these a ticket may be another team's
EVERYBODY = "desk-presence"
SIGNED_OUT = 4401
TOO_MUCH = 4429
MOST_IGNORED = 200
WORDS = (20, 10.0)  # what a browser may say: so many words in so many seconds
PROCESS = uuid.uuid4().hex
presence = Presence(PROCESS)
whereabouts = Whereabouts()


class DeskConsumer(AsyncJsonWebsocketConsumer):
    """Refuses whoever is not staff; joins the groups of the person's teams, and of the ticket that is open."""

    async def connect(self) -> None:
        self.beating: asyncio.Task[None] | None = None
        self.flushing: asyncio.Task[None] | None = None
        self.glancing: asyncio.Task[None] | None = None
        self.changes = Changes()
        self.joined: set[str] = set()
        self.doing, self.said_at = AWAY, 0.0
        self.throttle, self.ignored = Throttle(*WORDS), 0
        self.user = self.scope.get("user")
        self.audience = await self._audience()
        if self.audience is None:
            await self.close(code=SIGNED_OUT)
            return
        self.company = Company(self.user.pk)
        self.group = ""
        self.ticket = await self._ticket()
        self.glance = Glance(whereabouts, self.audience, self.user.pk) if self._asked("queue") else None
        groups = {*self.audience.groups, EVERYBODY, f"person-{self.user.pk}"} | (
            {f"ticket-{self.ticket}"} if self.ticket else set()
        )
        groups |= {QUEUES} if self.glance else set()
        for group in groups:
            await self.channel_layer.group_add(group, self.channel_name)
            self.joined.add(group)
        await self.accept()
        presence.here += 1
        self._tell_presence_soon()
        await self.send_json({"type": "beat", "desks": presence.total()})
        self.beating = asyncio.create_task(self._beat())
        if self.glance is not None:
            self.glance.touch_all()
            await self.send_json({"type": "whereabouts", "tickets": self.glance.take(), "all": True})

    async def disconnect(self, code: int) -> None:
        for task in (self.beating, self.flushing, self.glancing):
            if task is not None:
                task.cancel()
        for group in self.joined:
            await self.channel_layer.group_discard(group, self.channel_name)
        if self.beating is not None:
            presence.here -= 1
            self._tell_presence_soon()
            with contextlib.suppress(Exception):  # the socket is gone whether or not the others can be told
                await self._do(AWAY)

    async def dispatch(self, message: dict[str, Any]) -> None:
        """As Channels has it, but for a look at the thread's connections: whatever asks the database here does that."""
        handler = getattr(self, get_handler_name(message), None)
        if handler is None:
            raise ValueError(f"No handler for message type {message['type']}")
        await handler(message)

    async def send_json(self, content: Any, close: bool = False) -> None:
        """Told to a browser that has just left, it is told to nobody: the server's word for it is no fault."""
        try:
            await super().send_json(content, close=close)
        except RuntimeError as error:
            if type(error).__name__ != "Disconnected":  # autobahn's, which no worker has to load
                raise

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """A browser says what its person does at the ticket; all else is ignored, and too much of it lets it go."""
        if not self.throttle.allows():
            self.ignored += 1
            if self.ignored > MOST_IGNORED:
                await self.close(code=TOO_MUCH)
            return
        doing = doing_of(text_data)
        if doing is not None and self.ticket:
            self.said_at = time.monotonic()
            if doing not in (AWAY, "viewing") and not await database_sync_to_async(may_decide)(self.user):
                doing = "viewing"
            await self._do(doing)

    # Messages of the channel layer

    async def ticket_changed(self, event: dict[str, Any]) -> None:
        number = int(event["number"])
        if number == self.ticket and self.changes.is_news(number, event):
            await self.send_json({"type": "ticket", "number": number, "kind": event["kind"]})
            if event["kind"] in MOVING and self.doing != AWAY:
                await self._move()
        self.changes.add(number, event)
        if self.flushing is None or self.flushing.done():
            self.flushing = asyncio.create_task(self._flush())

    async def tickets_changed(self, event: dict[str, Any]) -> None:
        """A portion of a change to many."""
        for number in event["numbers"]:
            if number == self.ticket or len(self.changes.waiting) <= MOST_PUSHED:
                await self.ticket_changed({**event, "number": number})

    async def desk_presence(self, event: dict[str, Any]) -> None:
        presence.note(event["process"], event["count"])
        await self.send_json({"type": "beat", "desks": presence.total()})

    async def ticket_company(self, event: dict[str, Any]) -> None:
        """A colleague's desk says what they do at this ticket, and may ask who else is there."""
        if event["desk"] == self.channel_name or event["ticket"] != self.ticket:
            return
        if self.company.hear(event):
            await self.send_json({"type": "presence", "people": self.company.shown()})
        if event["asks"] and self.doing != AWAY:
            await self._tell_company(asks=False)

    async def queue_company(self, event: dict[str, Any]) -> None:
        """Where people of some process are now: what this person may see of it goes to their queue."""
        spots = [Spot(*told) for told in event["spots"]]
        for spot in spots:
            whereabouts.note(spot)
        if self.glance is not None:
            self.glance.touch(spot.ticket for spot in spots)
            self._glance_soon()

    async def github_sync(self, event: dict[str, Any]) -> None:
        """A repository is being read: sync_progress, sync_completed, sync_cancelled, sync_failed."""
        await self.send_json(
            {**{name: value for name, value in event.items() if name != "event"}, "type": event["event"]}
        )

    async def person_news(self, event: dict[str, Any]) -> None:
        """Something is new for this person: their browser asks what it is."""
        await self.send_json({"type": "news"})

    async def person_changed(self, event: dict[str, Any]) -> None:
        """A session ended, or the person was given another role or other teams: out, if that concerns this desk."""
        if event["why"] == "role" or await self._signed_out() or await self._audience() != self.audience:
            await self._do(AWAY)
            await self.close(code=SIGNED_OUT)

    # Inside

    async def _flush(self) -> None:
        await asyncio.sleep(max(GATHER, self.changes.sent_at + APART - time.monotonic()))
        taken = self.changes.take()
        if len(taken) > MOST_PUSHED:
            await self.send_json({"type": "catch-up"})
        elif self.audience is not None:
            rows = await SHOWN.rows(taken)
            counts = await SHOWN.counts(self.audience, self.user, max(taken.values()))
            await self.send_json(
                {
                    "type": "tickets",
                    "rows": {number: row.html for number, row in rows.items() if self.audience.may_see(row.group)},
                    "gone": [number for number in taken if not self._sees(rows.get(number), self.audience)],
                    "counts": counts,
                }
            )
        self.changes.sent_at = time.monotonic()
        if self.changes.waiting:
            self.flushing = asyncio.create_task(self._flush())

    @staticmethod
    def _sees(row: Any, audience: Audience) -> bool:
        return row is not None and audience.may_see(row.group)

    async def _beat(self) -> None:
        """Say that the server is alive; let go who has been signed out or moved to other teams meanwhile."""
        rounds = 0
        while True:
            await asyncio.sleep(BEAT)
            rounds += 1
            if rounds % 3 == 0 and (await self._signed_out() or await self._audience() != self.audience):
                await self._do(AWAY)
                await self.close(code=SIGNED_OUT)
                return
            if presence.due():
                self._tell_presence_soon()
            for spots in whereabouts.due():
                await self._tell_queues(spots)
            self._look()
            await self._keep_company(sees=rounds % 3 != 0 or await self._ticket() == self.ticket)
            await self.send_json({"type": "beat", "desks": presence.total()})

    async def _do(self, doing: str) -> None:
        """What this person does now: told at once, if it is something else than before."""
        came, self.doing, before = self.doing == AWAY, doing, self.doing
        if doing != before:
            await self._stand()
            await self._tell_company(asks=came)

    async def _keep_company(self, *, sees: bool) -> None:
        """With the beat: say to the others that one is still there, forget who did not, leave what is out of sight."""
        if self.doing != AWAY and (not sees or time.monotonic() - self.said_at > FORGET_AFTER):
            await self._do(AWAY)  # this browser has gone quiet
        if not sees:
            await self.channel_layer.group_discard(f"ticket-{self.ticket}", self.channel_name)
            self.ticket, self.company = None, Company(self.user.pk)
            await self.send_json({"type": "presence", "people": []})
        elif self.company.forget():
            await self.send_json({"type": "presence", "people": self.company.shown()})
        if self.company and self.doing != AWAY:
            await self._tell_company(asks=False)

    async def _tell_company(self, *, asks: bool) -> None:
        message = {"type": "ticket.company", "ticket": self.ticket, "desk": self.channel_name, "asks": asks}
        message |= {"person": self.user.pk, "name": self.user.label, "doing": self.doing}
        await self.channel_layer.group_send(f"ticket-{self.ticket}", message)

    async def _stand(self) -> None:
        """Say to the queues where this person is."""
        spot = Spot(
            desk=self.channel_name,
            ticket=self.ticket or 0,
            group=self.group,
            person=self.user.pk,
            name=self.user.label,
            doing=self.doing,
            said=time.time_ns() // 1000,
        )
        whereabouts.note_own(spot)
        await self._tell_queues([spot.told])

    async def _move(self) -> None:
        """The ticket may belong to another team now: its people see who is at it, the others no more."""
        before = self.group
        if await self._ticket() == self.ticket and self.group != before:
            await self._stand()

    async def _tell_queues(self, spots: list[Told]) -> None:
        await self.channel_layer.group_send(QUEUES, {"type": "queue.company", "spots": spots})

    def _look(self) -> None:
        if self.glance is not None:
            self.glance.touch_all()
            self._glance_soon()

    def _glance_soon(self) -> None:
        if self.glancing is None or self.glancing.done():
            self.glancing = asyncio.create_task(self._glance())

    async def _glance(self) -> None:
        """What changed meanwhile is told at once, and then again after a while at the earliest."""
        while self.glance is not None and (news := self.glance.take()):
            await self.send_json({"type": "whereabouts", "tickets": news})
            await asyncio.sleep(GLANCES_APART)

    def _tell_presence_soon(self) -> None:
        """Where many desks come or go together, as when a server is back, all are told once and not once for each."""
        telling = presence.telling
        if telling is None or telling.done() or telling.get_loop() is not asyncio.get_running_loop():
            presence.telling = asyncio.create_task(self._tell_presence())

    async def _tell_presence(self) -> None:
        await asyncio.sleep(PRESENCE_APART)
        presence.note(PROCESS, presence.here)
        message = {"type": "desk.presence", "process": PROCESS, "count": presence.here}
        with contextlib.suppress(Exception):  # the next beat tells it again
            await self.channel_layer.group_send(EVERYBODY, message)

    async def _signed_out(self) -> bool:
        session = self.scope.get("session")
        key = session.session_key if session is not None else None
        return key is not None and not await database_sync_to_async(session.exists)(key)

    async def _audience(self) -> Audience | None:
        if self.user is None or not self.user.is_authenticated:
            return None
        audience: Audience | None = await database_sync_to_async(_audience_of_pk)(self.user.pk)
        return audience

    async def _ticket(self) -> int | None:
        """The number of the ticket whose page this is, if the person may see it; notes the group that may, too."""
        asked = self._asked("ticket")
        if not (asked.isascii() and asked.isdigit() and len(asked) < 18):
            return None
        group = await database_sync_to_async(seen_group)(self.user, int(asked))
        self.group = group or self.group
        return int(asked) if group else None

    def _asked(self, name: str) -> str:
        asked: bytes = self.scope.get("query_string", b"")
        return parse_qs(asked.decode("latin-1")).get(name, [""])[0]


def _audience_of_pk(pk: int) -> Audience | None:
    user = get_backends()[0].get_user(pk)
    return audience_of(user) if isinstance(user, User) and not user.owes_second_factor else None
