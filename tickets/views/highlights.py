"""What a search found in each row, its words marked."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import F
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from tickets.models import Message, Ticket
from tickets.models.search import START, STOP, found_in, query_of

EACH = 3  # messages of a ticket that are looked at, the newest that have the words


def highlight(rows: Sequence[Ticket], words: str) -> None:
    """Give each row `marked_subject`, and `found`: the part of its newest message that has the words. Two queries."""
    query = query_of(words)
    numbers = [row.number for row in rows]
    subjects = dict(
        Ticket.objects.filter(pk__in=numbers)
        .order_by()
        .annotate(shown=found_in("subject", query, whole=True))
        .values_list("pk", "shown")
    )
    messages = Message.objects.filter(ticket__in=numbers).order_by("ticket_id", F("pk").desc())
    newest = messages.annotate(shown=found_in("text", query)).values_list("ticket_id", "shown")
    found: dict[int, str] = {}
    for number, shown in newest:
        if START in shown:
            found.setdefault(number, shown)
    for row in rows:
        subject = subjects.get(row.number, "")
        row.marked_subject = marked(subject) if START in subject else ""
        row.found = marked(" ".join(found[row.number].split())) if row.number in found else ""


def marked(text: str) -> SafeString:
    """A text from the database as HTML: the words between START and STOP marked, all of it escaped."""
    shown = str(escape(text)).replace(START, "<mark>").replace(STOP, "</mark>")
    return mark_safe(shown)  # noqa: S308 - escaped above
