"""Who is at which ticket, for the rows of queues: what a web process knows of all desks, told to those who may see."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tickets.live import Audience
from tickets.presence import AWAY, FORGET_AFTER, people_at

QUEUES = "queues"  # the group of every page that shows rows
LONGEST_NAME = 40  # letters: what is told of many desks must fit into a message of 8,000 bytes
AT_ONCE = 12  # spots a message
EVERY = 10.0  # seconds between two times that a process says where its people are
Told = list[str | int]
People = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Spot:
    """One open page of a person at a ticket; `group` may see that ticket, `said` orders what one desk says (µs)."""

    desk: str
    ticket: int
    group: str
    person: int
    name: str
    doing: str
    said: int

    @property
    def told(self) -> Told:
        return [self.desk, self.ticket, self.group, self.person, self.name[:LONGEST_NAME], self.doing, self.said]


class Whereabouts:
    """The spots of this process's own desks, and those that the other processes tell; the silent are forgotten."""

    def __init__(self) -> None:
        self._spots: dict[int, dict[str, tuple[Spot, float]]] = defaultdict(dict)
        self._own: dict[str, Spot] = {}
        self._told_at = 0.0

    def note_own(self, spot: Spot) -> None:
        if spot.doing == AWAY:
            self._own.pop(spot.desk, None)
        else:
            self._own[spot.desk] = spot
        self.note(spot)

    def note(self, spot: Spot) -> None:
        """What was said later stands; having left is remembered for as long, against what comes late."""
        known = self._spots[spot.ticket].get(spot.desk)
        if known is None or known[0].said <= spot.said:
            self._spots[spot.ticket][spot.desk] = (spot, time.monotonic())

    def at(self, ticket: int, audience: Audience, *, but: int) -> People:
        """Who is there, but for one person, as far as this audience may see the ticket."""
        last = time.monotonic() - FORGET_AFTER
        return people_at(
            spot
            for spot, heard in self._spots.get(ticket, {}).values()
            if spot.doing != AWAY and spot.person != but and audience.may_see(spot.group)
            if heard > last or spot.desk in self._own
        )

    def tickets(self) -> list[int]:
        """Where anybody may be; the forgotten go."""
        last = time.monotonic() - FORGET_AFTER
        for ticket, spots in list(self._spots.items()):
            for desk, (_, heard) in list(spots.items()):
                if heard <= last and desk not in self._own:
                    del spots[desk]
            if not spots:
                del self._spots[ticket]
        return list(self._spots)

    def due(self) -> Iterator[list[Told]]:
        """Once in a while, for one desk to say it for all: this process's own spots, as much as a message holds."""
        if time.monotonic() - self._told_at < EVERY / 2:
            return iter(())
        self._told_at = time.monotonic()
        told = [spot.told for spot in self._own.values()]
        return (told[first : first + AT_ONCE] for first in range(0, len(told), AT_ONCE))


class Glance:
    """What one queue page has been told of whom its person may see, and what is news to it."""

    def __init__(self, whereabouts: Whereabouts, audience: Audience, person: int) -> None:
        self.whereabouts, self.audience, self.person = whereabouts, audience, person
        self._told: dict[int, People] = {}
        self._touched: set[int] = set()

    def touch(self, tickets: Iterable[int]) -> None:
        self._touched.update(tickets)

    def touch_all(self) -> None:
        self.touch([*self.whereabouts.tickets(), *self._told])

    def take(self) -> dict[int, People]:
        """The touched tickets where it is otherwise than told before; nobody is an empty list."""
        touched, self._touched = self._touched, set()
        news: dict[int, People] = {}
        for ticket in touched:
            people = self.whereabouts.at(ticket, self.audience, but=self.person)
            if people != self._told.get(ticket, []):
                news[ticket] = people
            self._told.pop(ticket, None)
            if people:
                self._told[ticket] = people
        return news
