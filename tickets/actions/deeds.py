"""What rules do to a ticket. Each is planned first, which writes nothing: so a rule is tried on past tickets.

A rule never sends a reply, and never takes the place of what a person decided.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tickets.actions import macros, spamming
from tickets.actions.assignment import assign
from tickets.actions.carrying import ASSIGNMENT, given_by_person, let_go_if_out_of_sight
from tickets.actions.decided import LABELS, normalise
from tickets.actions.errors import Conflict, Invalid
from tickets.actions.notifying import notify, tell_leads
from tickets.actions.review import DECIDED_BY_PEOPLE, may_decide
from tickets.colleagues import colleagues_of, leads_of, members_of
from tickets.live import announce
from tickets.models import Draft, Macro, Rule, Status, Ticket, Webhook, WebhookCall
from tickets.models.ticket import ESCALATION, STATUS
from tickets.models.webhook import RULE_FIRED
from tickets.rules.spec import Deed
from triage import correlation
from triage.models import User
from triage.pipeline.types import MAX_TAGS

KEPT = "Left as it is: a person decided it."
SO_ALREADY = "It is so already."
TOLD = {"assignee": "its assignee", "team": "its team", "leads": "its leads"}


@dataclass(frozen=True, slots=True)
class Step:
    """What a deed does to one ticket; `note` says why it does nothing."""

    words: str
    before: Any = None
    after: Any = None
    note: str = ""

    @property
    def applies(self) -> bool:
        return not self.note

    def to_json(self) -> dict[str, Any]:
        return {"words": self.words, "before": self.before, "after": self.after, "note": self.note}


class Doing(ABC):
    """One kind of deed."""

    word: ClassVar[str]

    @classmethod  # noqa: B027  with some nothing can be wrong
    def check(cls, deed: Deed) -> None:
        """Raises Invalid where the deed cannot be done to any ticket."""

    @classmethod
    @abstractmethod
    def plan(cls, deed: Deed, ticket: Ticket) -> Step:
        """What it would do to this ticket as it is. Writes nothing."""

    @classmethod
    @abstractmethod
    def act(cls, deed: Deed, ticket: Ticket, rule: Rule, kind: str) -> str:
        """Do it to a locked ticket, as planned. `kind` is the cause's. A note where it could not be done after all."""


class SetField(Doing):
    word = "Set a field"

    @classmethod
    def check(cls, deed: Deed) -> None:
        if deed.field not in DECIDED_BY_PEOPLE or deed.field in ("summary", "tags"):
            raise Invalid("not_a_choice", "Choose the field to set.", field="deeds")
        if len(deed.values) != 1 or not deed.values[0]:
            raise Invalid("blank", f"Say what {_word(deed.field)} is set to.", field="deeds")
        normalise(deed.field, deed.values[0])

    @classmethod
    def plan(cls, deed: Deed, ticket: Ticket) -> Step:
        before = ticket.value_of(deed.field)
        try:
            wanted = normalise(deed.field, deed.values[0])
        except Invalid as wrong:  # a label that was retired since
            return Step(_word(deed.field).capitalize(), before, before, wrong.sentence)
        shown, after = (wanted.name, wanted.key) if deed.field in LABELS else (str(wanted), wanted)
        words = f"{_word(deed.field).capitalize()} {shown}"
        if ticket.decided_by_person(deed.field):
            return Step(words, before, after, SO_ALREADY if before == after else KEPT)
        return Step(words, before, after, SO_ALREADY if before == after and _stands(ticket, deed.field) else "")

    @classmethod
    def act(cls, deed: Deed, ticket: Ticket, rule: Rule, kind: str) -> str:
        setattr(ticket, deed.field, normalise(deed.field, deed.values[0]))
        if deed.field == "team":
            let_go_if_out_of_sight(ticket)
        _decide(ticket, deed.field, rule, kind)
        announce(ticket, "routed" if deed.field == "team" else "changed")
        return ""


