"""Charts as plain geometry: a template draws them as SVG with presentation attributes and theme classes alone.

Lengths along the page are per cent, so that a chart fills what width there is and its text keeps its size; heights are
pixels. Bars start at zero. The title says what is to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.figures import Day, Share

# Pixels; the drawing is as high as PLOT + AXIS + 2 * LABEL, 210, which analytics.css knows too.
PLOT = 150  # the longest column above the days and the longest below them, together
LABEL = 18  # a row of numbers
AXIS = 24  # between the halves, where the days stand


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart; `width` is per cent of the longest, `part` per cent of all."""

    key: str
    label: str
    count: int
    width: float
    part: int


@dataclass(frozen=True, slots=True)
class BarChart:
    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One day: a column of what is new above the axis, one of what was resolved below it."""

    day: Day
    x: float
    middle: float
    new_y: float
    new_height: float
    resolved_height: float
    resolved_label_y: float
    label: str


@dataclass(frozen=True, slots=True)
class FlowChart:
    title: str
    summary: str
    months: str
    empty: bool
    columns: tuple[Column, ...]
    column_width: float
    axis_top: float
    axis_middle: float
    axis_bottom: float
    new_middle: float
    resolved_middle: float


def bars(shares: Sequence[Share], title: str) -> BarChart:
    """A bar chart of shares in the order given, all on one scale from zero."""
    longest = max((share.count for share in shares), default=0) or 1
    total = sum(share.count for share in shares) or 1
    return BarChart(
        title,
        tuple(
            Bar(
                share.key, share.label, share.count, round(100 * share.count / longest, 2), _percent(share.count, total)
            )
            for share in shares
        ),
    )


def flow(days: Sequence[Day], *, label_every: int = 1) -> FlowChart:
    """New tickets above the days and resolved ones below, on one scale; every `label_every`-th day is named."""
    most_new, most_resolved = max(day.new for day in days), max(day.resolved for day in days)
    unit = PLOT / ((most_new + most_resolved) or 1)
    axis_top = LABEL + most_new * unit
    axis_bottom = axis_top + AXIS
    slot = 100 / len(days)
    columns = tuple(
        Column(
            day=day,
            x=round(index * slot + slot * 0.15, 3),
            middle=round((index + 0.5) * slot, 3),
            new_y=round(axis_top - day.new * unit, 2),
            new_height=round(day.new * unit, 2),
            resolved_height=round(day.resolved * unit, 2),
            resolved_label_y=round(axis_bottom + day.resolved * unit + 13, 2),
            label=str(day.date.day) if (len(days) - 1 - index) % label_every == 0 else "",
        )
        for index, day in enumerate(days)
    )
    new, resolved = sum(day.new for day in days), sum(day.resolved for day in days)
    return FlowChart(
        title=flow_title(new, resolved, len(days)),
        summary=f"{new} new and {resolved} resolved tickets in {len(days)} days; the busiest day brought {most_new}.",
        months=_months(days),
        empty=not (new or resolved),
        columns=columns,
        column_width=round(slot * 0.7, 3),
        axis_top=round(axis_top, 2),
        axis_middle=round(axis_top + AXIS / 2 + 4, 2),
        axis_bottom=round(axis_bottom, 2),
        new_middle=round(max(axis_top - 6, LABEL), 2),
        resolved_middle=round(axis_bottom + 13, 2),
    )


def _months(days: Sequence[Day]) -> str:
    first, last = days[0].date, days[-1].date
    return f"{last:%b}" if first.month == last.month else f"{first:%b} / {last:%b}"


def flow_title(new: int, resolved: int, days: int) -> str:
    """What the flow chart shows, in a sentence."""
    if not new and not resolved:
        return f"Nothing came in during these {days} days"
    came = "No ticket came in" if not new else "1 ticket came in" if new == 1 else f"{new:,} tickets came in"
    went = "none was resolved" if not resolved else "1 was resolved" if resolved == 1 else f"{resolved:,} were resolved"
    if new == resolved:
        return f"{came} and as many were resolved"
    return f"{came}, {went}: the queue {'grew' if new > resolved else 'shrank'} by {abs(new - resolved):,}"


def category_title(shares: Sequence[Share]) -> str:
    """What the chart of open tickets by category shows."""
    total = sum(share.count for share in shares)
    decided = [share for share in shares if share.key]
    if not decided:
        return "No open ticket has a category yet" if total else "No open tickets"
    top = decided[0]
    return f"{top.label} leads with {_percent(top.count, total)} % of {total:,} open"


def priority_title(shares: Sequence[Share]) -> str:
    """What the chart of open tickets by priority shows."""
    total = sum(share.count for share in shares)
    urgent = next((share.count for share in shares if share.key == "P1"), 0)
    if not total:
        return "No open tickets"
    if not urgent:
        return "Nothing open is urgent"
    return f"{urgent:,} of {total:,} open {'is' if urgent == 1 else 'are'} urgent"


def team_title(shares: Sequence[Share]) -> str:
    """What the chart of open tickets by team shows."""
    named = [share for share in shares if share.key]
    if not named:
        return "No open ticket has a team" if shares else "No open tickets"
    return f"{named[0].label} carries the most: {named[0].count:,}"


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0
