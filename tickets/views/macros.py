"""Macros: made and changed in the settings, chosen beside the reply."""

from __future__ import annotations

from typing import Any

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets import variables
from tickets.actions import drafts, macros
from tickets.actions.errors import Refused
from tickets.actions.macros import Given
from tickets.actions.marking import mark_of
from tickets.actions.review import may_decide
from tickets.models import Macro, Priority, Team, Ticket
from tickets.views.choices import Choices
from tickets.views.frame import person
from tickets.views.saved_views import sharing
from tickets.views.settings import settings_page, shown_mark
from tickets.views.ticket import done, refused, seen
from triage.models import User

SHOWN = 30  # in the picker; the search finds the others


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """GET: those that this person may use. POST: make one."""
    if request.method == "POST":
        return _keep(request, None)
    user = person(request)
    listed = Macro.objects.of(user).select_related("owner", "team")
    rows = [(macro, macro.may_be_changed_by(user)) for macro in listed.active()]
    retired = [macro for macro in listed.filter(active=False) if macro.may_be_changed_by(user)]
    return settings_page(
        request, "settings/macros.html", {"rows": rows, "retired": retired, "may_make": may_decide(user)}
    )


@require_safe
@login_required
def new(request: HttpRequest) -> HttpResponse:
    return _form(request, None, Given("", ""))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One macro: its form; `retire` or `restore` it, or keep what was changed."""
    macro = get_object_or_404(Macro.objects.of(person(request)).select_related("team"), pk=pk)
    if request.method != "POST":
        return _form(request, macro, _given_of(macro), mark=mark_of(macro))
    if "retire" not in request.POST and "restore" not in request.POST:
        return _keep(request, macro)
    active = "restore" in request.POST
    try:
        macros.retire(macro=macro, by=person(request), active=active)
    except Refused as why:
        toasts.error(request, why.sentence)
    else:
        said = "can be chosen again" if active else "is retired. It can be brought back below"
        toasts.success(request, f"\u201c{macro.name}\u201d {said}.")
    return HttpResponseRedirect(reverse("tickets:macros"))


@require_POST
@login_required
def preview(request: HttpRequest) -> HttpResponse:
    """How a text reads, filled in. Fragment: settings/macro.html#preview."""
    return render(request, "settings/macro.html#preview", _previewed(request.POST.get("text", "")))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def picker(request: HttpRequest, number: int) -> HttpResponse:
    """The macros for a ticket, those that `find` finds. Fragment for htmx: _macro_list.html.

    POST: `put` a macro after what the editor holds (without JavaScript; with none named, keep the text and choose), or
    do what else the macro `used` does, whose text the browser has put in already.
    """
    ticket = seen(request, number)
    if request.method == "POST":
        return _put(request, ticket)
    user = person(request)
    find = request.GET.get("find", "").replace("\x00", "").strip()[:100]
    found = Macro.objects.of(user).active()
    if find:
        found = found.filter(Q(name__icontains=find) | Q(text__icontains=find))
    listed = [(macro, variables.filled(macro.text, ticket, user)) for macro in found[: SHOWN + 1]]
    context = {"ticket": ticket, "macros": listed[:SHOWN], "more": len(listed) > SHOWN, "find": find}
    template = "_macro_list.html" if request.headers.get("HX-Request") else "macros.html"
    return render(request, f"tickets/{template}", context)


def _put(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    by = person(request)
    draft = ticket.current_draft
    text, version = (draft.text, draft.version) if draft else ("", 0)
    if "text" in request.POST:
        text, version = request.POST["text"].replace("\r\n", "\n"), _number(request, "version")
    answers = _number(request, "answers") or None
    macro = _chosen(request, by)
    try:
        if macro is not None and "used" in request.POST:
            macros.use(ticket=ticket, macro=macro, by=by)
            return done(request, ticket, _said(macro))
        if macro is not None:
            macros.put(ticket=ticket, macro=macro, text=text, version=version, by=by, answers=answers)
            return done(request, ticket, _said(macro), also=["reply"])
        if text.strip():
            drafts.save(ticket=ticket, text=text, version=version, by=by, answers=answers)
    except Refused as why:
        return refused(request, ticket, why, typed=text)
    return HttpResponseRedirect(reverse("tickets:macro-picker", args=[ticket.number]))


def _chosen(request: HttpRequest, by: User) -> Macro | None:
    pk = _number(request, "used") or _number(request, "put")
    return get_object_or_404(Macro.objects.of(by).active(), pk=pk) if pk else None


def _number(request: HttpRequest, name: str) -> int:
    given = request.POST.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else 0


def _said(macro: Macro) -> str:
    parts = [f"\u201c{macro.name}\u201d is in the reply."]
    parts += [f"Tagged {', '.join(macro.tags)}."] if macro.tags else []
    parts += [f"Priority {macro.priority}."] if macro.priority else []
    parts += ["It asks for the ticket to stay open: send and keep open."] if macro.keep_open else []
    return " ".join(parts)


def _keep(request: HttpRequest, macro: Macro | None) -> HttpResponse:
    given, mark = _given(request.POST), mark_of(macro)
    try:
        kept = macros.keep(given=given, by=person(request), macro=macro, seen=request.POST.get("mark", ""))
    except Refused as why:
        return _form(request, macro, given, why, shown_mark(request, mark, why))
    toasts.success(request, f"\u201c{kept.name}\u201d is saved.")
    return HttpResponseRedirect(reverse("tickets:macros"))


def _form(
    request: HttpRequest, macro: Macro | None, given: Given, why: Refused | None = None, mark: str = ""
) -> HttpResponse:
    user = person(request)
    context = {
        "macro": macro,
        "given": given,
        "mark": mark,
        "scope": given.team.key if given.team else given.scope,
        "scopes": _scopes(user, given),
        "may_change": macro.may_be_changed_by(user) if macro else may_decide(user),
        "priorities": Priority.choices,
        "variables": variables.VARIABLES,
        "refused": why,
        **_previewed(given.text),
    }
    return settings_page(request, "settings/macro.html", context, status=422 if why else 200)


def _scopes(user: User, given: Given) -> list[tuple[str, str]]:
    scopes = [(str(Macro.Scope.OWN), "Mine alone"), *((str(key), word) for key, word in sharing(user, Choices.now()))]
    held = given.team.key if given.team else str(given.scope)
    word = given.team.name if given.team else "Everybody"
    return scopes if held in dict(scopes) else [*scopes, (held, word)]


def _previewed(text: str) -> dict[str, Any]:
    try:
        variables.check(text)
    except Refused as wrong:
        return {"wrong": wrong.sentence}
    read, bare = variables.example(text), variables.example(text, without=True)
    return {"read": read, "bare": bare if bare != read else ""}


def _given(form: QueryDict) -> Given:
    scope = form.get("scope", "own")
    team = Team.objects.filter(key=scope).first() if scope not in Macro.Scope.values else None
    kind = Macro.Scope.TEAM if team else Macro.Scope(scope) if scope in Macro.Scope.values else Macro.Scope.OWN
    return Given(
        name=form.get("name", ""),
        text=form.get("text", ""),
        scope=kind,
        team=team,
        tags=[tag for tag in form.get("tags", "").split(",") if tag.strip()],
        priority=form.get("priority", ""),
        keep_open="keep_open" in form,
    )


def _given_of(macro: Macro) -> Given:
    return Given(
        macro.name, macro.text, Macro.Scope(macro.scope), macro.team, macro.tags, macro.priority, macro.keep_open
    )