class AddTags(Doing):
    word = "Add tags"

    @classmethod
    def check(cls, deed: Deed) -> None:
        if not normalise("tags", list(deed.values)):
            raise Invalid("blank", "Name a tag.", field="deeds")

    @classmethod
    def plan(cls, deed: Deed, ticket: Ticket) -> Step:
        wanted = cls.wanted(deed, ticket)
        words = f"{cls.word.split()[0]} {', '.join(normalise('tags', list(deed.values)))}"
        if wanted == ticket.tags:
            return Step(words, ticket.tags, wanted, SO_ALREADY)
        if ticket.decided_by_person("tags"):
            return Step(words, ticket.tags, ticket.tags, KEPT)
        if len(wanted) > MAX_TAGS:
            return Step(words, ticket.tags, ticket.tags, f"A ticket has up to {MAX_TAGS} tags.")
        return Step(words, ticket.tags, wanted)

    @classmethod
    def wanted(cls, deed: Deed, ticket: Ticket) -> list[str]:
        return list(dict.fromkeys([*ticket.tags, *normalise("tags", list(deed.values))]))

    @classmethod
    def act(cls, deed: Deed, ticket: Ticket, rule: Rule, kind: str) -> str:
        ticket.tags = cls.wanted(deed, ticket)
        _decide(ticket, "tags", rule, kind)
        announce(ticket, "changed")
        return ""


class RemoveTags(AddTags):
    word = "Remove tags"

    @classmethod
    def wanted(cls, deed: Deed, ticket: Ticket) -> list[str]:
        gone = normalise("tags", list(deed.values))
        return [tag for tag in ticket.tags if tag not in gone]


class Assign(Doing):
    word = "Assign to a person"

    @classmethod
    def check(cls, deed: Deed) -> None:
        if _person(deed) is None:
            raise Invalid("not_a_choice", "Choose whom the ticket is assigned to.", field="deeds")

    @classmethod
    def plan(cls, deed: Deed, ticket: Ticket) -> Step:
        to = _person(deed)
        before = ticket.assignee.username if ticket.assignee else None
        if to is None:
            return Step("Assign", before, before, "That person works here no more.")
        words = f"Assign to {to.label}"
        if to == ticket.assignee:
            return Step(words, before, before, SO_ALREADY)
        if ticket.assignee and given_by_person(ticket):
            return Step(words, before, before, "Left as it is: a person gave it to somebody.")
        if ticket.provenance.get("assignee", {}).get("nobody"):
            return Step(words, before, before, "Left as it is: a person said that nobody has it.")
        if not may_decide(to) or not colleagues_of(ticket).filter(pk=to.pk).exists():
            return Step(words, before, before, f"{to.label} does not work for this ticket's team.")
        return Step(words, before, to.username)

    @classmethod
    def act(cls, deed: Deed, ticket: Ticket, rule: Rule, kind: str) -> str:
        given = assign(ticket=ticket, to=_person(deed), by=None, rule=rule.name)
        ticket.assignee, ticket.provenance = given.assignee, given.provenance
        return ""


class ChangeStatus(Doing):
    word = "Change the status"

    @classmethod
    def check(cls, deed: Deed) -> None:
        if len(deed.values) != 1 or deed.values[0] not in _STATUSES:
            raise Invalid("not_a_choice", "Choose a status.", field="deeds")

    @classmethod
    def plan(cls, deed: Deed, ticket: Ticket) -> Step:
        wanted = Status(deed.values[0])
        words = f"Status {wanted.label.lower()}"
        if ticket.status == wanted:
            return Step(words, ticket.status, wanted.value, SO_ALREADY)
        if ticket.status == Status.ESCALATED and ticket.decided_by_person("escalated"):
            return Step(words, ticket.status, ticket.status, "Left as it is: a person escalated it.")
        if ticket.merged_into_id:
            return Step(words, ticket.status, ticket.status, f"It is part of #{ticket.merged_into_id}.")
        return Step(words, ticket.status, wanted.value)

    @classmethod
    def act(cls, deed: Deed, ticket: Ticket, rule: Rule, kind: str) -> str:
        ticket.set_status(Status(deed.values[0]))
        ticket.save(update_fields=[*STATUS, "updated_at"])
        announce(ticket, "changed")
        return ""


