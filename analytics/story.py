"""A summary told without a model: plain sentences over the same figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from analytics.templatetags.amounts import money

Figures = Mapping[str, Any]


def tell(figures: Figures) -> str:
    """Paragraphs apart by an empty line: the flow, what it was about, what waits, how quick it was, what it cost."""
    paragraphs = (
        _flow(figures),
        _subjects(figures),
        _tags(figures),
        _waiting(figures["tickets"]),
        _service(figures["tickets"]),
        _cost(figures["model_calls"]),
    )
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _flow(figures: Figures) -> str:
    tickets = figures["tickets"]
    when = _when(figures["period"])
    if not tickets["new"] and not tickets["resolved"]:
        return f"{when} no ticket came in and none was resolved. {_open(tickets)}"
    change = tickets["more_new_than_resolved"]
    ended = (
        "as many as came in" if change == 0 else f"so the queue {'grew' if change > 0 else 'shrank'} by {abs(change):,}"
    )
    came = (
        "no ticket came in"
        if not tickets["new"]
        else "1 ticket came in"
        if tickets["new"] == 1
        else f"{tickets['new']:,} tickets came in"
    )
    went = (
        "none was resolved"
        if not tickets["resolved"]
        else "1 was resolved"
        if tickets["resolved"] == 1
        else f"{tickets['resolved']:,} were resolved"
    )
    return f"{when} {came} and {went}, {ended}. {_open(tickets)}"


def _open(tickets: Figures) -> str:
    return f"{_count(tickets['open_now'], 'ticket')} open now." if tickets["open_now"] else "Nothing is open now."


def _when(period: Figures) -> str:
    last = date.fromisoformat(period["last_day"])
    if period["first_day"] is None:
        return f"Until {_day(last)}"
    first = date.fromisoformat(period["first_day"])
    return f"On {_day(last)}" if first == last else f"From {_day(first)} to {_day(last)}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _subjects(figures: Figures) -> str:
    named = [share for share in figures["new_by_category"] if share["name"] != "Not decided"]
    if not named:
        return ""
    first, rest = named[0], named[1:3]
    text = f"The largest category was {first['name']} ({first['tickets']:,}, {first['percent']:g} %)"
    if rest:
        text += ", then " + _listed([f"{share['name']} ({share['tickets']:,})" for share in rest])
    urgent = next((share["tickets"] for share in figures["new_by_priority"] if share["name"] == "Urgent"), 0)
    if urgent:
        text += f". {_count(urgent, 'new ticket', verb=('was', 'were'))} urgent"
    return text + "."


def _tags(figures: Figures) -> str:
    top = figures["recurring_tags"][:3]
    if not top:
        return ""
    told = []
    for found in top:
        before = found["period_before"]
        change = "" if before is None else ", new" if before == 0 else f", {before:,} in the period before"
        told.append(f"{found['tag']} ({found['tickets']:,} tickets{change})")
    return f"What keeps coming back: {_listed(told)}."


def _waiting(tickets: Figures) -> str:
    parts = [
        (tickets["awaiting_approval_now"], "a drafted reply to approve", "drafted replies to approve"),
        (tickets["escalated_now"], "an escalated ticket", "escalated tickets"),
        (tickets["overdue_now"], "a ticket past its first answer's time", "tickets past their first answer's time"),
        (tickets["not_readable_now"], "a ticket that could not be read", "tickets that could not be read"),
    ]
    waiting = [one if number == 1 else f"{number:,} {many}" for number, one, many in parts if number]
    return f"Waiting for a person: {_listed(waiting)}." if waiting else "Nothing waits for a person."


def _service(tickets: Figures) -> str:
    sentences = []
    if reply := tickets["median_first_reply"]:
        unit = "minutes" if reply["minutes"] < 120 else "hours" if reply["hours"] < 48 else "days"
        sentences.append(f"Half of the answered tickets had their first reply within {reply[unit]:g} {unit}.")
    if tickets["replies_sent"]:
        sentences.append(f"{_count(tickets['replies_sent'], 'reply', 'replies', verb=('was', 'were'))} sent.")
    if (applied := tickets["category_applied_by_itself_percent"]) is not None:
        sentences.append(f"The machine was sure enough of the category in {applied:g} % of what it read.")
    return " ".join(sentences)


def _cost(calls: Figures) -> str:
    if not calls["calls"]:
        return "No language model was called: the local engine read everything, at no cost."
    each = calls["cost_a_ticket_usd"]
    text = f"Language models were called {calls['calls']:,} times for {money(calls['cost_usd'])}"
    if calls["calls"] == 1:
        text = f"A language model was called once for {money(calls['cost_usd'])}"
    if each is not None:
        text += f", {money(each)} a ticket"
    if calls["error_percent"]:
        text += f"; {calls['error_percent']:g} % of the calls gave no usable answer"
    return text + "."


def _count(number: int, one: str, many: str = "", *, verb: tuple[str, str] = ("is", "are")) -> str:
    return f"1 {one} {verb[0]}" if number == 1 else f"{number:,} {many or one + 's'} {verb[1]}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
