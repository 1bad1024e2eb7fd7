"""Files of other systems: uploaded, looked at, imported in the background. For leads; auditors look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from tickets.actions import imports
from tickets.actions.errors import Conflict, Invalid, Refused
from tickets.cells import lines, neutral, neutral_json
from tickets.channels.file.formats import key_of
from tickets.channels.file.layout import DELIMITERS, ENCODINGS
from tickets.channels.file.rows import FIELDS, FORMATS, Layout
from tickets.models import ImportRefusal, ImportRun, Priority, Source, Status, leads
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page
from tickets.views.streaming import streamed
from triage.models import User

LISTED = 50
SHOWN = 20  # refused rows on the page
PAGE = 500
DATES = (("", "Only dates like 2026-01-31"), ("day", "Day first: 31/1/2026"), ("month", "Month first: 1/31/2026"))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """GET: all of them, newest first. POST: upload a file (`file`); it is imported once it was looked at."""
    refused = None
    if request.method == "POST":
        given = request.FILES.get("file")
        try:
            if given is None:
                raise Invalid("no_file", "Choose a file first.", field="file")
            run = imports.upload(name=given.name or "", content=given, by=person(request))
            return HttpResponseRedirect(run.get_absolute_url())
        except Refused as why:
            refused = why
    runs = ImportRun.objects.select_related("source", "by")[:LISTED]
    systems = [one.label for one in FORMATS.values() if one.marks]
    context = {"runs": runs, "refused": refused, "systems": systems, "may_change": leads(person(request))}
    return settings_page(request, "settings/imports.html", context, refused.status if refused else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
@vary_on_headers("HX-Request")
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One import. POST: read its file as the form says (before its start). Fragment: settings/_import_standing.html."""
    run = _find(pk)
    if request.headers.get("HX-Request") and request.method != "POST":
        return render(request, "settings/_import_standing.html", _standing(request, run))
    if request.method == "POST":
        try:
            _read_as(request, run)
            return HttpResponseRedirect(f"{run.get_absolute_url()}#columns")
        except Refused as why:
            return _page(request, _find(pk), why)
    return _page(request, run)


@require_POST
@never_cache
@leads_only
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """Import it as the form says."""

    def begin(*, run: ImportRun, by: User) -> ImportRun:
        return imports.start(run=_read_as(request, run), by=by)

    return _act(request, pk, begin)


@require_POST
@never_cache
@leads_only
def cancellation(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, imports.stop)


@require_POST
@never_cache
@leads_only
def continuation(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, imports.go_on)


@require_POST
@never_cache
@leads_only
def removal(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a file that was not started."""
    run = _find(pk)
    try:
        imports.discard(run=run, by=person(request))
    except Refused as why:
        return _page(request, run, why)
    toasts.success(request, f"{run.label} is not kept.")
    return HttpResponseRedirect(reverse("tickets:imports"))


@require_safe
@never_cache
@leads_only
def refusals(request: HttpRequest, pk: int) -> HttpResponse:
    """The refused rows as CSV: number, reason, and the row as it was."""
    run = _find(pk)
    response = streamed(request, _refused_rows(run), content_type="text/csv; charset=utf-8")
    name = f"{run.label.rpartition('.')[0] or run.label}-refused.csv"
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return response


def _refused_rows(run: ImportRun) -> Iterator[bytes]:
    last = -1
    yield "\ufeff".encode() + lines([("row", "reason", "content")])
    while rows := list(ImportRefusal.objects.filter(run=run, number__gt=last)[:PAGE]):
        yield lines((row.number, neutral(row.reason), neutral_json(row.content)) for row in rows)
        last = rows[-1].number


def _find(pk: int) -> ImportRun:
    return get_object_or_404(ImportRun.objects.select_related("source", "by"), pk=pk)


def _read_as(request: HttpRequest, run: ImportRun) -> ImportRun:
    if run.state != ImportRun.State.DRAFT:
        raise Conflict("started", "This import was started already.")
    given = {name: value.replace("\x00", "") for name, value in request.POST.items() if isinstance(value, str)}
    choice = imports.choice_of(given, Layout.of(run.layout))
    return imports.read_as(run=run, choice=choice, source_name=given.get("source", ""), by=person(request))


def _act(request: HttpRequest, pk: int, deed: Callable[..., ImportRun]) -> HttpResponse:
    run = _find(pk)
    try:
        run = deed(run=run, by=person(request))
    except Refused as why:
        if request.headers.get("HX-Request"):
            context = _standing(request, _find(pk)) | {"refused": why}
            return render(request, "settings/_import_standing.html", context, status=why.status)
        return _page(request, _find(pk), why)
    if request.headers.get("HX-Request"):
        return render(request, "settings/_import_standing.html", _standing(request, run))
    return HttpResponseRedirect(run.get_absolute_url())


def _standing(request: HttpRequest, run: ImportRun) -> dict[str, Any]:
    return {
        "run": run,
        "refusals": run.refusals.defer("content")[:SHOWN] if run.refused else (),
        "more_refused": max(0, run.refused - SHOWN),
        "refused_days": settings.IMPORT_REFUSED_DAYS,
        "refused_kept": run.refusals.exclude(content="").exists() if run.refused else False,
        "may_change": leads(person(request)),
    }


def _page(request: HttpRequest, run: ImportRun, refused: Refused | None = None) -> HttpResponse:
    context = _standing(request, run) | {"refused": refused}
    if run.state == ImportRun.State.DRAFT:
        context |= _looked_at(run)
    return settings_page(request, "settings/import.html", context, refused.status if refused else 200)


def _looked_at(run: ImportRun) -> dict[str, Any]:
    """What was found out about a file, and what its first rows become."""
    layout, rows, trouble = Layout.of(run.layout), [], ""
    try:
        rows = imports.sample(run)
    except Invalid as why:
        trouble = why.sentence
    columns = [(column, key_of(column)) for column in layout.header]
    statuses, priorities = dict(Status.choices), dict(Priority.choices)
    return {
        "layout": layout,
        "kind": {"csv": "CSV", "jsonl": "JSON Lines", "json": "JSON"}[layout.kind],
        "trouble": trouble or layout.trouble(),
        "formats": [(one.key, one.label) for one in FORMATS.values()],
        "delimiters": DELIMITERS.items(),
        "encodings": _encodings(layout.encoding),
        "dates": DATES,
        "dates_now": {True: "day", False: "month"}.get(layout.day_first, "") if layout.day_first is not None else "",
        "fields": [(name, word, columns, _key_in(layout, name, columns)) for name, word in FIELDS.items()],
        "sources": Source.objects.filter(kind="file").values_list("name", flat=True)[:200],
        "sample": [
            (row, statuses.get(row.past.status, ""), priorities.get(row.inbound.priority or "", ""))
            if row.inbound
            else (row, "", "")
            for row in rows
        ],
    }


def _encodings(now: str) -> list[tuple[str, str]]:
    """The one in force first, where it is none of those that are offered anyway."""
    others = {key: word for key, word in ENCODINGS.items() if now != "utf-8" or key != "utf-8-sig"}
    own = {"utf-8": "UTF-8", "latin-1": "Western (ISO 8859-1)"}.get(now, now.upper())
    return list(({} if now in others else {now: own}).items()) + list(others.items())


def _key_in(layout: Layout, name: str, columns: list[tuple[str, str]]) -> str:
    there = {key for _, key in columns}
    return next((key for key in layout.columns.get(name, ()) if key in there), "")