class Escalate(Doing):
    word = "Escalate"

    @classmethod
    def check(cls, deed: Deed) -> None:
        if not deed.text.strip():
            raise Invalid("blank", "Say why such a ticket is escalated.", field="deeds")

    @classmethod
    def plan(cls, deed: Deed, ticket: Ticket) -> Step:
        if ticket.status == Status.ESCALATED:
            return Step("Escalate", ticket.status, ticket.status, SO_ALREADY)
        if not ticket.is_open:
            return Step("Escalate", ticket.status, ticket.status, "It has ended.")
        if ticket.decided_by_person("escalated"):
            return Step("Escalate", ticket.status, ticket.status, "Left as it is: a person took it back from there.")
        return Step("Escalate", ticket.status, Status.ESCALATED.value)

    @classmethod
    def act(cls, deed: Deed, ticket: Ticket, rule: Rule, kind: str) -> str:
        ticket.set_status(Status.ESCALATED)
        ticket.escalated, ticket.escalation_reason = True, deed.text.strip()[:300]
        ticket.save(update_fields=[*STATUS, *ESCALATION, "updated_at"])
        announce(ticket, "changed")
        tell_leads(ticket=ticket)
        return ""


class Notify(Doing):
    word = "Notify"

    @classmethod
    def check(cls, deed: Deed) -> None:
        known = set(User.objects.filter(username__in=deed.values, is_active=True).values_list("username", flat=True))
        if not deed.values or set(deed.values) - known - set(TOLD):
            raise Invalid("not_a_choice", "Choose who is notified.", field="deeds")

    @classmethod
    def plan(cls, deed: Deed, ticket: Ticket) -> Step:
        told = ", ".join(TOLD.get(one, one) for one in deed.values)
        return Step(f"Notify {told}", note="" if _told(deed, ticket) else "There is nobody to notify.")

    @classmethod
    def act(cls, deed: Deed, ticket: Ticket, rule: Rule, kind: str) -> str:
        notify(kind="rule", ticket=ticket, to=_told(deed, ticket), text=deed.text.strip() or rule.name)
        return ""


class CallWebhook(Doing):
    word = "Call a webhook"

    @classmethod
    def check(cls, deed: Deed) -> None:
        if _webhook(deed) is None:
            raise Invalid("not_a_choice", "Choose the webhook to call.", field="deeds")

    @classmethod
    def plan(cls, deed: Deed, ticket: Ticket) -> Step:
        hook = _webhook(deed)
        return Step(f"Call {hook.name}" if hook else "Call a webhook", note="" if hook else "That webhook is off.")

    @classmethod
    def act(cls, deed: Deed, ticket: Ticket, rule: Rule, kind: str) -> str:
        hook = _webhook(deed)
        if hook is None:
            return "That webhook is off."
        about = {
            "rule": {"id": rule.pk, "name": rule.name, "version": rule.version},
            "cause": kind,
            "actor": rule.actor,
        }
        trace, state = correlation.current(), hook.first_state
        WebhookCall.objects.create(
            webhook=hook, ticket=ticket, event=RULE_FIRED, about=about, state=state, correlation_id=trace
        )
        return ""


