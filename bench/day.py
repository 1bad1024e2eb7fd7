"""A day at a desk: tickets come by the API, people correct and approve, fits are made and swapped in, the world drifts.

Web, worker and database are the real ones, and so are the cadence of fits, the gate and the audit sample. A simulated
person opens what was not applied by itself, and what the lot has drawn; nobody looks at the rest. A day of ten hours is
two minutes here, and its clock stands still while a fit is made: on a real day hardly a ticket comes in that time.

    python -m bench.day [--data DIR] [--write]     with --write, the curve and the table of docs/learning.md
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bench import curve
from bench.person import Person, name_of
from bench.rows import Row, percentile
from bench.stage import ROOT, Desk, desk
from bench.world import Mail, World, world

TICKETS = 840
SECONDS = 140.0
AT_MOST = 540.0  # seconds with the fits; the tickets that were read by then are what is reported
HOURS = (3, 6, 8, 7, 4, 5, 8, 7, 5, 3)  # how many come in each of the day's ten hours, by proportion
BLOCK = 60
SWAPPED = 5.0  # seconds after which every process reads with what went into force
AUDIT_SHARE = "0.10"  # so short a day would draw too few at the usual 0.02 to show anything
LAST_FITS = 60.0  # seconds after the last ticket that a fit may still take
PAGE = ROOT / "docs" / "learning.md"
PICTURE = ROOT / "docs" / "learning.svg"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the machine made of a ticket at first sight, before anybody decided."""

    applied: bool
    right: bool
    confidence: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit that came to an end. `after`: the tickets read when it went into force, None where it did not."""

    verdict: str
    seconds: float
    after: int | None


@dataclass(frozen=True, slots=True)
class Day:
    world: World
    readings: Sequence[Reading]
    fits: Sequence[Fit]
    waits: Sequence[float]  # seconds from a person's decision to the fit in force that knows it
    audited: tuple[int, int]  # right, checked
    stopped: Sequence[int]  # the tickets read when the drift guard stopped a fit's category
    decided: int
    approved: int


def run(data: Path | None) -> list[Row]:
    return rows_of(simulate(data))


def simulate(data: Path | None) -> Day:
    # The bank's categories are new to the desk, and so are all decisions: it begins with what every desk begins with.
    with desk(TRIAGE_AUDIT_SHARE=AUDIT_SHARE, LOG_LEVEL="WARNING") as running:
        today = world(data, TICKETS)
        _have_categories(today.known, retire=True)
        person = Person(today)
        person.start()
        today = _send(running, today)
        running.wait_until_read(120)
        _wait_for_fits()
        person.stop()
        return _looked_back(today, person)


def _have_categories(keys: Sequence[str], *, retire: bool) -> None:
    from tickets.models import Category

    if retire:
        Category.objects.update(active=False)
    for key in keys:
        named = {"name": key.replace("_", " ").capitalize(), "active": True}
        Category.objects.update_or_create(key=key, defaults=named)


def _send(running: Desk, today: World) -> World:
    """Every ticket at its time, as far as time allows; at midday a lead makes the new categories."""
    began, moments = time.monotonic(), _moments(len(today.mails))
    until = began + AT_MOST
    with ThreadPoolExecutor(4) as senders:
        sent = []
        for number, (mail, moment) in enumerate(zip(today.mails, moments, strict=True)):
            if number == today.midday:
                _have_categories(today.new, retire=False)
            began += _stood_still(until)
            if time.monotonic() > until:
                break
            time.sleep(max(0.0, began + moment - time.monotonic()))
            sent.append(senders.submit(_post, running, number, mail))
        for one in sent:
            one.result()
    return replace(today, mails=today.mails[: len(sent)])


def _stood_still(until: float) -> float:
    """Wait while a fit is made and until it is read with; the seconds that took."""
    from tickets.models import FitRun

    began, is_made = time.monotonic(), FitRun.objects.filter(state__in=FitRun.OPEN)
    if not is_made.exists():
        return 0.0
    while time.monotonic() < until and is_made.exists():
        time.sleep(0.2)
    time.sleep(SWAPPED)
    return time.monotonic() - began


def _moments(many: int) -> list[float]:
    """Seconds from the start of the day at which each ticket comes, in the rhythm of HOURS."""
    moments: list[float] = []
    hour, share = SECONDS / len(HOURS), many / sum(HOURS)
    for number, weight in enumerate(HOURS):
        until = round(sum(HOURS[: number + 1]) * share)
        here = until - len(moments)
        moments.extend(hour * (number + place / here) for place in range(here) if weight)
    return moments


def _post(running: Desk, number: int, mail: Mail) -> None:
    body = {
        "title": mail.title,
        "description": mail.text,
        "external_id": name_of(number),
        "requester": {"email": f"customer{number}@example.com"},
    }
    request = urllib.request.Request(
        f"{running.url}/api/v1/tickets",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {running.key}", "Content-Type": "application/json", "Host": "localhost"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def _wait_for_fits() -> None:
    """The day's last decisions may still become a fit; one that is on its way is waited for."""
    from tickets.models import FitRun

    time.sleep(5)
    until = time.monotonic() + LAST_FITS
    while time.monotonic() < until and FitRun.objects.filter(state__in=FitRun.OPEN).exists():
        time.sleep(0.5)


