"""Rules at work: what happened to a ticket is claimed, judged by every rule that may be for it, and done once."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from pydantic import ValidationError

from tickets.actions.deeds import DEEDS, plan_all
from tickets.actions.deliveries import Claimed
from tickets.models import Event, Message, Rule, RuleCause, RuleFiring, Ticket
from tickets.models.work import LEASE
from tickets.rules.facts import Facts, kind_of_actor
from tickets.rules.matching import matches
from tickets.rules.spec import CHANGEABLE, RuleSpec
from triage.correlation import acting
from triage.queue import stopping

log = structlog.get_logger(__name__)
DEPTH = 5  # times that rules may follow one another from one happening
MOST_ATTEMPTS = 4
TURN = 2.0  # seconds of work before the drain looks at what else there is
AT_A_TIME = 10  # causes: judged well within a lease
PORTION = 500  # tickets that became idle, looked at in one go
State, Fired = RuleCause.State, RuleFiring.State


def due() -> QuerySet[RuleCause]:
    return RuleCause.objects.due(timezone.now())


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` causes under a lease, in the order in which things happened."""
    now = timezone.now()
    with transaction.atomic():
        waiting = RuleCause.objects.due(now).order_by("pk")
        taken = list(waiting.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:limit])
        mine = RuleCause.objects.filter(pk__in=taken)
        mine.update(state=State.WORKING, claim=F("claim") + 1, lease_until=now + LEASE)
        return [Claimed(*each) for each in mine.order_by("pk").values_list("pk", "claim")]


def renew(claimed: Claimed) -> None:
    _held(claimed).update(lease_until=timezone.now() + LEASE)


def work(claimed: Claimed) -> None:
    """Fire what is claimed, then for a while what else is due: one after the other, on one connection."""
    until = time.monotonic() + TURN
    fire(claimed)
    while time.monotonic() < until and not stopping():
        more = claim(AT_A_TIME)
        for one in more:
            fire(one)
        if not more:
            return


def fire(claimed: Claimed) -> None:
    """Have every rule for a claimed cause judge its ticket, in their order: each sees what the ones before it did.

    All of it is one transaction with the end of the cause, so that nothing is done twice. What a rule breaks at is
    undone and kept with its firing, and the next one has its turn.
    """
    try:
        if _begin(claimed):
            with transaction.atomic():
                _fire(claimed)
    except Exception as error:
        log.exception("rules_broke", cause=claimed.pk)
        _retry_or_fail(claimed, f"{type(error).__name__} while rules were judged.")


def _begin(claimed: Claimed) -> bool:
    """Count the attempt before it is made, so that what ends its worker, by its memory or a crash, ends some time.

    Not at the claim: those that were claimed along with it and never begun would be given up, too.
    """
    held = _held(claimed)
    if held.filter(attempts__lt=MOST_ATTEMPTS).update(attempts=F("attempts") + 1):
        return True
    broken = "The worker broke off every time it judged this."
    if held.update(state=State.FAILED, lease_until=None, error=broken):
        log.error("rules_given_up", cause=claimed.pk)
    return False


def _held(claimed: Claimed) -> Any:
    return RuleCause.objects.filter(pk=claimed.pk, claim=claimed.claim, state=State.WORKING)


def _fire(claimed: Claimed) -> None:
    number = _held(claimed).values_list("ticket", flat=True).first()
    ticket = _locked(number) if number else None
    cause = _held(claimed).select_for_update(of=("self",)).select_related("rule").first()
    if cause is None:
        return
    held = False
    if ticket is not None and not _is_stale(cause, ticket):
        facts, correlation_id = _facts(cause, ticket)
        before, ran = _last_event(ticket), []
        for rule in _rules(cause):
            firing = _judge(rule, cause, facts, correlation_id)
            held |= firing is not None
            ran += [rule] if firing is not None and firing.state == Fired.DONE else []
            if facts.ticket.spam:
                break  # it is out of the desk: no rule after this one sees it
        _follow(cause, ticket, before, ran)
    if held:
        cause.state, cause.lease_until, cause.error = State.DONE, None, ""
        cause.save(update_fields=["state", "lease_until", "error"])
    else:
        cause.delete()