class OfferMacro(Doing):
    word = "Draft a macro"

    @classmethod
    def check(cls, deed: Deed) -> None:
        if _macro(deed) is None:
            raise Invalid("not_a_choice", "Choose a macro that is shared with everybody or a team.", field="deeds")

    @classmethod
    def plan(cls, deed: Deed, ticket: Ticket) -> Step:
        macro, draft = _macro(deed), Draft.objects.filter(ticket=ticket).first()
        words = f"Draft \u201c{macro.name}\u201d" if macro else "Draft a macro"
        if macro is None:
            return Step(words, note="That macro is retired.")
        if not ticket.is_open:
            return Step(words, note="It has ended.")
        return Step(words, note="Left as it is: a person wrote the reply." if draft and draft.edited else "")

    @classmethod
    def act(cls, deed: Deed, ticket: Ticket, rule: Rule, kind: str) -> str:
        macro = _macro(deed)
        return "" if macro and macros.offer(ticket=ticket, macro=macro) else "There was nothing to draft."


class MarkSpam(Doing):
    word = "Hold as spam"

    @classmethod
    def plan(cls, deed: Deed, ticket: Ticket) -> Step:
        note = "Left as it is: a person let it in." if ticket.decided_by_person("spam") else ""
        return Step(cls.word, ticket.spam, not note, SO_ALREADY if ticket.spam else note)

    @classmethod
    def act(cls, deed: Deed, ticket: Ticket, rule: Rule, kind: str) -> str:
        try:
            spamming.hold_by_rule(ticket)
        except Conflict as why:
            return why.sentence
        return ""


DEEDS: dict[str, type[Doing]] = {
    "set": SetField,
    "tag": AddTags,
    "untag": RemoveTags,
    "assign": Assign,
    "status": ChangeStatus,
    "escalate": Escalate,
    "notify": Notify,
    "webhook": CallWebhook,
    "macro": OfferMacro,
    "spam": MarkSpam,
}
_STATUSES = (Status.IN_REVIEW, Status.WAITING, Status.RESOLVED, Status.CLOSED)


def plan_all(deeds: Sequence[Deed], ticket: Ticket) -> list[Step]:
    return [DEEDS[deed.do].plan(deed, ticket) for deed in deeds]


def _decide(ticket: Ticket, name: str, rule: Rule, kind: str) -> None:
    """A rule's value stands as an applied one. One that was set as the ticket came in outlasts its first reading."""
    ticket.provenance[name] = {
        "engine": "rule",
        "confidence": 1.0,
        "band": "apply",
        "reason": f"Set by the rule \u201c{rule.name}\u201d.",
        "rule": rule.pk,
        **({"stays": True} if kind == "created" else {}),
    }
    ticket.confidence = ticket.provenance.get("category", {}).get("confidence", ticket.confidence)
    ticket.save(update_fields=[name, *ASSIGNMENT, "confidence", "updated_at"])


def _stands(ticket: Ticket, name: str) -> bool:
    how = ticket.provenance.get(name, {})
    return bool(how.get("engine") == "rule" or how.get("band") == "apply")


def _person(deed: Deed) -> User | None:
    return User.objects.filter(username__in=deed.values[:1], is_active=True, agent__isnull=False).first()


def _told(deed: Deed, ticket: Ticket) -> list[User]:
    people = list(User.objects.filter(username__in=deed.values, is_active=True))
    if "assignee" in deed.values and ticket.assignee:
        people.append(ticket.assignee)
    if "team" in deed.values and ticket.team:
        people += members_of(ticket.team)
    if "leads" in deed.values:
        people += leads_of(ticket.team)
    return list(dict.fromkeys(people))


def _webhook(deed: Deed) -> Webhook | None:
    return Webhook.objects.filter(pk=_key(deed), active=True).first()


def _macro(deed: Deed) -> Macro | None:
    """One that is shared: what is somebody's own may change without anybody else's knowing."""
    return Macro.objects.active().exclude(scope=Macro.Scope.OWN).filter(pk=_key(deed)).first()


def _key(deed: Deed) -> int:
    given = deed.values[0] if len(deed.values) == 1 else ""
    return int(given) if given.isascii() and given.isdigit() and len(given) < 18 else 0


def _word(name: str) -> str:
    return "technical" if name == "is_technical" else name
