from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from tickets import comparison
from tickets.actions import replay as replays
from tickets.actions.errors import Refused
from tickets.actions.rehearsal import rehearse
from tickets.actions.triage import skip
from tickets.comparison import Change, FieldFigures, Share
from tickets.estimate import Estimate, estimate
from tickets.management.choosing import add_filters, chosen
from tickets.management.progress import Progress
from tickets.models import Replay, Ticket
from tickets.models.choices import ReadWith
from tickets.reader import Gone, Reader
from tickets.words import counted
from triage.checks import BEFORE_COMMANDS
from triage.correlation import acting
from triage.models import Artifact, Heartbeat

ENGINES = (ReadWith.CASCADE, ReadWith.LOCAL, ReadWith.MODEL, ReadWith.RULES)
SAMPLE = 50
SILENT_AFTER = timedelta(seconds=30)


class Command(BaseCommand):
    help = "Have tickets read again: all of them, or those that the filters name. What a person set stays."
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        add_filters(parser)
        parser.add_argument("--engine", choices=ENGINES, default=ReadWith.CASCADE, help="What reads them.")
        parser.add_argument("--batch", action="store_true", help="Ask the model in batches: half price, within a day.")
        parser.add_argument(
            "--drafts", action="store_true", help="With --batch: the model writes drafts, too, at once."
        )
        parser.add_argument(
            "--when-spent", choices=("local", "leave"), default="local", help="What becomes of the rest without budget."
        )
        parser.add_argument("--shadow", action="store_true", help="Compare with what is held, and store nothing of it.")
        parser.add_argument("--model", default="", help="With --shadow: another language model.")
        parser.add_argument("--prompt", default="", help="With --shadow: a file with another prompt for sorting.")
        parser.add_argument("--fit", default="", help="With --shadow: another fit of the local engine, by its version.")
        parser.add_argument("--skip", action="store_true", help="Do not read what waits of them; --failed finds it.")
        parser.add_argument("--dry-run", action="store_true", help="Read a sample and say what would change.")
        parser.add_argument("--sample", type=int, default=SAMPLE, help="With --dry-run: how many to read. 0: none.")
        parser.add_argument("--yes", action="store_true", help="Do not ask, however many and dear they are.")
        parser.add_argument("--no-wait", action="store_true", help="Submit them and return.")

    def handle(self, *args: Any, **options: Any) -> None:
        tickets, words = chosen(options)
        try:
            with acting("command:reprocess"):
                self._do(tickets, words, options)
        except Refused as refused:
            raise CommandError(refused.sentence) from refused
        except Gone as gone:
            raise CommandError(f"{gone}.") from gone
        except KeyboardInterrupt:
            raise CommandError("Not waited for. The worker reads on; the same command again goes on here.") from None

    def _do(self, tickets: QuerySet[Ticket], words: str, options: dict[str, Any]) -> None:
        if options["skip"]:
            self.stdout.write(f"Left unread: {counted(skip(tickets=tickets), 'ticket')} that waited.")
            return
        reader = _reader(options)
        expected = estimate(tickets, reader, drafts=not (options["shadow"] or options["batch"]), batch=options["batch"])
        if options["dry_run"]:
            self._rehearse(tickets, reader, expected, options)
            return
        kind = Replay.Kind.COMPARE if options["shadow"] else Replay.Kind.STORE
        more = {name: options[name] for name in ("batch", "drafts")}
        more["leave_when_spent"] = options["when_spent"] == "leave"
        replay = replays.running(kind=kind, chosen=words, reader=reader, **more)
        if replay is None:
            self._confirm(expected, options)
            replay = replays.start(kind=kind, tickets=tickets, chosen=words, reader=reader, by=None, **more)
        else:
            self.stdout.write(f"Going on with what was begun {replay.created_at:%-d %B, %H:%M}.")
        total = comparison.progress(replay).total
        doing = "Comparing" if options["shadow"] else "Reading again"
        self.stdout.write(f"{doing}: {counted(total, 'ticket')}. {expected.words}")
        if total and not options["no_wait"]:
            self._follow(replay, timezone.now())
            self._report(replay)

    def _confirm(self, expected: Estimate, options: dict[str, Any]) -> None:
        if not expected.asks or options["yes"]:
            return
        if not sys.stdin.isatty():
            raise CommandError(f"{counted(expected.tickets, 'ticket')}. {expected.words} Say --yes if that is meant.")
        self.stdout.write(f"{counted(expected.tickets, 'ticket')} will be read. {expected.words}")
        if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was done.")

    def _rehearse(self, tickets: QuerySet[Ticket], reader: Reader, expected: Estimate, options: dict[str, Any]) -> None:
        self.stdout.write(f"{counted(expected.tickets, 'ticket')} would be read again. {expected.words}")
        for name in ("status", "triage_state", "category__key", "team__key"):
            counts = Counter(tickets.order_by().values_list(name, flat=True))
            told = ", ".join(f"{value or 'none'} {count:,}" for value, count in counts.most_common())
            if told:
                self.stdout.write(f"  {name.removesuffix('__key').replace('_', ' ')}: {told}")
        numbers = list(tickets.order_by("-number").values_list("number", flat=True)[: max(options["sample"], 0)])
        if numbers:
            sampled = Ticket.objects.filter(pk__in=numbers)
            self._confirm(estimate(sampled, reader, drafts=False), options)
            progress = Progress(len(numbers), sys.stderr)
            tried = rehearse(numbers, reader, lambda done: progress.show(done, f"{done:,} read on trial"))
            cost = "unknown" if tried.cost is None else f"${tried.cost:.4f}"
            self.stdout.write(f"The newest {len(numbers):,} were read on trial in {tried.seconds:.1f} s, cost {cost}:")
            self._changes(comparison.changes(tried.readings))
        self.stdout.write("Nothing was changed.")

    def _changes(self, changes: Iterable[Change]) -> None:
        by_field: dict[str, list[Change]] = {}
        for change in changes:
            by_field.setdefault(change.field, []).append(change)
        for name, found in by_field.items():
            self.stdout.write(f"{name}: {sum(change.count for change in found):,} changed")
            for change in found[:5]:
                numbers = ", ".join(f"#{number}" for number in change.numbers[:3])
                self.stdout.write(f"  {_word(change.before)} → {_word(change.after)}: {change.count:,} ({numbers})")
        if not by_field:
            self.stdout.write("No field is different.")

    def _follow(self, replay: Replay, began: datetime) -> None:
        """Wait until its tickets are read. Whoever watches moves it on, too."""
        bar = Progress(comparison.progress(replay).total, sys.stderr)
        while True:
            replays.advance_all()
            replay.refresh_from_db()
            now = comparison.progress(replay)
            if not replay.is_running:
                break
            bar.show(now.settled, replay.note or f"{now.left:,} to read")
            if replay.note and replay.leave_when_spent:
                raise CommandError(f"{replay.note} {now.settled:,} of {now.total:,} are read.")
            if _nobody_works(began):
                raise CommandError("No worker is running: they stay submitted. Start one with manage.py work.")
            time.sleep(0.5)
        bar.finish(f"{now.done:,} read in {bar.seconds:.1f} s")

    def _report(self, replay: Replay) -> None:
        if replay.compares:
            self._compare(replay)
        else:
            self._changes(comparison.became(replay))
        now, spent = comparison.progress(replay), comparison.effort(replay)
        if now.failed and not replay.compares:
            self.stdout.write(f"{now.failed:,} failed. manage.py reprocess --failed tries them once more.")
        for words, count in comparison.remarks(replay):
            self.stdout.write(f"{count:,}: {words}")
        unknown = replay.rows.filter(state="done", cost=None).count()
        told = f" The cost of {counted(unknown, 'ticket')} is not known." if unknown else ""
        self.stdout.write(f"Cost of the model: ${spent.cost or 0:.4f}{told}")

    def _compare(self, replay: Replay) -> None:
        self.stdout.write(f"{replay.reader}, beside what is in force:")
        columns = ("field", "agree", "right, in force", "right, other", "of", "applied, in force", "applied, other")
        self.stdout.write("  " + "  ".join(f"{column:>17}" for column in columns))
        for figures in comparison.by_field(replay):
            self.stdout.write("  " + "  ".join(f"{cell:>17}" for cell in _cells(figures)))
        effort = comparison.effort(replay)
        self.stdout.write(f"A ticket in force: {_each(effort.live_cost, effort.live_milliseconds)}")
        self.stdout.write(f"A ticket by the other: {_each(effort.other_cost, effort.other_milliseconds)}")
        self.stdout.write(f"The tickets that differ: {replay.get_absolute_url()}")


