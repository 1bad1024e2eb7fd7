"""What can be done to many tickets at once, and taken back. Each does to a ticket what its single action does.

The rows are locked and saved by whoever calls (tickets.actions.bulk): here a ticket changes in memory alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from tickets.actions import notifying, snoozing, triage
from tickets.actions.carrying import ASSIGNMENT, chosen
from tickets.actions.errors import Conflict, Invalid
from tickets.actions.joined import refuse_if_merged
from tickets.actions.review import may_decide
from tickets.models import Agent, Lane, Status, Ticket
from tickets.models.ticket import ESCALATION, STATUS, TicketQuerySet
from tickets.words import counted
from triage.models import User

Held = dict[str, Any]
MANY = 50  # tickets: beyond, people are told of all of them at once


class Alteration(ABC):
    """One kind of change, for the tickets of one portion. `value` is as `accepted` gave it, from JSON."""

    columns: ClassVar[tuple[str, ...]]  # those it may change, as bulk_update names them
    key: ClassVar[str]  # of what it holds: the part that says whether somebody changed it since
    teaches: ClassVar[bool] = False  # whether it is a decision, and so an example
    moves: ClassVar[bool] = False  # whether another team may see it afterwards

    def __init__(self, value: Any, by: User, total: int) -> None:
        self.value, self.by, self.total = value, by, total

    @classmethod
    def reach(cls) -> TicketQuerySet:
        """The tickets that it may be done to."""
        return Ticket.objects.all()

    @classmethod
    @abstractmethod
    def accepted(cls, given: str, by: User) -> tuple[Any, str]:
        """What a form sent as a value for JSON, and in words what will be done. Raises Invalid."""

    @abstractmethod
    def alter(self, ticket: Ticket) -> bool:
        """Change a locked ticket in memory; False: it was so already. Raises Refused."""

    @abstractmethod
    def held(self, ticket: Ticket) -> Held:
        """What of the ticket this changes, for JSON."""

    @abstractmethod
    def put_back(self, ticket: Ticket, before: Held) -> None:
        """Make a locked ticket hold again what it held. Raises Refused where it has to stay as it is."""

    def settle(self, tickets: Sequence[Ticket]) -> dict[int, list[int]]:
        """The rest, once the tickets are saved. Gives {ticket: reviews that were written}."""
        return {}

    def unsettle(self, tickets: Sequence[Ticket], reviews: Sequence[int]) -> None:  # noqa: B027 - most have no rest
        """The rest of taking it back, once the tickets are saved."""

    def finish(self, first: Ticket | None, changed: int) -> None:  # noqa: B027
        """When all are through: tell people."""


class Assign(Alteration):
    """`value` is a user's primary key, None for nobody."""

    columns, key = ASSIGNMENT, "assignee"

    def __init__(self, value: Any, by: User, total: int) -> None:
        super().__init__(value, by, total)
        self.to = User.objects.filter(pk=value, is_active=True).first() if value else None
        self.seen = Ticket.objects.visible_to(self.to) if self.to else None
        agent = Agent.of(self.to) if self.to else None
        self.sees_all = self.to is not None and (agent.sees_everything if agent else self.to.is_superuser)
        self.teams = set(agent.teams.values_list("pk", flat=True)) if agent and not self.sees_all else set()

    @classmethod
    def accepted(cls, given: str, by: User) -> tuple[Any, str]:
        if not given:
            return None, "Assigned to nobody"
        to = by if given == "me" else User.objects.filter(username=given, is_active=True, agent__isnull=False).first()
        if to is None:
            raise Invalid("not_a_choice", "There is nobody of that name.", field="assignee")
        if not may_decide(to):
            raise Invalid("may_not_decide", f"{to.label} reads tickets and does not change them.", field="assignee")
        return to.pk, f"Assigned to {to.label}"

    def alter(self, ticket: Ticket) -> bool:
        if self.value and self.to is None:
            raise Conflict("gone", "That person works here no more.")
        if self.to and not self._sees(ticket):
            raise Invalid("cannot_see_it", f"{self.to.label} does not work for this ticket's team.", field="assignee")
        if ticket.assignee_id == self.value:
            return False
        ticket.assignee = self.to
        ticket.provenance["assignee"] = chosen(self.to)
        return True

    def _sees(self, ticket: Ticket) -> bool:
        """As Ticket.objects.visible_to, asked of one that is loaded with its team."""
        team = ticket.team
        return self.sees_all or team is None or team.key == "manual_review" or team.pk in self.teams

    def held(self, ticket: Ticket) -> Held:
        return {"assignee": ticket.assignee_id, "how": ticket.provenance.get("assignee")}

    def put_back(self, ticket: Ticket, before: Held) -> None:
        ticket.assignee = User.objects.filter(pk=before["assignee"]).first() if before["assignee"] else None
        ticket.provenance.pop("assignee", None)
        if before.get("how") is not None:
            ticket.provenance["assignee"] = before["how"]

    def settle(self, tickets: Sequence[Ticket]) -> dict[int, list[int]]:
        if self.total <= MANY:
            for ticket in tickets:
                notifying.tell_assignee(kind="assigned", ticket=ticket, by=self.by)
        return {}

    def finish(self, first: Ticket | None, changed: int) -> None:
        if self.total > MANY and first is not None:
            notifying.tell_assignee(kind="assigned", ticket=first, by=self.by, text=_and_others(changed))


