"""What the machine does about who carries a ticket: it gives what nobody has, and lets go of what nobody can see.

A person's choice, also that of nobody, stands: `provenance["assignee"]` keeps who decided.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from tickets.actions.notifying import tell_assignee
from tickets.colleagues import colleagues_of
from tickets.live import announce
from tickets.load import least_loaded, members
from tickets.models import Agent, Event, Status, Team, Ticket, TriageState
from triage.correlation import acting
from triage.models import User

ASSIGNMENT = ("assignee", "provenance")
AT_HAND = (Status.NEW, Status.IN_REVIEW, Status.ESCALATED)


def chosen(to: User | None) -> dict[str, Any]:
    """What is kept of a person's choice: the machine gives nothing to anybody against it."""
    return {"engine": "person", "nobody": to is None}


def give(ticket: Ticket, to: User | None, *, by_person: bool, reason: str = "") -> None:
    """Put a locked ticket into somebody's hands, or nobody's. The caller saves the fields of ASSIGNMENT."""
    ticket.assignee = to
    if to is not None:
        Agent.objects.filter(user=to).update(given_at=timezone.now())
    if by_person:
        ticket.provenance["assignee"] = chosen(to)
    elif to is not None:
        ticket.provenance["assignee"] = {"engine": "machine", "reason": reason}
    else:
        ticket.provenance.pop("assignee", None)


def give_by_load(ticket: Ticket) -> bool:
    """Give a locked ticket to whoever of its team has the least to do, if it is the machine's to give.

    Of two that are given at the same time the second one waits here and sees the first. The caller saves the fields
    of ASSIGNMENT and tells the assignee.
    """
    team = ticket.team
    if team is None or not _is_to_be_given(ticket, team):
        return False
    list(members(team).select_for_update(of=("self",), no_key=True).order_by("pk").values_list("pk", flat=True))
    for first in least_loaded(team)[:1]:
        reason = (
            f"Had the least to do of those available in {team.name}: {first.load} of {first.capacity} open tickets."
        )
        give(ticket, first.user, by_person=False, reason=reason)
        return True
    return False


def let_go_if_out_of_sight(ticket: Ticket) -> None:
    """A locked ticket came to another team: whoever cannot see it there has it no more. The caller saves."""
    if ticket.assignee_id and not colleagues_of(ticket).filter(pk=ticket.assignee_id).exists():
        give(ticket, None, by_person=False)


def given_by_person(ticket: Ticket) -> bool:
    """Whether it was a person who last changed whose the ticket is."""
    later: Event | None = None
    for event in Event.objects.filter(pgh_obj_id=ticket.pk).order_by("-pgh_id")[:500]:
        if event.assignee_id != ticket.assignee_id:
            break
        later = event
    return later is not None and later.actor.startswith(("user:", "api:", "database"))


def take_up(limit: int = 50) -> int:
    """Give what waits for somebody of its team, the most pressing first. Returns how many found one."""
    _let_go_of_those_who_left(limit)
    given = 0
    for team in Team.objects.filter(active=True, auto_assign=True):
        room = sum(one.capacity - one.load for one in least_loaded(team))
        waiting = Ticket.objects.unassigned_in(team).values_list("pk", flat=True) if room else ()
        for number in list(waiting[: min(room, limit)]):
            given += _take_up(number)
    return given


def _take_up(number: int) -> bool:
    with acting("machine:assignment"), transaction.atomic():
        free = Ticket.objects.select_for_update(of=("self",), skip_locked=True).select_related("team", "assignee")
        ticket = free.defer("embedding", "raw").filter(pk=number).first()
        if ticket is None or not give_by_load(ticket):
            return False
        ticket.save(update_fields=[*ASSIGNMENT, "updated_at"])
        announce(ticket, "changed")
        tell_assignee(kind="assigned", ticket=ticket)
    return True


def _let_go_of_those_who_left(limit: int) -> None:
    """Open tickets of whoever was deactivated or may only look on: nobody has them, and the machine may give them."""
    gone = Q(assignee__is_active=False) | Q(assignee__agent__role=Agent.Role.AUDITOR)
    with acting("machine:assignment"), transaction.atomic():
        left = Ticket.objects.open().filter(gone, assignee__isnull=False)
        for ticket in left.select_for_update(of=("self",), skip_locked=True).defer("embedding", "raw")[:limit]:
            give(ticket, None, by_person=False)
            ticket.save(update_fields=[*ASSIGNMENT, "updated_at"])
            announce(ticket, "changed")


def _is_to_be_given(ticket: Ticket, team: Team) -> bool:
    """Only what is read, wanted, nobody's, and of a team that was applied or decided: a suggestion acts on nothing."""
    decided = ticket.decided_by_person("team") or ticket.provenance.get("team", {}).get("band") == "apply"
    wanted = ticket.status in AT_HAND and not ticket.is_snoozed and ticket.deleted_at is None
    nobodys = ticket.assignee_id is None and not ticket.provenance.get("assignee", {}).get("nobody")
    read = ticket.triage_state in (TriageState.TRIAGED, TriageState.FAILED)
    return bool(team.active and team.auto_assign and decided and wanted and nobodys and read)