def _follow(cause: RuleCause, ticket: Ticket, before: int | None, ran: Sequence[Rule]) -> None:
    """What these rules changed is one change more, for those that did not lead to it."""
    last = _last_event(ticket)
    if ran and last != before and Rule.objects.in_force(Rule.When.CHANGED).exists():
        RuleCause.objects.create(
            ticket=ticket,
            kind=Rule.When.CHANGED,
            of=last,
            after=before,
            actor=ran[-1].actor,
            chain=[*cause.chain, *(rule.pk for rule in ran)],
            depth=cause.depth + 1,
        )


def _last_event(ticket: Ticket) -> int | None:
    events = Event.objects.filter(pgh_obj_id=ticket.pk).order_by("-pgh_id")
    last: int | None = events.values_list("pgh_id", flat=True).first()
    return last


def _locked(number: int) -> Ticket | None:
    tickets = Ticket.objects.select_for_update(of=("self",)).defer("embedding", "raw")
    return tickets.select_related(*_RELATED).filter(pk=number).first()


_RELATED = ("category", "team", "component", "source", "requester", "assignee")


def _rules(cause: RuleCause) -> list[Rule]:
    if cause.kind == Rule.When.IDLE:
        return [cause.rule] if cause.rule and cause.rule.active else []
    return list(Rule.objects.in_force(cause.kind))


def _facts(cause: RuleCause, ticket: Ticket) -> tuple[Facts, str]:
    """The ticket with what changed and by whom, and the correlation id under which that happened."""
    changed: frozenset[str] = frozenset()
    correlation_id = ticket.correlation_id
    if cause.kind in (Rule.When.CREATED, Rule.When.CHANGED) and cause.of is not None:
        events = Event.objects.filter(pgh_obj_id=ticket.pk)
        event = events.filter(pgh_id=cause.of).first()
        if event is not None:
            correlation_id = event.correlation_id or correlation_id
            earlier = events.filter(pgh_id__lt=event.pgh_id).order_by("-pgh_id")
            before = earlier.filter(pgh_id=cause.after).first() if cause.after else earlier.first()
            changed = frozenset(name for name in CHANGEABLE if before and _of(before, name) != _of(event, name))
    return Facts(ticket, changed, kind_of_actor(cause.actor)), correlation_id


def _of(event: Event, name: str) -> Any:
    return getattr(event, f"{name}_id", None) if hasattr(event, f"{name}_id") else getattr(event, name)


def _judge(rule: Rule, cause: RuleCause, facts: Facts, correlation_id: str) -> RuleFiring | None:
    """The rule's firing, where it holds. One that led here itself is not run again: that is kept where it would."""
    firing = RuleFiring(rule=rule, version=rule.version, cause=cause, ticket_id=cause.ticket_id)
    firing.correlation_id = correlation_id
    try:
        spec = rule.said
    except ValidationError:
        log.warning("rule_not_understood", rule=rule.pk, version=rule.version)
        return firing.end(Fired.FAILED, "What this rule says is not understood any more. Save it anew.")
    if not matches(spec, facts):
        return None
    if rule.pk in cause.chain:
        again = any(step.applies and step.before != step.after for step in plan_all(spec.deeds, facts.ticket))
        why = "This rule led here itself: it is not run again."
        return firing.end(Fired.HELD_BACK, why) if again else None
    if cause.depth >= DEPTH:
        return firing.end(Fired.HELD_BACK, f"Rules have followed one another {DEPTH} times: the chain ends here.")
    return _run(rule, spec, firing, facts)


