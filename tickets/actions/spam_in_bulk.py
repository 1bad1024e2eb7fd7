"""Many tickets held as spam at once, or let in; taken back as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tickets.actions import spamming
from tickets.actions.alterations import Alteration, Held
from tickets.actions.errors import Invalid
from tickets.models import SpamMark, Ticket
from tickets.models.ticket import TicketQuerySet
from triage.models import User


class Spam(Alteration):
    """`value` is whether they are spam."""

    columns = tuple(name for name in spamming.COLUMNS if name != "updated_at")  # which every change sets
    key, moves = "spam", True

    @classmethod
    def reach(cls) -> TicketQuerySet:
        return Ticket.everything.not_deleted()

    @classmethod
    def accepted(cls, given: str, by: User) -> tuple[Any, str]:
        if given not in ("mark", "unmark"):
            raise Invalid("not_a_choice", "Say whether these are spam.", field="do")
        return given == "mark", "Marked as spam" if given == "mark" else "Let in: no spam"

    def alter(self, ticket: Ticket) -> bool:
        return self._become(ticket, bool(self.value))

    def held(self, ticket: Ticket) -> Held:
        return {"spam": ticket.spam}

    def put_back(self, ticket: Ticket, before: Held) -> None:
        self._become(ticket, before["spam"])

    def settle(self, tickets: Sequence[Ticket]) -> dict[int, list[int]]:
        aside = [ticket for ticket in tickets if ticket.spam]
        back = [ticket for ticket in tickets if not ticket.spam]
        if aside:
            spamming.settle(aside, why=SpamMark.Why.PERSON, by=self.by)
        if back:
            spamming.settle_in(back)
        return {}

    def unsettle(self, tickets: Sequence[Ticket], reviews: Sequence[int]) -> None:
        self.settle(tickets)

    def _become(self, ticket: Ticket, spam: bool) -> bool:
        if ticket.spam == spam:
            return False
        if spam:
            spamming.refuse(ticket)
        (spamming.put_aside if spam else spamming.let_in)(ticket)
        return True
