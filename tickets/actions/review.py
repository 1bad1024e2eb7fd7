"""What a person decides about the machine's proposal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from tickets.actions.auditing import check
from tickets.actions.carrying import ASSIGNMENT, let_go_if_out_of_sight
from tickets.actions.decided import normalise, spelled
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.joined import refuse_if_merged
from tickets.actions.learning import remember
from tickets.actions.notifying import tell_leads
from tickets.actions.overtaken import refuse_if_moved
from tickets.actions.promising import reckon
from tickets.live import announce
from tickets.models import Agent, ApiKey, Review, Status, Ticket, leads
from tickets.models.ticket import ESCALATION, SLA, STATUS
from triage.models import User
from triage.pipeline.types import MANUAL_REVIEW

DECIDED_BY_PEOPLE = (
    "category",
    "priority",
    "team",
    "tier",
    "severity",
    "effort",
    "component",
    "sentiment",
    "tags",
    "language",
    "summary",
    "is_technical",
)


def correct(
    *,
    ticket: Ticket,
    changes: Mapping[str, Any],
    by: User | None,
    why: str = "",
    api_key: ApiKey | None = None,
    seen: Mapping[str, str] | None = None,
) -> Ticket:
    """Set fields to what a person says. From then on no machine touches them.

    Values are spelled as the API spells them: keys for category, team and component, P1 to P4, a list of tags,
    None for nothing. `by` is None only where an API key that acts for nobody decides. `seen` is what the person was
    shown in a field, as a form spells it. Raises Invalid naming the field; Conflict where a colleague decided otherwise
    since.
    """
    if by is not None or api_key is None:
        require_decider(by)
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        suggestion = held.latest_suggestion
        for name, given in changes.items():
            _refuse_unknown(name)
            value = normalise(name, given)
            before = held.value_of(name)
            setattr(held, name, value)
            after = held.value_of(name)
            accepted = before == after and not held.decided_by_person(name)
            if before == after and not accepted:
                continue
            if seen is not None and name in seen and spelled(before) != seen[name]:
                _refuse_if_decided_by_another(held, name, by)
            decision = Review.Decision.ACCEPTED if accepted else Review.Decision.CORRECTED
            _decide(held, name)
            Review.objects.create(
                ticket=held,
                suggestion=suggestion,
                decision=decision,
                field=name,
                before=before,
                after=after,
                why=why,
                by=by,
                api_key=api_key,
            )
        if "team" in changes:
            let_go_if_out_of_sight(held)
        _finish(held)
        announce(held, "routed" if "team" in changes else "changed")
    return held


def _refuse_unknown(name: str) -> None:
    if name not in DECIDED_BY_PEOPLE:
        raise Invalid("unknown_field", f"There is no field {name[:50]!r} to decide.", field=name[:50])


def accept(
    *,
    ticket: Ticket,
    fields: Iterable[str],
    by: User | None,
    unsure: Iterable[str] = (),
    suggestion: int | None = None,
    api_key: ApiKey | None = None,
) -> Ticket:
    """Say that the machine's values are right: they become the person's. Fields without a value are passed over.

    `unsure` names fields that hold nothing: they take what was suggested. `suggestion` is the primary key of the one
    that the person saw (0: there was none). Raises Conflict when the ticket has been read again since.
    """
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        latest = held.latest_suggestion
        if suggestion is not None and suggestion != (latest.pk if latest else 0):
            raise Conflict("suggestion_changed", "The ticket was read again meanwhile. Look at the new values first.")
        values = {name: held.value_of(name) for name in fields if name in DECIDED_BY_PEOPLE}
        for name in unsure:
            if latest and held.value_of(name) in (None, "", []) and not held.decided_by_person(name):
                values[name] = latest.fields.get(name, {}).get("value")
        changes = {name: value for name, value in values.items() if value not in (None, "", [])}
        return correct(ticket=held, changes=changes, by=by, api_key=api_key) if changes else held


def escalate(*, ticket: Ticket, reason: str, by: User | None, api_key: ApiKey | None = None, seen: str = "") -> Ticket:
    """Put the ticket into the escalated queue. It is not resolved by that.

    `by` is None only where an API key that acts for nobody does it. `seen` is as for tickets.actions.status.change.
    """
    if by is not None or api_key is None:
        require_decider(by)
    reason = reason.replace("\x00", "").strip()[:300]
    if not reason:
        raise Invalid("blank", "Say why this needs somebody else.", field="reason")
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        refuse_if_merged(held)
        refuse_if_moved(held, seen)
        held.set_status(Status.ESCALATED)
        held.decide_escalated(True, reason)
        held.save(update_fields=[*STATUS, *ESCALATION, "updated_at"])
        Review.objects.create(
            ticket=held,
            suggestion=held.latest_suggestion,
            decision=Review.Decision.ESCALATED,
            why=reason,
            by=by,
            api_key=api_key,
        )
        announce(held, "changed")
        tell_leads(ticket=held, by=by)
    return held


def reject(*, ticket: Ticket, by: User, why: str = "", suggestion: int | None = None) -> Ticket:
    """Say that the proposal is no use: what no person decided is taken out, and the ticket goes to Manual Review.

    `suggestion` is the primary key of the one that the person saw (0: there was none). Nothing is learned from it, for
    no value was named. Raises Conflict when the ticket has been read again since.
    """
    require_decider(by)
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        latest = held.latest_suggestion
        if suggestion is not None and suggestion != (latest.pk if latest else 0):
            raise Conflict("suggestion_changed", "The ticket was read again meanwhile. Look at the new values first.")
        for name in DECIDED_BY_PEOPLE:
            if name in held.provenance and not held.decided_by_person(name):
                setattr(held, name, normalise(name, MANUAL_REVIEW if name == "team" else None))
                held.provenance.pop(name)
        Review.objects.create(
            ticket=held, suggestion=latest, decision=Review.Decision.REJECTED, why=why.replace("\x00", "")[:2000], by=by
        )
        _finish(held)
        announce(held, "routed")
    return held


def require_decider(user: User | None) -> None:
    """Raise Forbidden unless this is a person who may change tickets."""
    if user is None or not may_decide(user):
        raise Forbidden("may_not_decide", "Your role lets you read tickets, not change them.")


def may_decide(user: User) -> bool:
    agent = Agent.of(user)
    return user.is_active and (agent.may_decide if agent else user.is_superuser)


def require_lead(user: User) -> None:
    """Raise Forbidden unless this person may act on many tickets at once: a lead or an admin."""
    if not leads(user):
        raise Forbidden("not_a_lead", "Only leads and admins act on many tickets at once.")


def _refuse_if_decided_by_another(ticket: Ticket, name: str, by: User | None) -> None:
    """Raise Conflict where what the field held is the decision of somebody else."""
    last = ticket.reviews.filter(field=name).select_related("by", "api_key").order_by("-pk").first()
    if last is not None and ticket.decided_by_person(name) and last.by != by:
        raise Conflict("decided_meanwhile", f"{last.who} decided this meanwhile. Yours was not kept.", field=name)


def _decide(ticket: Ticket, name: str) -> None:
    ticket.provenance[name] = {"engine": "person", "confidence": 1.0, "band": "apply", "reason": "Set by a person."}


def _finish(ticket: Ticket) -> None:
    reckon(ticket)
    ticket.confidence = ticket.provenance.get("category", {}).get("confidence", ticket.confidence)
    ticket.save(update_fields=[*DECIDED_BY_PEOPLE, *ASSIGNMENT, "confidence", *SLA, "updated_at"])
    remember(ticket)
    check(ticket)