def _run(rule: Rule, spec: RuleSpec, firing: RuleFiring, facts: Facts) -> RuleFiring:
    # Not within another `acting`: the history would have the other's name.
    with acting(rule.actor, correlation_id=firing.correlation_id):
        try:
            with transaction.atomic():
                firing.did = _do(rule, spec, firing.cause.kind, facts.ticket)
                return firing.end(Fired.DONE)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.exception("rule_broke", rule=rule.pk, ticket=facts.ticket.pk)
            facts.ticket = _locked(facts.ticket.pk) or facts.ticket
            firing.did = []
            return firing.end(Fired.FAILED, f"It broke ({type(error).__name__}); nothing of it was done.")


def _do(rule: Rule, spec: RuleSpec, kind: str, ticket: Ticket) -> list[dict[str, Any]]:
    did = []
    for deed in spec.deeds:
        doing = DEEDS[deed.do]
        step = doing.plan(deed, ticket)
        if ticket.spam and step.applies:  # nothing more is done to what is held
            did.append({**step.to_json(), "note": "It is held as spam."})
            continue
        note = doing.act(deed, ticket, rule, kind) if step.applies else step.note
        did.append({**step.to_json(), "note": note})
    return did


def _retry_or_fail(claimed: Claimed, why: str) -> None:
    with transaction.atomic():
        cause = _held(claimed).select_for_update(of=("self",)).first()
        if cause is None:
            return
        cause.lease_until, cause.error = None, why
        cause.state = State.WAITING if cause.attempts < MOST_ATTEMPTS else State.FAILED
        cause.not_before = timezone.now() + timedelta(seconds=2**cause.attempts * random.uniform(0.8, 1.2))
        cause.save(update_fields=["state", "lease_until", "error", "not_before"])


# ── Idle tickets ──


def note_idle() -> int:
    """Write a cause for every ticket to which nothing happened for as long as an idle rule says. Returns how many.

    Each rule walks along the time of the last change, so a ticket is met once each time it falls idle.
    """
    noted = 0
    for rule in Rule.objects.in_force(Rule.When.IDLE):
        with transaction.atomic():
            held = (
                Rule.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=rule.pk, active=True).first()
            )
            if held is not None and held.idle_minutes:
                noted += _note_idle(held, timezone.now() - timedelta(minutes=held.idle_minutes))
    return noted


def _note_idle(rule: Rule, until: datetime) -> int:
    found = Ticket.objects.filter(updated_at__gt=rule.idle_until or until, updated_at__lte=until)
    fallen = list(found.order_by("updated_at").values_list("pk", "updated_at")[:PORTION])
    # What a portion ends in may be the time of several tickets: those are met again, and known by their cause.
    rule.idle_until = fallen[-1][1] - timedelta(microseconds=1) if len(fallen) == PORTION else until
    if len(fallen) == PORTION and fallen[0][1] == fallen[-1][1]:
        fallen = list(found.filter(updated_at=fallen[0][1]).values_list("pk", "updated_at"))
        rule.idle_until = fallen[0][1]
    rule.save(update_fields=["idle_until"])
    causes = [
        RuleCause(ticket_id=number, kind=Rule.When.IDLE, rule=rule, since=since, actor="machine:clock")
        for number, since in fallen
    ]
    RuleCause.objects.bulk_create(causes, ignore_conflicts=True)
    return len(causes)


def _is_stale(cause: RuleCause, ticket: Ticket) -> bool:
    """An idle ticket to which something happened meanwhile; or to which nothing but rules did since this one fired."""
    if cause.kind != Rule.When.IDLE or cause.since is None:
        return False
    if _happened(ticket, cause.since):
        return True
    last = RuleFiring.objects.filter(rule=cause.rule, ticket=ticket).order_by("-pk").first()
    return last is not None and not _happened(ticket, last.created_at)


def _happened(ticket: Ticket, since: datetime) -> bool:
    """Whether anybody but a rule changed the ticket, or wrote, after that moment."""
    if Message.objects.filter(ticket=ticket, created_at__gt=since).exists():
        return True
    events = Event.objects.filter(pgh_obj_id=ticket.pk, pgh_created_at__gt=since).order_by("-pgh_id")[:100]
    return any(not event.actor.startswith("rule:") for event in events)
