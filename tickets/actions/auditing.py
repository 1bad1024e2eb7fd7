"""A small share of what was applied by itself is checked by people, so that a promise of precision stays true.

The threshold of a field is measured on decisions that people chose to make; those can lean towards what was proposed,
and the world moves on after a fit. The audit sample is drawn by lot, and a field whose upper bound of precision lies
under the wished one is applied no more. What the sample showed of the fits before counts as well, or a desk that is
fitted often would never see enough of any of them. The stop outlasts fits, which know mostly what is older than the
change: it is lifted once what would have been applied turned out right as often as was promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from tickets.models import Audit, Review, Ticket
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
    """Note what a person has said about the ticket; stop what is shown to be wrong, lift what holds again."""
    check_all([ticket])


def check_all(tickets: Sequence[Ticket]) -> None:
    """As `check`, for many: few of them were drawn."""
    by_number = {ticket.pk: ticket for ticket in tickets}
    with transaction.atomic():
        drawn = Audit.objects.filter(ticket__in=by_number, checked_at=None).order_by("pk")
        audits = list(drawn.select_for_update(of=("self",)))
        for audit in audits:
            _note(audit, by_number[audit.ticket_id])
        for version in dict.fromkeys(audit.version for audit in audits):
            stop_what_drifted(version)
        lift_what_holds_again()


def _note(audit: Audit, ticket: Ticket) -> None:
    for name, field in audit.fields.items():
        if field["right"] is None and ticket.decided_by_person(name):
            field["right"] = ticket.value_of(name) == field["value"]
    if all(field["right"] is not None for field in audit.fields.values()):
        audit.checked_at = timezone.now()
    audit.save(update_fields=["fields", "checked_at"])


def audited(version: str) -> dict[str, Audited]:
    """What the audit sample has shown about a fit, by field; fields that nobody has checked are left out."""
    counts: dict[str, list[bool]] = {}
    for fields in Audit.objects.filter(version=version).values_list("fields", flat=True):
        for name, field in fields.items():
            if field["right"] is not None:
                counts.setdefault(name, []).append(field["right"])
    return {name: Audited(sum(rights), len(rights)) for name, rights in counts.items()}


def lately(name: str) -> Audited:
    """What the sample has shown of a field since it was last stopped or a stop was lifted: the newest `LATELY` of it,
    over all fits.
    """
    stops = [stopped[name] for stopped in Artifact.objects.values_list("stopped", flat=True) if name in stopped]
    drawn = Audit.objects.filter(**{f"fields__{name}__right__in": [True, False]})
    if stops:
        drawn = drawn.filter(created_at__gt=max(stop.get("lifted", stop["at"]) for stop in stops))
    rights = [fields[name]["right"] for fields in drawn.order_by("-pk").values_list("fields", flat=True)[:LATELY]]
    return Audited(sum(rights), len(rights))


def withheld(name: str, since: str) -> Audited:
    """How much of what would have been applied was right, by what people decided since an ISO time: the newest tickets.

    What is not applied comes before a person anyway, so that here no lot needs to be drawn.
    """
    decided = Review.objects.filter(field=name, created_at__gte=since, suggestion__withheld__has_key=name)
    said: dict[int, bool] = {}
    for ticket, after, would in decided.order_by("-pk").values_list("ticket_id", "after", "suggestion__withheld"):
        said.setdefault(ticket, after == would[name])
        if len(said) == LATELY:
            break
    return Audited(sum(said.values()), len(said))


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
            if name in fit.stopped_fields:
                continue
            # What was seen before a stop was lifted is made up for.
            own_fit = fit.version == version and name not in fit.stopped
            told = [*([own] if own_fit else []), *([lately(name)] if fit.live else [])]
            broken = next((one for one in told if _breaks_promise(one)), None)
            if broken is not None:
                fit.stopped[name] = {
                    "right": broken.right,
                    "seen": broken.seen,
                    "at_most": round(broken.at_most, 4),
                    "at": timezone.now().isoformat(timespec="microseconds"),
                }
                log.warning(
                    "field_applied_no_more", field=name, version=fit.version, right=broken.right, seen=broken.seen
                )
        fit.save(update_fields=["audit", "stopped"])


def lift_what_holds_again() -> None:
    """Apply a stopped field again once enough of what would have been applied is right: by count, not by a bound.

    A bound of 40 texts never speaks for 95 %; the guard above stays, should it have been luck.
    """
    if not any(Artifact(stopped=stopped).stopped_fields for stopped in _live().values_list("stopped", flat=True)):
        return
    for fit in _live().select_for_update(of=("self",)).defer("payload"):
        for name in fit.stopped_fields:
            found = withheld(name, fit.stopped[name]["at"])
            if found.seen >= AT_LEAST and found.right / found.seen >= settings.APPLY_PRECISION:
                fit.stopped[name] |= {
                    "lifted": timezone.now().isoformat(timespec="microseconds"),
                    "then": {"right": found.right, "seen": found.seen},
                }
                log.info("field_applied_again", field=name, version=fit.version, right=found.right, seen=found.seen)
        fit.save(update_fields=["stopped"])


def _live() -> QuerySet[Artifact]:
    return Artifact.objects.filter(live=True)


def _breaks_promise(found: Audited) -> bool:
    return found.seen >= AT_LEAST and found.at_most < settings.APPLY_PRECISION
