"""What a rule may ask of a ticket: every fact with its kind, which says how it is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from django.utils import timezone

from tickets.models import Effort, Message, Priority, Sentiment, Severity, Status, Ticket, Tier
from triage.embedding import TURN

Kind = Literal["choice", "tags", "text", "address", "number", "yes_no", "person", "changed"]


@dataclass
class Facts:
    """One ticket as rules see it. `changed` are the fields of the cause's change, `by` the kind of its actor.

    The machine's values count only where they are applied: what is merely suggested is not there.
    """

    ticket: Ticket
    changed: frozenset[str] = frozenset()
    by: str = ""
    now: datetime = field(default_factory=timezone.now)

    def held(self, name: str) -> Any:
        how = self.ticket.provenance.get(name, {})
        stands = how.get("engine") in ("person", "rule") or how.get("band") == "apply"
        return self.ticket.value_of(name) if stands else [] if name == "tags" else None

    @cached_property
    def text(self) -> str:
        """Subject and everything the customer wrote."""
        inbound = [one.text for one in self.ticket.messages.all() if one.kind == Message.Kind.INBOUND]
        return f"\n{TURN}\n".join([self.ticket.subject, *inbound])

    @property
    def address(self) -> str:
        return self.ticket.requester.email.lower() if self.ticket.requester else ""

    @property
    def promise(self) -> str | None:
        """The state of the promise that is due next, or of the last that was."""
        states = [promise.state(self.now) for promise in self.ticket.promises]
        for state in ("breached", "running", "paused", "met"):
            if state in states:
                return state
        return None


@dataclass(frozen=True, slots=True)
class Fact:
    """`label` names the taxonomy that its values are of; `choices` are closed."""

    word: str
    kind: Kind
    of: Callable[[Facts], Any]
    choices: Mapping[str, str] | None = None
    label: str = ""


def _held(name: str) -> Callable[[Facts], Any]:
    def of(facts: Facts) -> Any:
        return facts.held(name)

    return of


def _words(choices: Any) -> dict[str, str]:
    return {str(key): str(word) for key, word in choices.choices}


PROMISES = {"running": "Running", "paused": "Standing still", "met": "Met", "breached": "Broken"}
ACTORS = {
    "person": "A person",
    "machine": "The machine",
    "customer": "The customer",
    "rule": "A rule",
    "api": "The API",
}
FACTS: dict[str, Fact] = {
    "category": Fact("Category", "choice", _held("category"), label="category"),
    "priority": Fact("Priority", "choice", _held("priority"), {key: f"{key} {word}" for key, word in Priority.choices}),
    "team": Fact("Team", "choice", _held("team"), label="team"),
    "status": Fact("Status", "choice", lambda facts: facts.ticket.status, _words(Status)),
    "subject": Fact("Subject", "text", lambda facts: facts.ticket.subject),
    "text": Fact("Subject or text", "text", lambda facts: facts.text),
    "requester": Fact("Customer's address", "address", lambda facts: facts.address),
    "domain": Fact("Customer's domain", "address", lambda facts: facts.address.rpartition("@")[2]),
    "source": Fact("Source", "choice", lambda facts: facts.ticket.source.name, label="source"),
    "assignee": Fact(
        "Assignee", "person", lambda facts: facts.ticket.assignee.username if facts.ticket.assignee else None
    ),
    "tags": Fact("Tags", "tags", _held("tags")),
    "component": Fact("Component", "choice", _held("component"), label="component"),
    "tier": Fact("Tier", "choice", _held("tier"), _words(Tier)),
    "severity": Fact("Severity", "choice", _held("severity"), _words(Severity)),
    "effort": Fact("Effort", "choice", _held("effort"), _words(Effort)),
    "sentiment": Fact("Sentiment", "choice", _held("sentiment"), _words(Sentiment)),
    "language": Fact("Language", "address", _held("language")),
    "is_technical": Fact("Technical", "yes_no", _held("is_technical")),
    "escalated": Fact("Escalated", "yes_no", lambda facts: facts.ticket.escalated),
    "snoozed": Fact("Snoozed", "yes_no", lambda facts: facts.ticket.is_snoozed),
    "confidence": Fact(
        "Sure of the category, %",
        "number",
        lambda facts: None if facts.ticket.confidence is None else facts.ticket.confidence * 100,
    ),
    "age": Fact("Age in hours", "number", lambda facts: (facts.now - facts.ticket.created_at).total_seconds() / 3600),
    "promise": Fact("Promised time", "choice", lambda facts: facts.promise, PROMISES),
    "changed": Fact("What changed", "changed", lambda facts: facts.changed),
    "by": Fact("Changed by", "choice", lambda facts: facts.by or None, ACTORS),
}
OF_THE_CHANGE = ("changed", "by")  # these are known only when it happens, not of past tickets


def kind_of_actor(actor: str) -> str:
    """ "user:7" is a person, "machine:local" the machine, "channel:email" and "visitor" the customer."""
    kind = actor.partition(":")[0]
    known = {"user": "person", "machine": "machine", "rule": "rule", "api": "api", "channel": "customer"}
    return known.get(kind, "customer" if kind == "visitor" else "")