def _reader(options: dict[str, Any]) -> Reader:
    if not options["shadow"] and (options["model"] or options["prompt"] or options["fit"]):
        raise CommandError("--model, --prompt and --fit are for a comparison: add --shadow.")
    prompt = ""
    if options["prompt"]:
        try:
            prompt = Path(options["prompt"]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise CommandError(f"{options['prompt']} cannot be read: {problem}") from problem
    fit = None
    if options["fit"]:
        found = list(Artifact.objects.filter(version__startswith=options["fit"]).defer("payload")[:2])
        if len(found) != 1:
            raise CommandError(f"{'No fit' if not found else 'More than one fit'} begins with {options['fit']!r}.")
        fit = found[0]
    version = fit.version if fit else ""
    return Reader(options["engine"], options["model"], prompt, fit.pk if fit else None, version)


def _cells(figures: FieldFigures) -> list[str]:
    applied = (figures.live_applies, figures.other_applies)
    shares = [figures.agreement, figures.live, figures.other]
    return [figures.name, *map(_percent, shares), str(figures.live.n), *map(_percent, applied)]


def _percent(share: Share) -> str:
    if share.value is None or share.interval is None:
        return "-"
    low, high = share.interval
    return f"{share.value:.0%} ({low:.0%}-{high:.0%})"


def _each(cost: Any, milliseconds: float | None) -> str:
    dollars = "cost unknown" if cost is None else f"${cost:.6f}"
    return f"{dollars}, {'time unknown' if milliseconds is None else f'{milliseconds:,.0f} ms'}"


def _word(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) and value else "none" if value in (None, [], "") else str(value)


def _nobody_works(began: datetime) -> bool:
    now = timezone.now()
    return now - began > SILENT_AFTER and not Heartbeat.objects.filter(beat_at__gt=now - SILENT_AFTER).exists()
