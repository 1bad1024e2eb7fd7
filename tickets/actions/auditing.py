"""A small share of what was applied by itself is checked by people, so that a promise of precision stays true.

The threshold of a field is measured on decisions that people chose to make; those can lean towards what was proposed,
and the world moves on after a fit. The audit sample is drawn by lot, and a field whose upper bound of precision lies
under the wished one is applied no more until another fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tickets.models import Audit, Ticket
from triage.learning.calibrate import lower_bound, upper_bound
from triage.learning.gate import share_of
from triage.models import Artifact

log = structlog.get_logger(__name__)
DECISIVE = ("category", "priority", "team")  # what moves a ticket
AT_LEAST = 20  # checked applications of a field, below which nothing is stopped


@dataclass(frozen=True, slots=True)
class Audited:
    """What people said about one field's applied values. Bounds are Wilson's, one-sided 95 %."""

    right: int
    seen: int

    @property
    def at_least(self) -> float:
        return lower_bound(self.right, self.seen)

    @property
    def at_most(self) -> float:
        return upper_bound(self.right, self.seen) if self.seen else 1.0


def draw(ticket: Ticket) -> None:
    """Mark a ticket that was just read to be checked, if the lot falls on it. Read again, it is drawn anew."""
    if share_of("audit", ticket.number) >= settings.AUDIT_SHARE:
        return
    applied = {
        name: {"value": ticket.value_of(name), "right": None}
        for name in DECISIVE
        if ticket.provenance.get(name, {}).get("band") == "apply" and not ticket.decided_by_person(name)
    }
    unchecked = Audit.objects.filter(ticket=ticket, checked_at=None)
    if not applied:
        unchecked.delete()
        return
    version = Artifact.objects.filter(live=True).values_list("version", flat=True).first() or ""
    if not unchecked.update(version=version, fields=applied) and not Audit.objects.filter(ticket=ticket).exists():
        Audit.objects.create(ticket=ticket, version=version, fields=applied)


def check(ticket: Ticket) -> None:
    """Note what a person has said about the fields that are to be checked; stop what the sample shows to be wrong."""
    with transaction.atomic():
        audit = Audit.objects.select_for_update(of=("self",)).filter(ticket=ticket, checked_at=None).first()
        if audit is None:
            return
        for name, field in audit.fields.items():
            if field["right"] is None and ticket.decided_by_person(name):
                field["right"] = ticket.value_of(name) == field["value"]
        if all(field["right"] is not None for field in audit.fields.values()):
            audit.checked_at = timezone.now()
        audit.save(update_fields=["fields", "checked_at"])
        stop_what_drifted(audit.version)


def audited(version: str) -> dict[str, Audited]:
    """What the audit sample has shown about a fit, by field; fields that nobody has checked are left out."""
    counts: dict[str, list[bool]] = {}
    for fields in Audit.objects.filter(version=version).values_list("fields", flat=True):
        for name, field in fields.items():
            if field["right"] is not None:
                counts.setdefault(name, []).append(field["right"])
    return {name: Audited(sum(rights), len(rights)) for name, rights in counts.items()}


def stop_what_drifted(version: str) -> None:
    """The drift guard: even at best, too little of what is applied is right."""
    artifact = Artifact.objects.select_for_update(of=("self",)).defer("payload").filter(version=version).first()
    if artifact is None:
        return
    found_by_field = audited(version)
    artifact.audit = {name: {"right": found.right, "seen": found.seen} for name, found in found_by_field.items()}
    for name, found in found_by_field.items():
        drifted = found.seen >= AT_LEAST and found.at_most < settings.APPLY_PRECISION
        if drifted and name not in artifact.stopped:
            artifact.stopped[name] = {
                "right": found.right,
                "seen": found.seen,
                "at_most": round(found.at_most, 4),
                "at": timezone.now().isoformat(timespec="seconds"),
            }
            log.warning("field_applied_no_more", field=name, version=version, right=found.right, seen=found.seen)
    artifact.save(update_fields=["audit", "stopped"])
