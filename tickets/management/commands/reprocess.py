from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet, Sum
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from tickets.actions.triage import submit_again
from tickets.management.progress import Progress
from tickets.models import Lane, Status, Ticket, TriageState
from triage.correlation import acting
from triage.models import Call, Heartbeat

COMPARED = ("category", "priority", "team", "tier", "severity", "component")
PORTION = 500
SILENT_AFTER = timedelta(seconds=30)
Held = dict[int, tuple[Any, ...]]


class Command(BaseCommand):
    help = "Have tickets read again: all of them, or those that the filters name. What a person set stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--status", choices=Status.values)
        parser.add_argument("--team", help="A team's key; none for tickets without one.")
        parser.add_argument("--category", help="A category's key; none for tickets without one.")
        parser.add_argument("--source", help="A source's name.")
        parser.add_argument("--failed", action="store_true", help="Only what could not be read.")
        parser.add_argument("--since", help="Created at or after this date, or this moment (ISO 8601).")
        parser.add_argument("--read-by", choices=("local", "model", "rules"), help="Whose category an engine gave.")
        parser.add_argument("--dry-run", action="store_true", help="Say which tickets these are, and do nothing.")
        parser.add_argument("--no-wait", action="store_true", help="Submit them and return.")

    def handle(self, *args: Any, **options: Any) -> None:
        tickets = _chosen(options)
        if options["dry_run"]:
            self._describe(tickets)
            return
        began = timezone.now()
        before = _held(tickets)
        with acting("command:reprocess"):
            numbers = list(before)
            submitted = sum(
                submit_again(tickets=Ticket.objects.filter(pk__in=numbers[at : at + PORTION]), lane=Lane.IMPORTED)
                for at in range(0, len(numbers), PORTION)
            )
        self.stdout.write(f"{submitted:,} tickets will be read again.")
        if submitted and not options["no_wait"]:
            self._follow(before, began)

    def _describe(self, tickets: QuerySet[Ticket]) -> None:
        total = tickets.count()
        self.stdout.write(f"{total:,} tickets would be read again. Nothing was done.")
        for name in ("status", "triage_state", "category__key", "team__key"):
            counts = Counter(tickets.order_by().values_list(name, flat=True))
            told = ", ".join(f"{value or 'none'} {count:,}" for value, count in counts.most_common())
            if told:
                self.stdout.write(f"  {name.removesuffix('__key').replace('_', ' ')}: {told}")

    def _follow(self, before: Held, began: datetime) -> None:
        """Wait until they are read, then say what is different now."""
        mine = Ticket.objects.filter(pk__in=list(before))
        waiting = mine.filter(triage_state__in=(TriageState.SUBMITTED, TriageState.PROCESSING))
        progress = Progress(len(before), sys.stderr)
        try:
            while left := waiting.count():
                progress.show(len(before) - left, f"{left:,} to read")
                if _nobody_works(began):
                    raise CommandError("No worker is running: they stay submitted. Start one with manage.py work.")
                time.sleep(0.5)
        except KeyboardInterrupt:
            raise CommandError("Not waited for. The worker reads on.") from None
        progress.finish(f"{len(before):,} read in {progress.seconds:.1f} s")
        self._compare(before, _held(mine))
        failed = mine.filter(triage_state=TriageState.FAILED).count()
        if failed:
            self.stdout.write(f"{failed:,} failed. manage.py reprocess --failed tries them once more.")
        numbers = [str(number) for number in before]
        calls = Call.objects.filter(subject_kind="ticket", subject_id__in=numbers, created_at__gte=began)
        cost = calls.aggregate(sum=Sum("cost"))["sum"] or 0
        self.stdout.write(f"Cost of the model: ${cost:.4f}")

    def _compare(self, before: Held, after: Held) -> None:
        for position, name in enumerate(COMPARED):
            changes = Counter(
                (held[position], after[number][position])
                for number, held in before.items()
                if number in after and held[position] != after[number][position]
            )
            if changes:
                self.stdout.write(f"{name}: {changes.total():,} changed")
            for (old, new), count in changes.most_common(5):
                self.stdout.write(f"  {old or 'none'} → {new or 'none'}: {count:,}")


def _chosen(options: dict[str, Any]) -> QuerySet[Ticket]:
    tickets = Ticket.objects.order_by("number")
    if options["status"]:
        tickets = tickets.filter(status=options["status"])
    for name in ("team", "category"):
        if options[name] == "none":
            tickets = tickets.filter(**{f"{name}__isnull": True})
        elif options[name]:
            tickets = tickets.filter(**{f"{name}__key": options[name]})
    if options["source"]:
        tickets = tickets.filter(source__name=options["source"])
    if options["failed"]:
        tickets = tickets.filter(triage_state=TriageState.FAILED)
    if options["read_by"]:
        tickets = tickets.filter(provenance__category__engine=options["read_by"])
    if options["since"]:
        tickets = tickets.filter(created_at__gte=_moment(options["since"]))
    return tickets


def _moment(given: str) -> datetime:
    try:
        moment = parse_datetime(given)
        day = None if moment else parse_date(given)
    except ValueError:
        moment = day = None
    if moment is None and day is not None:
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if moment is None:
        raise CommandError(f"{given!r} is no date. Write it like 2026-01-31 or 2026-01-31T09:30:00Z.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _held(tickets: QuerySet[Ticket]) -> Held:
    """{number: the held values of COMPARED}, labels by their keys."""
    names = [f"{name}__key" if name in ("category", "team", "component") else name for name in COMPARED]
    return {number: tuple(values) for number, *values in tickets.values_list("number", *names)}


def _nobody_works(began: datetime) -> bool:
    now = timezone.now()
    return now - began > SILENT_AFTER and not Heartbeat.objects.filter(beat_at__gt=now - SILENT_AFTER).exists()
