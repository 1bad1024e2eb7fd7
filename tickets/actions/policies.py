"""What is promised to which tickets. The clock reckons every open ticket anew afterwards."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction

from tickets.actions.errors import Invalid
from tickets.actions.marking import mark_of, refuse_if_changed, refuse_if_gone
from tickets.actions.review import require_lead
from tickets.models import SlaPolicy
from triage.models import User
from triage.queue import ring


def checked(policy: SlaPolicy) -> SlaPolicy:
    """The policy, if it can be one. Raises Invalid naming the field."""
    try:
        policy.full_clean()
    except ValidationError as error:
        field, said = next(iter(error.message_dict.items()))
        raise Invalid("invalid", said[0], field="" if field == NON_FIELD_ERRORS else field) from error
    return policy


def save_policy(*, policy: SlaPolicy, by: User, seen: str = "", **values: Any) -> SlaPolicy:
    """Make a policy, or change one. `seen` is the mark of what the person changed from, if they saw it.

    Raises Invalid naming the field, or Conflict where somebody changed or deleted it meanwhile.
    """
    require_lead(by)
    for name, value in values.items():
        setattr(policy, name, value)
    with transaction.atomic():
        checked(policy)
        if policy.pk is not None:
            stored = SlaPolicy.objects.select_for_update(of=("self",)).filter(pk=policy.pk).first()
            refuse_if_gone(stored)
            refuse_if_changed(seen, mark_of(stored), mark_of(policy))
        policy.save()
        ring("batch")
    return policy


def delete_policy(*, policy: SlaPolicy, by: User) -> None:
    require_lead(by)
    with transaction.atomic():
        policy.delete()
        ring("batch")