def _looked_back(today: World, person: Person) -> Day:
    from tickets.models import Audit, FitRun, Suggestion

    first = Suggestion.objects.filter(ticket__external_id__startswith="day-").order_by("-pk")
    by_name = {one.ticket.external_id: one for one in first.select_related("ticket")}
    readings = [_reading(by_name[name_of(number)], mail) for number, mail in enumerate(today.mails)]
    times = sorted(one.created_at for one in by_name.values())
    fits = [_fit(run, times) for run in FitRun.objects.filter(state="done").select_related("artifact").order_by("pk")]
    checks = [
        field["right"]
        for fields in Audit.objects.values_list("fields", flat=True)
        for name, field in fields.items()
        if name == "category" and field["right"] is not None
    ]
    return Day(
        world=today,
        readings=readings,
        fits=fits,
        waits=_waits(),
        audited=(sum(checks), len(checks)),
        stopped=[sum(at <= moment for at in times) for moment in _stops()],
        decided=person.decided,
        approved=person.approved,
    )


def _stops() -> list[datetime]:
    """When the category was stopped; a stop goes on over later fits."""
    from triage.models import Artifact

    known = Artifact.objects.values_list("stopped", flat=True)
    return sorted({datetime.fromisoformat(stopped["category"]["at"]) for stopped in known if "category" in stopped})


def _reading(suggestion: Any, mail: Mail) -> Reading:
    field = suggestion.fields.get("category", {"value": None, "band": "ask", "confidence": 0.0})
    return Reading(field["band"] == "apply", field["value"] == mail.label, float(field["confidence"]))


def _fit(run: Any, times: Sequence[datetime]) -> Fit:
    verdict = run.artifact.verdict if run.artifact else ""
    reign = run.artifact.reigns.order_by("pk").first() if run.artifact else None
    after = sum(at <= reign.began_at for at in times) if reign else None
    return Fit(verdict or "unchanged", (run.finished_at - run.created_at).total_seconds(), after)


def _waits() -> list[float]:
    """For each decision, the seconds until a fit that has looked at it was in force."""
    from tickets.models import Example, FitRun

    runs = FitRun.objects.filter(state="done", artifact__reigns__isnull=False).order_by("pk")
    looked = [(run.read_at, run.finished_at) for run in runs]
    found = []
    for decided in Example.objects.filter(held_out=False, ticket__external_id__startswith="day-"):
        known = next((done for read, done in looked if read and read >= decided.updated_at), None)
        if known is not None:
            found.append((known - decided.updated_at).total_seconds())
    return found


@dataclass(frozen=True, slots=True)
class Block:
    """The figures of tickets `first` to `last`, counted from 1. `precision` None: nothing was applied."""

    first: int
    last: int
    applied: float
    precision: float | None
    accuracy: float
    error: float
    in_force: int


def blocks_of(day: Day) -> list[Block]:
    import numpy as np

    from triage.learning.calibrate import calibration_error

    found = []
    for start in range(0, len(day.readings), BLOCK):
        block = day.readings[start : start + BLOCK]
        right = [one.right for one in block if one.applied]
        every = np.array([one.right for one in block], dtype=np.float64)
        found.append(
            Block(
                first=start + 1,
                last=start + len(block),
                applied=len(right) / len(block),
                precision=sum(right) / len(right) if right else None,
                accuracy=float(every.mean()),
                error=calibration_error(np.array([one.confidence for one in block]), every, bins=5),
                in_force=sum(fit.after is not None and start < fit.after <= start + len(block) for fit in day.fits),
            )
        )
    return found


