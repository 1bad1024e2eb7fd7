"""What is pushed to open desks, and to whom: ids only, inside the transaction that makes it true."""

from __future__ import annotations

from typing import Literal

from tickets.models import Ticket
from triage.notify import publish

Kind = Literal["created", "read", "routed", "reply", "comment", "changed", "failed"]


def announce(ticket: Ticket, kind: Kind) -> None:
    """Tell every desk that may see this ticket. Delivered when the transaction commits."""
    message = {"type": "ticket.changed", "number": ticket.number, "kind": kind}
    team = f"team-{ticket.team_id}" if ticket.team_id else "team-none"
    for group in ("desk", team, f"ticket-{ticket.number}"):
        publish(group, message)
