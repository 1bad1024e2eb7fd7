"""Which tickets a command is about: its filters, and the same in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet
from django.utils.dateparse import parse_date, parse_datetime

from tickets.models import Status, Ticket, TriageState


def add_filters(parser: CommandParser) -> None:
    parser.add_argument("--status", choices=Status.values)
    parser.add_argument("--team", help="A team's key; none for tickets without one.")
    parser.add_argument("--category", help="A category's key; none for tickets without one.")
    parser.add_argument("--source", help="A source's name.")
    parser.add_argument("--failed", action="store_true", help="Only what could not be read.")
    parser.add_argument("--since", help="Created at or after this date, or this moment (ISO 8601).")
    parser.add_argument("--until", help="Created before the end of this date, or before this moment.")
    parser.add_argument("--read-by", choices=("local", "model", "rules"), help="Whose category an engine gave.")
    parser.add_argument("--limit", type=int, help="The newest so many of them.")


def chosen(options: dict[str, Any]) -> tuple[QuerySet[Ticket], str]:
    """The tickets that the options name, and the options in words."""
    tickets, words = Ticket.objects.order_by("number"), []
    for name, path in (("status", "status"), ("source", "source__name"), ("read_by", "provenance__category__engine")):
        if value := options[name]:
            tickets = tickets.filter(**{path: value})
            words.append(f"{name.replace('_', ' ')} {value}")
    for name in ("team", "category"):
        if value := options[name]:
            asked = {f"{name}__isnull": True} if value == "none" else {f"{name}__key": value}
            tickets = tickets.filter(**asked)
            words.append(f"{name} {value}")
    if options["failed"]:
        tickets = tickets.filter(triage_state=TriageState.FAILED)
        words.append("failed")
    if options["since"]:
        tickets = tickets.filter(created_at__gte=moment(options["since"]))
        words.append(f"since {options['since']}")
    if options["until"]:
        tickets = tickets.filter(created_at__lt=moment(options["until"], end=True))
        words.append(f"until {options['until']}")
    if options["limit"]:
        newest = tickets.order_by("-number").values("pk")[: options["limit"]]
        tickets = Ticket.objects.filter(pk__in=newest).order_by("number")
        words.append(f"the newest {options['limit']:,}")
    return tickets, ", ".join(words) or "all tickets"


def moment(given: str, *, end: bool = False) -> datetime:
    """A date (its beginning, or with `end` the next day's) or a moment; UTC where no zone is named."""
    try:
        found = parse_datetime(given)
        day = None if found and len(given) > len("2026-01-31") else parse_date(given)
    except ValueError:
        found = day = None
    if day is not None:
        found = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1 if end else 0)
    if found is None:
        raise CommandError(f"{given!r} is no date. Write it like 2026-01-31 or 2026-01-31T09:30:00Z.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