def rows_of(day: Day) -> list[Row]:
    blocks = blocks_of(day)
    applied = [one.right for one in day.readings if one.applied]
    live = [fit for fit in day.fits if fit.after is not None]
    rows = [
        Row(f"a day of {day.world.name}, tickets", float(len(day.readings)), "", "tickets"),
        Row("opened and decided by a person", float(day.decided), "", "tickets"),
        Row("drafts approved and sent", float(day.approved), "", "replies"),
        Row("applied automatically", len(applied) / len(day.readings), "", "of all"),
        Row(
            "right of those",
            sum(applied) / len(applied) if applied else None,
            "≥ 0.95",
            "nothing was applied" if not applied else "",
        ),
        Row("fits made", float(len(day.fits)), "", "fits"),
        Row("fits in force", float(len(live)), "", "fits"),
        Row("fits refused by the gate", float(sum(fit.verdict == "refused" for fit in day.fits)), "", "fits"),
        Row(
            "a fit, asked for to in force, p50",
            percentile([fit.seconds for fit in live], 0.5) if live else None,
            "",
            "s" if live else "none",
        ),
        Row(
            "a decision to the fit in force that knows it, p50",
            percentile(day.waits, 0.5) if day.waits else None,
            "",
            "s" if day.waits else "none",
        ),
        Row("the same, p95", percentile(day.waits, 0.95) if day.waits else None, "", "s" if day.waits else "none"),
        Row("audit sample, checked", float(day.audited[1]), "", "tickets"),
        Row("audit sample, right", float(day.audited[0]), "", "tickets"),
        Row("times that the drift guard stopped the category", float(len(day.stopped)), "", "fits"),
    ]
    for block in blocks:
        name = f"tickets {block.first:,} to {block.last:,}"
        rows += [
            Row(f"{name}, applied automatically", block.applied, "", ""),
            Row(
                f"{name}, right of those",
                block.precision,
                "",
                "" if block.precision is not None else "nothing was applied",
            ),
            Row(f"{name}, right of all", block.accuracy, "", ""),
            Row(f"{name}, calibration error", block.error, "", ""),
        ]
    return rows


def table_of(day: Day) -> str:
    """The blocks as docs/learning.md has them."""
    lines = [
        "| tickets | applied | right of those | right of all | calibration error | fits in force |",
        "|---|---|---|---|---|---|",
    ]
    for block in blocks_of(day):
        precision = "-" if block.precision is None else f"{block.precision:.0%}"
        lines.append(
            f"| {block.first:,} to {block.last:,} | {block.applied:.0%} | {precision} | {block.accuracy:.0%} "
            f"| {block.error:.2f} | {block.in_force or ''} |"
        )
        if block.last == day.world.midday:
            lines.append("| *midday: the world drifts* | | | | | |")
    return "\n".join(lines)


def picture_of(day: Day) -> str:
    blocks = blocks_of(day)
    middles = [(block.first - 1 + block.last) / 2 for block in blocks]
    lines = [
        curve.Line("right of all", "all", list(zip(middles, (block.accuracy for block in blocks), strict=True))),
        curve.Line("applied", "applied", list(zip(middles, (block.applied for block in blocks), strict=True))),
        curve.Line(
            "right of the applied",
            "right",
            list(zip(middles, (block.precision for block in blocks), strict=True)),
        ),
    ]
    fits = [fit.after for fit in day.fits if fit.after is not None]
    return curve.drawn(lines, fits=fits, stops=day.stopped, drift=day.world.midday, tickets=len(day.readings))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.day")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    day = simulate(options.data)
    for row in rows_of(day):
        print(row.name, "-" if row.value is None else f"{row.value:.4g}", row.unit)
    print(table_of(day))
    if options.write:
        PICTURE.write_text(picture_of(day))
        before, _, rest = PAGE.read_text().partition("<!-- blocks -->\n")
        PAGE.write_text(f"{before}<!-- blocks -->\n{table_of(day)}\n<!-- end -->{rest.partition('<!-- end -->')[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
