"""Two people who move one ticket at the same time: the second is told what the first one did."""

from __future__ import annotations

from django.utils import timezone
from django.utils.formats import date_format

from tickets.actions.errors import Conflict
from tickets.models import Status, Ticket
from tickets.models.history import moved_last

_READ = (Status.NEW, Status.IN_REVIEW)  # that the machine has read it since is nobody's decision


def refuse_if_moved(ticket: Ticket, seen: str, wanted: Status | None = None) -> None:
    """Raise Conflict where a locked ticket has another status than was `seen` ("": not known), and not the wanted one.

    Where both wanted the same there is nothing to tell.
    """
    if seen in ("", ticket.status) or ticket.status == wanted or (seen, ticket.status) == _READ:
        return
    who, at = moved_last(ticket) or ("Somebody", ticket.updated_at)
    now, when = ticket.get_status_display().lower(), date_format(timezone.localtime(at), "H:i")
    raise Conflict("decided_meanwhile", f"{who} set this ticket to {now} at {when}. Nothing was changed now.")
