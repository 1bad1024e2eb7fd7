"""The call log: every request to a language model, newest first, with what it took and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from analytics import call_figures
from analytics.call_figures import Calls
from analytics.period import PERIODS, WEEK, Period
from analytics.standing import standing
from analytics.views.staff import staff_only
from tickets.models import Ticket
from tickets.views.frame import person
from triage import calls as model
from triage.models import Call, CallStatus, User

PAGE = 50
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the log is shown. Values nobody offers are taken as none."""

    period: Period
    operation: str
    status: str
    model: str
    ticket: str

    @classmethod
    def of(cls, request: HttpRequest) -> Filters:
        asked = {name: request.GET.get(name, "").replace("\0", "") for name in ("operation", "status", "model")}
        status = asked["status"] if asked["status"] in CallStatus.values else ""
        period = PERIODS.get(request.GET.get("period", ""), WEEK)
        ticket = request.GET.get("ticket", "").strip().removeprefix("#")
        known = ticket.isascii() and ticket.isdigit() and len(ticket) < 19
        return cls(period, asked["operation"][:20], status, asked["model"][:100], ticket if known else "")

    def apply(self) -> Calls:
        found = Call.objects.filter(self.period.within("created_at"))
        if self.operation:
            found = found.filter(operation=self.operation)
        if self.status:
            found = found.filter(status=self.status)
        if self.model:
            found = found.filter(Q(model_answered=self.model) | Q(model_answered="", model_asked=self.model))
        if self.ticket:
            found = found.filter(subject_kind="ticket", subject_id=self.ticket)
        return found

    @property
    def narrowed(self) -> bool:
        return bool(self.operation or self.status or self.model or self.ticket)

    @property
    def query(self) -> str:
        chosen = {"period": self.period.key} | {
            name: getattr(self, name) for name in ("operation", "status", "model", "ticket")
        }
        return urlencode({name: value for name, value in chosen.items() if value})


@require_safe
@staff_only
def page(request: HttpRequest) -> HttpResponse:
    filters = Filters.of(request)
    chosen = filters.apply()
    rows, older = one_page(chosen, request.GET.get("before", ""))
    context = {
        "filters": filters,
        "periods": PERIODS.values(),
        "rows": rows,
        "older": older,
        "paged": "before" in request.GET,
        "linked": seen_tickets(rows, person(request)),
        "configured": model.configured(),
        "standing": standing(),
        "any_call": bool(rows) or Call.objects.exists(),
        **choices(),
        **totals(chosen),
    }
    fragment = "#log" if request.headers.get("HX-Request") else ""
    return render(request, f"analytics/calls.html{fragment}", context)


def one_page(chosen: Calls, before: str) -> tuple[list[Call], str]:
    """The newest PAGE calls older than the mark `before`, and the mark of the page after it, "" at the end."""
    mark = _mark(before)
    if mark:
        at, number = mark
        chosen = chosen.filter(created_at__lte=at).filter(Q(created_at__lt=at) | Q(pk__lt=number))
    rows = list(chosen.newest_first()[: PAGE + 1])  # type: ignore[attr-defined]
    if len(rows) <= PAGE:
        return rows, ""
    last = rows[PAGE - 1]
    return rows[:PAGE], f"{last.created_at.isoformat()}_{last.pk}"


def _mark(text: str) -> tuple[datetime, int] | None:
    at, _, number = text.rpartition("_")
    try:
        when = parse_datetime(at)
    except ValueError:
        return None
    if when is None or when.tzinfo is None or not number.isdecimal() or len(number) > 19 or int(number) > LARGEST_ID:
        return None
    return when, int(number)


def seen_tickets(rows: list[Call], user: User) -> set[str]:
    """Of the tickets these calls were about, the numbers this person may open."""
    numbers = {row.subject_id for row in rows if row.subject_kind == "ticket" and row.subject_id.isdecimal()}
    visible = Ticket.objects.visible_to(user).filter(pk__in=[int(number) for number in numbers])
    return {str(number) for number in visible.values_list("number", flat=True)}


def choices() -> dict[str, Any]:
    asked = Call.objects.order_by()
    models = asked.exclude(model_answered="").values_list("model_answered", flat=True).distinct()
    failed = asked.filter(model_answered="").values_list("model_asked", flat=True).distinct()
    return {
        "operations": sorted(asked.values_list("operation", flat=True).distinct()),
        "statuses": CallStatus.choices,
        "models": sorted({*models, *failed}),
    }


def totals(chosen: Calls) -> dict[str, Any]:
    return {
        "count": call_figures.count(chosen),
        "cost": call_figures.cost(chosen),
        "cost_unknown": call_figures.cost_unknown(chosen),
        "cost_each": call_figures.cost_a_ticket(chosen),
        "tickets_read": call_figures.tickets_read(chosen),
        "tokens": call_figures.tokens(chosen),
        "latency": call_figures.latency(chosen),
        "errors": call_figures.errors(chosen),
        "error_share": call_figures.error_share(chosen),
        "by_operation": call_figures.by_operation(chosen),
    }
