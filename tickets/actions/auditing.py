"""A small share of what was applied by itself is checked by people, so that a promise of precision stays true.

The threshold of a field is measured on decisions that people chose to make; those can lean towards what was proposed,
and the world moves on after a fit. The audit sample is drawn by lot, and a field whose upper bound of precision lies
under the wished one is applied no more until another fit. What the sample showed of the fits before counts as well, or
a desk that is fitted often would never see enough of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from tickets.models import Audit, Ticket
from triage.learning.calibrate import lower_bound, upper_bound
from triage.learning.gate import share_of
from triage.models import Artifact

log = structlog.get_logger(__name__)
DECISIVE = ("category", "priority", "team")  # what moves a ticket
AT_LEAST = 20  # checked applications of a field, below which nothing is stopped
LATELY = 40  # of the last so many, whichever fit applied them; older ones tell of another world


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


def lately(name: str) -> Audited:
    """What the sample has shown of a field since it was last stopped, the newest `LATELY` of it, over all fits."""
    stopped = set(Artifact.objects.filter(stopped__has_key=name).values_list("version", flat=True))
    rights: list[bool] = []
    drawn = Audit.objects.filter(**{f"fields__{name}__right__in": [True, False]}).order_by("-pk")
    for version, fields in drawn.values_list("version", "fields")[:LATELY]:
        if version in stopped:
            break
        rights.append(fields[name]["right"])
    return Audited(sum(rights), len(rights))


def stop_what_drifted(version: str) -> None:
    """The drift guard: even at best, too little is right of what a fit applied, or of what was applied lately.

    The first stops the fit that was checked, the second the one in force, which may be a later one.
    """
    fits = Artifact.objects.select_for_update(of=("self",)).defer("payload").order_by("pk")
    found = audited(version)
    for fit in fits.filter(Q(version=version) | Q(live=True)):
        if fit.version == version:
            fit.audit = {name: {"right": one.right, "seen": one.seen} for name, one in found.items()}
        for name, own in found.items():
            told = [*([own] if fit.version == version else []), *([lately(name)] if fit.live else [])]
            broken = next((one for one in told if _breaks_promise(one)), None)
            if broken is not None and name not in fit.stopped:
                fit.stopped[name] = {
                    "right": broken.right,
                    "seen": broken.seen,
                    "at_most": round(broken.at_most, 4),
                    "at": timezone.now().isoformat(timespec="seconds"),
                }
                log.warning(
                    "field_applied_no_more", field=name, version=fit.version, right=broken.right, seen=broken.seen
                )
        fit.save(update_fields=["audit", "stopped"])


def _breaks_promise(found: Audited) -> bool:
    return found.seen >= AT_LEAST and found.at_most < settings.APPLY_PRECISION
