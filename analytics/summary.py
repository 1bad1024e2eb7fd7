"""The one-click summary: figures from the database, told by the model where one is configured, else by a template."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils import timezone

from analytics import call_figures, figures
from analytics.models import Summary
from analytics.period import ALL, Period
from analytics.story import tell
from tickets.models import Ticket
from triage import calls
from triage.models import Call, User
from triage.pipeline.types import AskedModel, NoAnswer, Question
from triage.prompts import fenced, load

_number = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![A-Za-z])")


def write(period: Period, *, by: User) -> Summary:
    """Reckon the period's figures as `by` may see them, have them told, check the telling, keep it."""
    reckoned = gather(period, by)
    answer, note = _ask(reckoned)
    text = answer.text.strip() if answer else tell(reckoned)
    return Summary.objects.create(
        period=period.key,
        first_day=period.first,
        last_day=period.last,
        figures=reckoned,
        text=text,
        engine=Summary.Engine.MODEL if answer else Summary.Engine.TEMPLATE,
        model=answer.model if answer else "",
        call_id=answer.call_id if answer else None,
        unmatched=unmatched(text, reckoned),
        note=note[:300],
        by=by,
    )


def gather(period: Period, by: User) -> dict[str, Any]:
    """Every figure a summary may mention, ready for JSON. What can be derived is derived here, not by the teller."""
    tickets = Ticket.objects.visible_to(by)
    came = tickets.filter(period.within("created_at"))
    new, resolved = figures.new_in(tickets, period), figures.resolved_in(tickets, period)
    reply = figures.median_first_reply(tickets, period)
    alone = figures.decided_alone(tickets, period)
    return {
        "period": _period(period),
        "tickets": {
            "new": new,
            "resolved": resolved,
            "more_new_than_resolved": new - resolved,
            "open_now": figures.open_tickets(tickets),
            "escalated_now": figures.escalated(tickets),
            "awaiting_approval_now": figures.awaiting_approval(tickets),
            "overdue_now": figures.overdue(tickets),
            "not_readable_now": figures.failed(tickets),
            "replies_sent": figures.replies_in(tickets, period),
            "median_first_reply": _span(reply),
            "category_applied_by_itself_percent": round(100 * alone, 1) if alone is not None else None,
        },
        "new_by_category": _shares(figures.by_category(came), new),
        "new_by_priority": _shares(figures.by_priority(came), new),
        "new_by_team": _shares(figures.by_team(came), new),
        "recurring_tags": [
            {"tag": found.tag, "tickets": found.count, "period_before": found.before if period is not ALL else None}
            for found in figures.recurring_tags(tickets, period)
        ],
        "model_calls": _calls(period),
    }


def _period(period: Period) -> dict[str, Any]:
    return {
        "label": period.label,
        "days": period.days,
        "first_day": period.first.isoformat() if period.first else None,
        "last_day": period.last.isoformat(),
    }


def _span(value: timedelta | None) -> dict[str, float] | None:
    if value is None:
        return None
    seconds = value.total_seconds()
    return {"minutes": round(seconds / 60, 1), "hours": round(seconds / 3600, 1), "days": round(seconds / 86400, 1)}


def _shares(shares: list[figures.Share], total: int) -> list[dict[str, Any]]:
    return [
        {"name": share.label, "tickets": share.count, "percent": round(100 * share.count / total, 1)}
        for share in shares
        if share.count and total
    ]


def _calls(period: Period) -> dict[str, Any]:
    made = Call.objects.filter(period.within("created_at"))
    latency = call_figures.latency(made)
    errors = call_figures.error_share(made)
    each = call_figures.cost_a_ticket(made)
    return {
        "calls": call_figures.count(made),
        "cost_usd": _dollars(call_figures.cost(made)),
        "cost_a_ticket_usd": _dollars(each) if each is not None else None,
        "tokens": call_figures.tokens(made).all,
        "latency_median_ms": round(latency.p50) if latency else None,
        "latency_p95_ms": round(latency.p95) if latency else None,
        "error_percent": round(100 * errors, 1) if errors is not None else None,
    }


def _dollars(amount: Decimal) -> float:
    return float(round(amount, 6))


def _ask(reckoned: Mapping[str, Any]) -> tuple[AskedModel | None, str]:
    """The model's telling, or None and why there is none."""
    if not calls.configured():
        return None, ""
    prompt = load("summary")
    question = Question(
        operation="summary",
        system=prompt.text,
        user=fenced("figures", json.dumps(reckoned, indent=1, ensure_ascii=False)),
        prompt_version=prompt.version,
        max_tokens=settings.TRIAGE_MAX_TOKENS["summary"],
        subject_kind="summary",
        subject_id=timezone.now().strftime("%Y%m%dT%H%M%S"),
    )
    try:
        answer = async_to_sync(calls.ask)(question)
    except NoAnswer as why:
        return None, f"The model gave no answer ({why}), so a template told it."
    if not answer.text.strip() or answer.stop_reason == "max_tokens":
        return None, "The model's answer was cut short, so a template told it."
    return answer, ""


def unmatched(text: str, reckoned: Mapping[str, Any]) -> list[str]:
    """The numbers of `text`, as written, that no figure bears out at the precision they are written with.

    Numbers inside words (P1, 2FA) are names, not figures. Numbers spelled in letters are not looked at.
    """
    known = set(_numbers_of(reckoned))
    found = dict.fromkeys(match.group().rstrip(",") for match in _number.finditer(text))
    return [number for number in found if not _borne_out(number, known)]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a summary's text; `doubtful` where it is a number that no figure bears out."""

    text: str
    doubtful: bool


def paragraphs(summary: Summary) -> list[list[Piece]]:
    """The text of a summary by paragraph, in pieces, for a page to mark the doubtful numbers in."""
    doubtful = set(summary.unmatched)
    return [
        [Piece(piece, piece.rstrip(",") in doubtful) for piece in _pieces(paragraph)]
        for paragraph in re.split(r"\n\s*\n", summary.text.strip())
    ]


def _pieces(text: str) -> Iterator[str]:
    at = 0
    for match in _number.finditer(text):
        yield from filter(None, (text[at : match.start()], match.group()))
        at = match.end()
    if at < len(text):
        yield text[at:]


def _borne_out(number: str, known: set[float]) -> bool:
    plain = number.replace(",", "")
    places = len(plain.partition(".")[2])
    return any(abs(round(abs(value), places) - float(plain)) < 1e-9 for value in known)


def _numbers_of(value: Any) -> Iterator[float]:
    """Every number in the figures, those inside their texts too (dates, a tag like `error 502`)."""
    if isinstance(value, Mapping):
        for member in value.values():
            yield from _numbers_of(member)
    elif isinstance(value, list):
        for member in value:
            yield from _numbers_of(member)
    elif isinstance(value, str):
        yield from (float(found) for found in re.findall(r"\d+(?:\.\d+)?", value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
