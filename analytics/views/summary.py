"""The one-click summary and the earlier ones."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from analytics import summary
from analytics.models import Summary
from analytics.period import PERIODS, WEEK
from analytics.views.staff import staff_only
from tickets.views.frame import person
from triage import calls

SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
def page(request: HttpRequest) -> HttpResponse:
    """GET: the latest summary and the list of earlier ones. POST: write one for `period`, then show it."""
    user = person(request)
    if request.method == "POST":
        period = PERIODS.get(request.POST.get("period", ""), WEEK)
        return redirect("analytics:earlier-summary", pk=summary.write(period, by=user).pk)
    latest = Summary.objects.visible_to(user).first()
    return _show(request, latest)


@require_safe
@staff_only
def earlier(request: HttpRequest, pk: int) -> HttpResponse:
    return _show(request, get_object_or_404(Summary.objects.visible_to(person(request)), pk=pk))


def _show(request: HttpRequest, shown: Summary | None) -> HttpResponse:
    kept = Summary.objects.visible_to(person(request)).select_related("by")
    context = {
        "shown": shown,
        "paragraphs": summary.paragraphs(shown) if shown else [],
        "kept": kept[:SHOWN],
        "periods": PERIODS.values(),
        "chosen": PERIODS.get(shown.period, WEEK) if shown else WEEK,
        "by_model": calls.configured(),
    }
    return render(request, "analytics/summary.html", context)
