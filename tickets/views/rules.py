"""Rules: their list, the form they are written in and tried from, and the log of what they did. For leads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages as toasts
from django.core.paginator import Paginator
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from pydantic import ValidationError

from tickets.actions import rules
from tickets.actions.errors import Invalid, Refused
from tickets.models import Rule, RuleCause, RuleFiring, Ticket
from tickets.rules.facts import FACTS
from tickets.rules.words import condition_words, when_words
from tickets.trial import trial
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.rule_form import RuleForm, Shower, choices_of
from tickets.views.settings import settings_page

PAGE = 50


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """GET: all rules in their order. POST: make one, or take the `step` of the form."""
    if request.method == "POST":
        return _written(request, None)
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    fired = Count("firings", filter=Q(firings__created_at__gte=today, firings__state="done"))
    listed = Rule.objects.annotate(fired=fired, last=Max("firings__created_at"))
    names = Shower().names()
    context = {
        "rows": [_row(rule, names) for rule in listed.filter(retired=False)],
        "retired": listed.filter(retired=True),
        "failed": RuleCause.objects.filter(state="failed").count(),
    }
    return settings_page(request, "settings/rules.html", context)


def _row(rule: Any, names: Any) -> dict[str, Any]:
    try:
        said = rule.said
    except ValidationError:
        return {"rule": rule, "when": "This rule is not understood any more. Save it anew.", "conditions": ""}
    return {"rule": rule, "when": when_words(said), "conditions": condition_words(said, names)}


@require_safe
@leads_only
def new(request: HttpRequest) -> HttpResponse:
    return _form(request, None, RuleForm.empty())


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One rule: its form, tried at once with `try` in the address; POST keeps it, or takes the `step` of the form."""
    rule = get_object_or_404(Rule, pk=pk)
    if request.method == "POST":
        return _written(request, rule)
    return _form(request, rule, RuleForm.of_rule(rule), tried="try" in request.GET)


@require_POST
@leads_only
def state(request: HttpRequest, pk: int) -> HttpResponse:
    """`active` on or off, `move` up or down, `retired` yes or no."""
    rule, by = get_object_or_404(Rule, pk=pk), person(request)
    try:
        if "active" in request.POST:
            on = request.POST["active"] == "on"
            rules.switch(rule=rule, active=on, by=by)
            toasts.success(request, f"\u201c{rule.name}\u201d is {'in force from now on' if on else 'switched off'}.")
        elif "retired" in request.POST:
            gone = request.POST["retired"] == "yes"
            rules.retire(rule=rule, retired=gone, by=by)
            said = "is retired. It can be brought back below" if gone else "is back, and switched off"
            toasts.success(request, f"\u201c{rule.name}\u201d {said}.")
        elif "move" in request.POST:
            rules.move(rule=rule, up=request.POST["move"] == "up", by=by)
    except Refused as why:
        toasts.error(request, why.sentence)
    return HttpResponseRedirect(reverse("tickets:rules"))


@require_safe
@never_cache
@leads_only
def firings(request: HttpRequest) -> HttpResponse:
    """What rules did, newest first; of one rule with `rule`, of one ticket with `ticket`."""
    listed = RuleFiring.objects.filter(ticket__in=Ticket.objects.visible_to(person(request))).select_related(
        "rule", "cause", "ticket"
    )
    rule = _number(request, "rule")
    ticket = _number(request, "ticket")
    if rule:
        listed = listed.filter(rule=rule)
    if ticket:
        listed = listed.filter(ticket=ticket)
    pages = Paginator(listed.defer("ticket__embedding", "ticket__raw"), PAGE)
    context = {
        "firings": pages.get_page(request.GET.get("page", "1")),
        "of": Rule.objects.filter(pk=rule).first() if rule else None,
        "address": f"rule={rule or ''}&ticket={ticket or ''}",
        "failed": RuleCause.objects.filter(state="failed", created_at__gt=timezone.now() - timedelta(days=7))[:20],
    }
    return settings_page(request, "settings/firings.html", context)


def _written(request: HttpRequest, rule: Rule | None) -> HttpResponse:
    form = RuleForm.of(request.POST)
    step = request.POST.get("step", "save")
    if step != "save":
        return _form(request, rule, form, tried=step == "try")
    try:
        kept = rules.keep(name=form.name, said=form.said, by=person(request), rule=rule, version=form.version)
    except Refused as why:
        return _form(request, rule, form, why=why)
    then = "" if kept.active else " It does nothing until it is switched on."
    toasts.success(request, f"\u201c{kept.name}\u201d is saved.{then}")
    return HttpResponseRedirect(reverse("tickets:rules"))


def _form(
    request: HttpRequest, rule: Rule | None, form: RuleForm, *, why: Refused | None = None, tried: bool = False
) -> HttpResponse:
    """Fragment for htmx: settings/rule.html#rule-form."""
    context: dict[str, Any] = {"rule": rule, "form": form, **choices_of(form)}
    if tried:
        try:
            found = trial(rules.specified(form.said), person(request))
            context |= {"tried": found, "passed_over": [FACTS[one].word for one in found.passed_over]}
        except Invalid as wrong:
            why = wrong
    shower = Shower()
    wrong_at = why.field if why else ""
    context |= {"refused": why, "conditions": shower.conditions(form, wrong_at), "deeds": shower.deeds(form, wrong_at)}
    if request.headers.get("HX-Request"):
        return render(request, "settings/rule.html#rule-form", context)
    return settings_page(request, "settings/rule.html", context, status=422 if why else 200)


def _number(request: HttpRequest, name: str) -> int | None:
    given = request.GET.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 18 else None
