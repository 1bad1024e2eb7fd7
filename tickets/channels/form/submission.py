"""What a visitor typed into the public form, kept as it was typed until it is right."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from pydantic import ValidationError

from tickets.channels.base import Inbound, complaints

FIELDS = ("title", "description", "name", "email", "priority", "tier")
LIMITS = {"title": 300, "description": 100_000, "name": 200, "email": 254}
NAMES = {"text": "description", "requester_email": "email", "requester_name": "name"}
HONEYPOT = "website"  # hidden from people; programs that fill in everything fill it in too
TRAPPED = "Leave this one empty: it is here to tell programs from people. Then send again; nothing else was lost."


@dataclass
class Submission:
    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    key: str = ""

    @classmethod
    def blank(cls) -> Submission:
        """An empty form; its key makes a second click on Send the same ticket."""
        return cls(key=str(uuid.uuid4()))

    @classmethod
    def of(cls, posted: QueryDict) -> Submission:
        """What was sent, unchecked. The key counts only in the shape that we gave it."""
        try:
            key = str(uuid.UUID(posted.get("key", "")))
        except ValueError:
            key = str(uuid.uuid4())
        return cls({name: posted.get(name, "") for name in (*FIELDS, HONEYPOT)}, key=key)

    def inbound(self, *, by_staff: bool = False) -> Inbound | None:
        """The request as the desk takes it; None when something is wrong, and then `errors` says what.

        Staff may file one for somebody whose address they do not know.
        """
        values = self.values
        if values[HONEYPOT].strip():
            self.errors = {HONEYPOT: TRAPPED}
            return None
        try:
            inbound = Inbound(
                title=values["title"],
                text=values["description"],
                requester_email=values["email"],
                requester_name=values["name"],
                priority=values["priority"],
                tier=self._tier(),
                idempotency_key=self.key,
            )
        except ValidationError as error:
            self.errors = {NAMES.get(name, name): sentence for name, sentence in complaints(error).items()}
        if not values["email"].strip() and not by_staff:
            self.errors["email"] = "Enter your e-mail address, so that we can answer."
        return None if self.errors else inbound

    def _tier(self) -> Any:
        given = self.values["tier"].strip()
        if not given:
            return None
        return int(given) if given in ("1", "2", "3") else given
