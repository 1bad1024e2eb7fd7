"""Macros: kept, retired, put into a reply. None of it sends anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import IntegrityError, transaction

from tickets import variables
from tickets.actions import drafts
from tickets.actions.decided import normalise
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.marking import mark_of, refuse_if_changed, refuse_if_gone
from tickets.actions.review import correct, require_decider
from tickets.actions.views import may_share
from tickets.flagged import flags_of, stored
from tickets.live import announce
from tickets.models import Draft, Macro, Team, Ticket
from tickets.models.macro import MACRO_LIMIT
from triage.flags import visible
from triage.models import User
from triage.pipeline.types import MAX_TAGS

MOST = 500  # of one person


@dataclass(frozen=True, slots=True)
class Given:
    """A macro as somebody wrote it."""

    name: str
    text: str
    scope: Macro.Scope = Macro.Scope.OWN
    team: Team | None = None
    tags: list[str] = field(default_factory=list)
    priority: str = ""
    keep_open: bool = False


def keep(*, given: Given, by: User, macro: Macro | None = None, seen: str = "") -> Macro:
    """Make a macro, or change one. `seen` is the mark of what the person changed from, if they saw it.

    Raises Invalid naming the field, Forbidden, or Conflict where a name is taken or somebody changed it meanwhile.
    """
    require_decider(by)
    kept = Macro(owner=by) if macro is None else macro
    if macro is not None and not macro.may_be_changed_by(by):
        raise Forbidden("not_yours", "Only who made this macro, and leads where it is shared, can change it.")
    if not may_share(by, given.scope, given.team):
        raise Forbidden("not_a_lead", "Only leads and admins make macros for others than their own teams.")
    if macro is None and Macro.objects.active().filter(owner=by).count() >= MOST:
        raise Invalid("too_many", f"You have {MOST} macros already. Retire one first.")
    _fill(kept, given)
    with transaction.atomic():
        if macro is not None:
            stored = Macro.objects.select_for_update(of=("self",)).filter(pk=macro.pk).first()
            refuse_if_gone(stored)
            refuse_if_changed(seen, mark_of(stored), mark_of(kept))
        return _save(kept)


def _fill(macro: Macro, given: Given) -> None:
    macro.name = " ".join(visible(given.name).split())[:60]
    macro.text = visible(given.text.replace("\r\n", "\n")).strip()
    if not macro.name:
        raise Invalid("blank", "Give the macro a name.", field="name")
    if not macro.text:
        raise Invalid("blank", "Write its text first.", field="text")
    if len(macro.text) > MACRO_LIMIT:
        raise Invalid("too_long", f"Keep a macro under {MACRO_LIMIT:,} characters.", field="text")
    variables.check(macro.text)
    if given.scope == Macro.Scope.TEAM and given.team is None:
        raise Invalid("no_team", "Say whose macro it is.", field="scope")
    macro.scope, macro.team = given.scope, given.team if given.scope == Macro.Scope.TEAM else None
    macro.tags, macro.priority = normalise("tags", given.tags), normalise("priority", given.priority)
    macro.keep_open = given.keep_open


def _save(macro: Macro) -> Macro:
    try:
        with transaction.atomic():
            macro.save()
    except IntegrityError as taken:
        said = f"There is a macro \u201c{macro.name}\u201d already. Choose another name."
        raise Conflict("taken", said, field="name") from taken
    return macro


def retire(*, macro: Macro, by: User, active: bool = False) -> Macro:
    """Offer it no more, or with `active` bring it back."""
    require_decider(by)
    if not macro.may_be_changed_by(by):
        raise Forbidden("not_yours", "Only who made this macro, and leads where it is shared, can change it.")
    macro.active = active
    return _save(macro)


def use(*, ticket: Ticket, macro: Macro, by: User) -> Ticket:
    """Do what the macro does along with its text: tags and a priority, as this person's decision.

    Tags that would be too many for one ticket are left out.
    """
    require_decider(by)
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        changes: dict[str, object] = {}
        tags = list(dict.fromkeys([*held.tags, *macro.tags]))[:MAX_TAGS]
        if tags != held.tags:
            changes["tags"] = tags
        if macro.priority and macro.priority != held.priority:
            changes["priority"] = macro.priority
        Draft.objects.filter(ticket=held).update(keep_open=macro.keep_open)
        return correct(ticket=held, changes=changes, by=by, why=f"By the macro {macro.name}.") if changes else held


def put(*, ticket: Ticket, macro: Macro, text: str, version: int, by: User, answers: int | None = None) -> Draft:
    """Add the macro after what the editor holds, keep that as the draft, and do what else the macro does."""
    with transaction.atomic():
        added = variables.filled(macro.text, ticket, by)
        draft = drafts.save(
            ticket=ticket, text=f"{text.rstrip()}\n\n{added}".strip(), version=version, by=by, answers=answers
        )
        use(ticket=ticket, macro=macro, by=by)
        draft.refresh_from_db()
    return draft


def offer(*, ticket: Ticket, macro: Macro) -> bool:
    """Make the macro the ticket's draft, as a suggestion: a rule does. False where a person wrote one, or none is due.

    The caller holds the ticket's lock.
    """
    draft = Draft.objects.filter(ticket=ticket).first()
    if not ticket.is_open or (draft is not None and draft.edited):
        return False
    draft = draft or Draft(ticket=ticket, version=0)
    draft.text = variables.filled(macro.text, ticket, ticket.assignee)
    draft.suggestion, draft.answers_id, draft.stale = ticket.latest_suggestion, drafts.last_inbound(ticket), False
    draft.keep_open, draft.proposed_by = macro.keep_open, ""
    draft.flags = stored(flags_of(ticket, draft.text, draft.suggestion))
    draft.version += 1
    draft.save()
    announce(ticket, "changed")
    return True
