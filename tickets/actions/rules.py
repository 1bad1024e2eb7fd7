"""Rules made, changed, switched, put into order. Leads and admins alone; every version is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from pydantic import ValidationError

from tickets.actions.decided import LABELS
from tickets.actions.deeds import DEEDS
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Rule, RuleVersion, Source, leads
from tickets.rules.facts import FACTS
from tickets.rules.spec import Condition, RuleSpec
from triage.flags import visible
from triage.models import User

log = structlog.get_logger(__name__)
MOST = 200


def specified(said: Mapping[str, Any]) -> RuleSpec:
    """A rule as it was written, checked against what there is. Raises Invalid with the first thing that is wrong."""
    try:
        spec = RuleSpec.model_validate(said)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        raise Invalid("not_a_rule", _sentence(first), field=_where(first)) from wrong
    for place, deed in enumerate(spec.deeds):
        if deed.do not in DEEDS:
            raise Invalid("not_a_choice", "Choose what the rule does.", field=f"deeds.{place}")
        try:
            DEEDS[deed.do].check(deed)
        except Invalid as refused:
            raise Invalid(refused.code, refused.sentence, field=f"deeds.{place}") from refused
    for place, condition in enumerate(spec.conditions):
        _check_labels(condition, place)
    return spec


def keep(*, name: str, said: Mapping[str, Any], by: User, rule: Rule | None = None, version: int | None = None) -> Rule:
    """Make a rule, switched off, or give one a new version. `version` is the one that was changed from.

    Raises Invalid, Forbidden, or Conflict where somebody changed it meanwhile.
    """
    _require(by)
    name = " ".join(visible(name).split())[:80]
    if not name:
        raise Invalid("blank", "Give the rule a name.", field="name")
    spec = specified(said)
    with transaction.atomic():
        if rule is None:
            if Rule.objects.filter(retired=False).count() >= MOST:
                raise Invalid("too_many", f"There are {MOST} rules already. Retire one first.")
            last = Rule.objects.aggregate(last=Max("position"))["last"] or 0
            held = Rule(position=last + 1, by=by, version=0)
        else:
            held = Rule.objects.select_for_update(of=("self",)).get(pk=rule.pk)
            if version is not None and held.version != version:
                raise Conflict("changed", "Somebody changed this rule meanwhile. Look at it before you go on.")
        written = spec.model_dump(mode="json")
        if held.pk and held.name == name and held.spec == written:
            return held
        held.name, held.spec, held.when, held.idle_minutes = name, written, spec.when, spec.idle_minutes
        held.idle_until = _begins(held)
        held.version += 1
        held.save()
        RuleVersion.objects.create(rule=held, number=held.version, name=name, spec=written, by=by)
    log.info("rule_kept", rule=held.pk, version=held.version, by=by.pk)
    return held


def switch(*, rule: Rule, active: bool, by: User) -> Rule:
    """Put a rule in force, or out of it. It is for what happens from then on."""
    _require(by)
    with transaction.atomic():
        held = Rule.objects.select_for_update(of=("self",)).get(pk=rule.pk)
        if active and held.retired:
            raise Conflict("retired", "This rule is retired. Bring it back first.")
        if active:
            specified(held.spec)  # a label or person that it names may be gone
        held.active, held.idle_until = active, _begins(held)
        held.save(update_fields=["active", "idle_until", "updated_at"])
    log.info("rule_switched", rule=held.pk, active=active, by=by.pk)
    return held


def retire(*, rule: Rule, by: User, retired: bool = True) -> Rule:
    """Put it away, or bring it back; switched off in either case. What it did stays in the log."""
    _require(by)
    with transaction.atomic():
        held = Rule.objects.select_for_update(of=("self",)).get(pk=rule.pk)
        held.active, held.retired = False, retired
        held.save(update_fields=["active", "retired", "updated_at"])
    return held


def move(*, rule: Rule, by: User, up: bool) -> None:
    """Change places with the rule before it, or after it."""
    _require(by)
    with transaction.atomic():
        rules = list(Rule.objects.select_for_update(of=("self",)).filter(retired=False).order_by("position", "pk"))
        places = [one.pk for one in rules]
        at = places.index(rule.pk) if rule.pk in places else -1
        other = at - 1 if up else at + 1
        if at < 0 or not 0 <= other < len(rules):
            return
        rules[at], rules[other] = rules[other], rules[at]
        for place, one in enumerate(rules, start=1):
            one.position = place
        Rule.objects.bulk_update(rules, ["position"])


def _require(by: User) -> None:
    if not leads(by):
        raise Forbidden("not_a_lead", "Only leads and admins make rules.")


def _begins(rule: Rule) -> Any:
    """An idle rule is for tickets that fall idle from now on, not for all that have been so for long."""
    return timezone.now() - timedelta(minutes=rule.idle_minutes) if rule.idle_minutes else None


def _check_labels(condition: Condition, place: int) -> None:
    label = FACTS[condition.fact].label
    if not label or not condition.values:
        return
    if label == "source":
        known = set(Source.objects.filter(name__in=condition.values).values_list("name", flat=True))
    else:
        found = LABELS[label]._default_manager.filter(key__in=condition.values)
        known = set(found.values_list("key", flat=True))
    if missing := [value for value in condition.values if value not in known]:
        said = f"There is no {label} \u201c{missing[0]}\u201d."
        raise Invalid("not_a_choice", said, field=f"conditions.{place}")


def _sentence(error: Any) -> str:
    said = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    if error["loc"][:1] == ("deeds",) and len(error["loc"]) == 1:
        said = "Say what the rule does"
    return f"{said}."


def _where(error: Any) -> str:
    return ".".join(str(part) for part in error["loc"][:2])