class ChangeStatus(Alteration):
    """`value` is a status; "reopen" leaves those alone that are open."""

    columns, key = (*STATUS, *ESCALATION), "status"

    @classmethod
    def accepted(cls, given: str, by: User) -> tuple[Any, str]:
        if given == "reopen":
            return given, "Reopened"
        if given not in Status.values or given == Status.NEW:
            raise Invalid("not_a_choice", "Choose a status.", field="status")
        return given, f"Status {Status(given).label.lower()}"

    def alter(self, ticket: Ticket) -> bool:
        refuse_if_merged(ticket)
        if self.value == "reopen" and ticket.is_open:
            return False
        status = Status.IN_REVIEW if self.value == "reopen" else Status(self.value)
        if ticket.status == status:
            return False
        if Status.ESCALATED in (status, ticket.status) and status in (Status.ESCALATED, Status.IN_REVIEW):
            ticket.decide_escalated(status == Status.ESCALATED)
        ticket.set_status(status)
        return True

    def held(self, ticket: Ticket) -> Held:
        return {
            "status": ticket.status,
            "resolved_at": _moment(ticket.resolved_at),
            "until": _moment(ticket.snoozed_until),
            "escalated": ticket.escalated,
            "reason": ticket.escalation_reason,
            "how": ticket.provenance.get("escalated"),
        }

    def put_back(self, ticket: Ticket, before: Held) -> None:
        refuse_if_merged(ticket)
        ticket.status, ticket.resolved_at = before["status"], _parsed(before["resolved_at"])
        if "until" in before:  # older runs did not touch it
            ticket.snoozed_until = _parsed(before["until"])
        ticket.escalated, ticket.escalation_reason = before["escalated"], before["reason"]
        if before["how"] is None:
            ticket.provenance.pop("escalated", None)
        else:
            ticket.provenance["escalated"] = before["how"]

    def settle(self, tickets: Sequence[Ticket]) -> dict[int, list[int]]:
        if self.value == Status.ESCALATED and self.total <= MANY:
            for ticket in tickets:
                notifying.tell_leads(ticket=ticket, by=self.by)
        return {}

    def finish(self, first: Ticket | None, changed: int) -> None:
        if self.value == Status.ESCALATED and self.total > MANY and first is not None:
            notifying.tell_leads(ticket=first, by=self.by, text=_and_others(changed))


class Snooze(Alteration):
    """`value` is an ISO time, None to take up again."""

    columns, key = ("snoozed_until",), "until"

    def __init__(self, value: Any, by: User, total: int) -> None:
        super().__init__(value, by, total)
        self.until = _parsed(value)

    @classmethod
    def accepted(cls, given: str, by: User) -> tuple[Any, str]:
        if given == "now":
            return None, "Taken up again"
        until = parse_datetime(given)
        if until is None or timezone.is_naive(until):
            raise Invalid("not_a_time", "Choose when it shall come back.", field="at")
        if not timezone.now() < until <= timezone.now() + snoozing.LONGEST:
            raise Invalid("past", "Choose a time that is still to come, within a year.", field="until")
        return until.isoformat(), f"Put off until {timezone.localtime(until):%-d %b, %H:%M}"

    def alter(self, ticket: Ticket) -> bool:
        if self.until is not None and not ticket.is_open:
            raise Conflict("ended", "It has ended: there is nothing to put off.")
        if ticket.snoozed_until == self.until:
            return False
        ticket.snoozed_until = self.until
        return True

    def held(self, ticket: Ticket) -> Held:
        return {"until": _moment(ticket.snoozed_until)}

    def put_back(self, ticket: Ticket, before: Held) -> None:
        ticket.snoozed_until = _parsed(before["until"])


class ReadAgain(Alteration):
    """Run again; with many behind what customers send now."""

    columns, key = (), ""

    @classmethod
    def accepted(cls, given: str, by: User) -> tuple[Any, str]:
        return None, "Read again"

    def alter(self, ticket: Ticket) -> bool:
        return not ticket.is_reading

    def held(self, ticket: Ticket) -> Held:
        return {}

    def put_back(self, ticket: Ticket, before: Held) -> None:
        """Nothing: FOR_GOOD."""

    def settle(self, tickets: Sequence[Ticket]) -> dict[int, list[int]]:
        lane = Lane.IMPORTED if self.total > MANY else Lane.INTERACTIVE
        triage.submit_again(tickets=Ticket.objects.filter(pk__in=[one.pk for one in tickets]), lane=lane)
        return {}


def _and_others(changed: int) -> str:
    return f"and {counted(changed - 1, 'other ticket')}" if changed > 1 else ""


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _parsed(given: str | None) -> datetime | None:
    return datetime.fromisoformat(given) if given else None
