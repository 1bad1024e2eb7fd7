"""People give tickets to people."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.db.models import Q, Value
from django.db.models.functions import Concat, Trim

from tickets.actions import conversation, review
from tickets.actions.carrying import ASSIGNMENT, give
from tickets.actions.errors import Conflict, Invalid
from tickets.actions.notifying import tell_assignee
from tickets.actions.review import may_decide, require_decider
from tickets.live import announce
from tickets.models import Team, Ticket
from triage.models import User
from triage.pipeline.types import MANUAL_REVIEW


def assign(
    *, ticket: Ticket, to: User | None, by: User | None, instead_of: User | str | None = "", rule: str = ""
) -> Ticket:
    """Give the ticket to a person of the staff, or to nobody: the machine then leaves it so.

    With the name of a `rule` it is not a person's choice, and another rule or person may choose again.

    `instead_of` is whom the person saw there, if they saw it: raises Conflict when somebody else has it meanwhile.
    Raises Invalid for whoever does not work for the ticket's team, or may change no tickets.
    """
    if by is not None:
        require_decider(by)
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).select_related("assignee").get(pk=ticket.pk)
        _refuse_who_cannot_have(held, to)
        if instead_of != "" and held.assignee not in (instead_of, to):
            has = f"{held.assignee.label} has it" if held.assignee else "nobody has it"
            raise Conflict("assigned_meanwhile", f"Somebody was quicker: {has} now. Look again before you change that.")
        is_new = held.assignee != to
        give(held, to, by_person=not rule, reason=f"Given by the rule {rule}." if rule else "")
        held.save(update_fields=[*ASSIGNMENT, "updated_at"])
        announce(held, "changed")
        if is_new:
            tell_assignee(kind="assigned", ticket=held, by=by)
    return held


def hand_over(*, ticket: Ticket, note: str, by: User, to: User | None = None, team: Team | None = None) -> Ticket:
    """Give the ticket to a colleague or to another team, with a note for them, in one act.

    In another team nobody has it, unless `to` is named. Raises Invalid without a note or without anybody to give it to.
    """
    require_decider(by)
    if to is None and team is None:
        raise Invalid("blank", "Choose who takes it over: a colleague or a team.", field="to")
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        conversation.comment(ticket=held, text=note, by=by)
        if team is not None:
            held = review.correct(ticket=held, changes={"team": team.key}, by=by, why="Handed over.")
        if to is not None:
            return assign(ticket=held, to=to, by=by)
        if held.assignee_id:
            give(held, None, by_person=False)
            held.save(update_fields=[*ASSIGNMENT, "updated_at"])
            announce(held, "routed")
    return held


def release(*, user: User, by: User | None = None, but: Collection[Team] | None = None) -> int:
    """Take every open ticket off a person, as when they leave. Returns how many; the machine may give them anew.

    With `but` they keep those that whoever works for these teams sees.
    """
    if by is not None:
        require_decider(by)
    mine = Ticket.objects.open().filter(assignee=user)
    if but is not None:
        mine = mine.exclude(Q(team=None) | Q(team__key=MANUAL_REVIEW) | Q(team__in=but))
    with transaction.atomic():
        held = mine.select_for_update(of=("self",)).order_by("pk")
        tickets = list(held.defer("embedding", "raw"))
        for ticket in tickets:
            give(ticket, None, by_person=False)
            ticket.save(update_fields=[*ASSIGNMENT, "updated_at"])
            announce(ticket, "changed")
    return len(tickets)


def somebody(name: str) -> User:
    """The colleague with this user name, or with this full name if only one has it. Raises Invalid."""
    word = " ".join(name.replace("\x00", "").split())
    staff = User.objects.filter(is_active=True, agent__isnull=False)
    whole = Concat("first_name", Value(" "), "last_name")
    found = list(staff.filter(username=word)) or list(staff.annotate(whole=Trim(whole)).filter(whole__iexact=word)[:2])
    if len(found) != 1:
        how = "More than one person has that name: give a user name." if found else "There is nobody of that name."
        raise Invalid("not_a_choice", how, field="assignee")
    return found[0]


def _refuse_who_cannot_have(ticket: Ticket, to: User | None) -> None:
    """The ticket is locked: it does not come to another team before it is given."""
    if to is None:
        return
    if not Ticket.objects.visible_to(to).filter(pk=ticket.pk).exists():
        raise Invalid("cannot_see_it", f"{to.label} does not work for this ticket's team.", field="assignee")
    if not may_decide(to):
        raise Invalid("may_not_decide", f"{to.label} reads tickets and does not change them.", field="assignee")
