"""Variables of a macro, `{{requester.name}}` or `{{requester.name|there}}`: put in once, from a closed list.

No template engine: what a customer is called can never become an instruction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format

from tickets.actions.errors import Invalid
from tickets.models import Ticket
from triage.flags import visible
from triage.models import User

_VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")
_BEFORE_STOP = re.compile(r"[ \t]+(?=[,.;:!?])")
Filler = Callable[[Ticket, User | None], str]


@dataclass(frozen=True, slots=True)
class Variable:
    """What a variable stands for, an example of it, and how it is filled; "" where a ticket has none."""

    words: str
    example: str
    fill: Filler


def _requester(ticket: Ticket) -> str:
    return ticket.requester.name if ticket.requester else ""


def _first(name: str) -> str:
    return name.split(maxsplit=1)[0] if name.split() else ""


def _agent(by: User | None) -> str:
    return (by.get_full_name() or by.username) if by else ""


VARIABLES: dict[str, Variable] = {
    "requester.name": Variable("Customer's name", "Kim Sample", lambda ticket, by: _requester(ticket)),
    "requester.first_name": Variable("Customer's first name", "Kim", lambda ticket, by: _first(_requester(ticket))),
    "requester.email": Variable(
        "Customer's address", "kim@example.com", lambda ticket, by: ticket.requester.email if ticket.requester else ""
    ),
    "ticket.number": Variable("Ticket's number", "1042", lambda ticket, by: str(ticket.number)),
    "ticket.subject": Variable("Ticket's subject", "Export fails", lambda ticket, by: ticket.subject),
    "ticket.created": Variable(
        "Day on which it came in",
        "3 November 2026",
        lambda ticket, by: date_format(timezone.localtime(ticket.created_at), "j F Y"),
    ),
    "ticket.category": Variable(
        "Its category", "Billing", lambda ticket, by: ticket.category.name if ticket.category else ""
    ),
    "ticket.priority": Variable(
        "Its priority", "High", lambda ticket, by: ticket.get_priority_display() if ticket.priority else ""
    ),
    "agent.name": Variable("Your name", "Ada Byron", lambda ticket, by: _agent(by)),
    "agent.first_name": Variable("Your first name", "Ada", lambda ticket, by: _first(_agent(by))),
    "team.name": Variable("Its team", "Billing", lambda ticket, by: ticket.team.name if ticket.team else ""),
    "source.name": Variable("The door it came by", "Support form", lambda ticket, by: ticket.source.name),
    "status_url": Variable(
        "Customer's status page",
        "https://desk.example.com/support/t/\u2026",
        lambda ticket, by: f"{settings.BASE_URL}{ticket.get_status_url()}",
    ),
}


def check(text: str) -> None:
    """Raise Invalid naming what in the text is no variable, or is not closed."""
    names = [_parts(found)[0] for found in _VARIABLE.findall(text)]
    if unknown := [name for name in names if name not in VARIABLES]:
        known = ", ".join(VARIABLES)
        raise Invalid(
            "unknown_variable", f"There is no variable \u201c{unknown[0]}\u201d. Known are {known}.", field="text"
        )
    rest = _VARIABLE.sub("", text)
    if "{{" in rest or "}}" in rest:
        raise Invalid("not_closed", "A variable begins with {{ and ends with }}, with its name between.", field="text")


def filled(text: str, ticket: Ticket, by: User | None) -> str:
    """The text for this ticket, written by this person. What is put in is never looked through for variables."""
    return _filled(text, {name: one.fill(ticket, by) for name, one in VARIABLES.items() if name in text})


def example(text: str, *, without: bool = False) -> str:
    """The text with made-up values, or as it reads where nothing is known of the customer (`without`)."""
    values = {name: one.example for name, one in VARIABLES.items()}
    if without:
        values |= {name: "" for name in values if name.startswith(("requester.", "team.", "ticket.c", "ticket.p"))}
    return _filled(text, values)


def _filled(text: str, values: Mapping[str, str]) -> str:
    def put(found: re.Match[str]) -> str:
        name, fallback = _parts(found[1])
        if name not in VARIABLES:
            return found[0]
        return visible(" ".join(values.get(name, "").split())) or fallback

    lines = [(line, _VARIABLE.sub(put, line)) for line in text.split("\n")]
    # "Hello {{requester.name}}," with no name is "Hello,", not "Hello ,".
    return "\n".join(_BEFORE_STOP.sub("", made).rstrip() if made != line else line for line, made in lines)


def _parts(inside: str) -> tuple[str, str]:
    """Name and fallback of what stands between the braces."""
    name, _, fallback = inside.partition("|")
    return name.strip(), fallback.strip()
