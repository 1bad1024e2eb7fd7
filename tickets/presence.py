"""Who else is at a ticket and what they do there: told from desk to desk, forgotten with a missed beat."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

AWAY = ""
DOINGS = ("viewing", "commenting", "replying")  # the later, the more it matters to others
LONGEST = 200  # bytes of what a browser may say
FORGET_AFTER = 25.0  # seconds without a word: two beats of 10 and a little


def doing_of(text: str | None) -> str | None:
    """What a browser says its person does, AWAY for nothing; None for whatever else it sent."""
    if text is None or len(text) > LONGEST:
        return None
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("type") != "presence":
        return None
    doing = said.get("doing")
    return doing if doing == AWAY or doing in DOINGS else None


class Throttle:
    """At most `most` words in `seconds`."""

    def __init__(self, most: int, seconds: float) -> None:
        self.seconds = seconds
        self._heard: deque[float] = deque(maxlen=most)

    def allows(self) -> bool:
        now = time.monotonic()
        if len(self._heard) == self._heard.maxlen and now - self._heard[0] < self.seconds:
            return False
        self._heard.append(now)
        return True


class Present(Protocol):
    @property
    def person(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def doing(self) -> str: ...


def people_at(desks: Iterable[Present]) -> list[dict[str, str]]:
    """[{name, doing}], each person once with what matters most, writers first."""
    people: dict[int, Present] = {}
    for desk in desks:
        known = people.get(desk.person)
        if known is None or DOINGS.index(desk.doing) > DOINGS.index(known.doing):
            people[desk.person] = desk
    order = sorted(people.values(), key=lambda desk: (-DOINGS.index(desk.doing), desk.name))
    return [{"name": desk.name, "doing": desk.doing} for desk in order]


@dataclass(frozen=True, slots=True)
class Desk:
    """One open page of a colleague, as it was heard of last."""

    person: int
    name: str
    doing: str
    heard: float


class Company:
    """The colleagues at one ticket, by the desks they have open, as one desk knows of them."""

    def __init__(self, person: int) -> None:
        self.person = person
        self._desks: dict[str, Desk] = {}

    def __bool__(self) -> bool:
        return bool(self._desks)

    def hear(self, event: dict[str, Any]) -> bool:
        """Note what a desk says. Returns whether that changes what is shown; one's own other desks never do."""
        if event["person"] == self.person:
            return False
        before = self.shown()
        if event["doing"] == AWAY:
            self._desks.pop(event["desk"], None)
        else:
            self._desks[event["desk"]] = Desk(event["person"], event["name"], event["doing"], time.monotonic())
        return self.shown() != before

    def forget(self) -> bool:
        """Drop whoever missed their beat. Returns whether that changes what is shown."""
        before = self.shown()
        last = time.monotonic() - FORGET_AFTER
        self._desks = {key: desk for key, desk in self._desks.items() if desk.heard > last}
        return self.shown() != before

    def shown(self) -> list[dict[str, str]]:
        """As `people_at`."""
        return people_at(self._desks.values())
