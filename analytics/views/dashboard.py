from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from analytics import call_figures, charts, figures
from analytics.figures import Tickets
from analytics.period import FORTNIGHT, MONTH, WEEK, Period
from analytics.views.staff import staff_only
from tickets.models import Ticket
from tickets.views.frame import person
from triage.models import Call

CHOICES = {period.key: period for period in (WEEK, FORTNIGHT, MONTH)}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something only a person can do: how much of it there is, and where."""

    word: str
    count: int
    meaning: str
    query: str
    state: str
    icon: str


@require_safe
@staff_only
def page(request: HttpRequest) -> HttpResponse:
    period = CHOICES.get(request.GET.get("period", ""), FORTNIGHT)
    tickets = Ticket.objects.visible_to(person(request))
    context = {
        "period": period,
        "periods": CHOICES.values(),
        "waiting": what_waits(tickets),
        "tags": figures.recurring_tags(tickets, period),
        **cards(tickets, period),
        **drawings(tickets, period),
    }
    return render(request, "analytics/dashboard.html", context)


def what_waits(tickets: Tickets) -> list[Waiting]:
    return [
        Waiting(
            "To approve", figures.awaiting_approval(tickets), "Drafted replies nobody has sent",
            "needs=approval", "accent", "check-circle",
        ),
        Waiting(
            "Escalated", figures.escalated(tickets), "A person must look first",
            "status=escalated", "bad", "arrow-trending-up",
        ),
        Waiting(
            "Overdue", figures.overdue(tickets), "First answer is late",
            "needs=answer", "bad", "clock",
        ),
        Waiting(
            "Manual review", figures.undecided(tickets), "Nobody knew where these belong",
            "team=manual_review", "warn", "user",
        ),
        Waiting(
            "Not read", figures.failed(tickets), "Reading failed; run it again",
            "needs=reading", "bad", "exclamation-triangle",
        ),
        Waiting(
            "Not delivered", figures.undelivered(tickets), "Replies failed or of unknown fate",
            "needs=delivery", "bad", "envelope",
        ),
    ]  # fmt: skip


def cards(tickets: Tickets, period: Period) -> dict[str, Any]:
    calls = Call.objects.filter(period.within("created_at"))
    return {
        "open": figures.open_tickets(tickets),
        "reading": figures.reading(tickets),
        "new": figures.new_in(tickets, period),
        "resolved": figures.resolved_in(tickets, period),
        "replies": figures.replies_in(tickets, period),
        "median_reply": figures.median_first_reply(tickets, period),
        "alone": figures.decided_alone(tickets, period),
        "cost": call_figures.cost(calls),
        "cost_each": call_figures.cost_a_ticket(calls),
        "calls": call_figures.count(calls),
    }


def drawings(tickets: Tickets, period: Period) -> dict[str, Any]:
    now_open = tickets.open()
    categories = figures.by_category(now_open)
    priorities = figures.by_priority(now_open)
    teams = figures.by_team(now_open)
    return {
        "flow": charts.flow(figures.by_day(tickets, period), label_every=max(1, (period.days or 0) // 10)),
        "categories": charts.bars(categories, charts.category_title(categories)),
        "priorities": charts.bars(priorities, charts.priority_title(priorities)),
        "teams": charts.bars(teams, charts.team_title(teams)),
        "statuses": figures.by_status(tickets),
    }
