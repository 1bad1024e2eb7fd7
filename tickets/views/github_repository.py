"""One repository: how far it is read, what may go back to it, what its webhook told. For leads; auditors look."""

from __future__ import annotations

from typing import Any

from django.contrib import messages as toasts
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from tickets.actions import github_accounts, github_events, github_syncs
from tickets.actions.errors import Refused
from tickets.actions.github_syncs import Size
from tickets.channels.github.client import GithubError
from tickets.models import GithubEvent, GithubRepository, GithubWriting, leads
from tickets.views.frame import person
from tickets.views.github import show_secret, webhook_address
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page
from triage.queue import ring

EVENTS = 20
OPTIONS = (
    ("write_comments", "Replies", "An approved reply is written below the issue as a comment."),
    ("write_labels", "Labels", "Category and priority, as far as somebody decided them or the machine is sure."),
    ("write_team_label", "Team label", "Which team has it."),
    ("write_state", "State", "A resolved ticket closes its issue, a reopened one opens it again."),
)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the repository. POST: what is taken from it and may go back."""
    repository = find(pk)
    if request.method != "POST":
        return _page(request, repository)
    minutes = request.POST.get("sync_minutes", "")
    try:
        github_accounts.choose(
            repository=repository,
            options={name: name in request.POST for name in github_accounts.OPTIONS},
            sync_minutes=int(minutes) if minutes.isascii() and minutes.isdigit() and len(minutes) < 8 else -1,
            by=person(request),
        )
    except Refused as why:
        return _page(request, find(pk), why=why)
    toasts.success(request, "Saved.")
    return HttpResponseRedirect(repository.get_absolute_url())


@require_safe
@never_cache
@leads_only
@vary_on_headers("HX-Request", "Accept")
def status(request: HttpRequest, pk: int) -> HttpResponse:
    """How the latest sync stands: a fragment for the page, JSON for whoever asks for that."""
    repository = find(pk)
    if request.headers.get("HX-Request") or not request.accepts("application/json") or request.accepts("text/html"):
        return render(request, "settings/_github_status.html", _standing(request, repository))
    latest = repository.syncs.first()
    return JsonResponse(
        {
            "repository": repository.full_name,
            "connected": repository.connected,
            "last_sync_at": repository.synced_at and repository.synced_at.isoformat(),
            "error": repository.error,
            **(latest.as_json() if latest else {"status": "never"}),
        }
    )


@require_POST
@never_cache
@leads_only
def sync(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin a sync; above a hundred issues, or a dollar, a person is asked first (`confirmed`)."""
    repository = find(pk)
    try:
        size = github_syncs.measure(repository)
        if size.estimate.asks and "confirmed" not in request.POST:
            return _standing_page(request, repository, size=size)
        github_syncs.begin(repository=repository, by=person(request), expected=size.issues)
    except GithubError as error:
        return _standing_page(request, repository, trouble=str(error))
    except Refused as why:
        return _standing_page(request, repository, trouble=why.sentence, status=why.status)
    return _standing_page(request, repository)


@require_POST
@never_cache
@leads_only
def cancellation(request: HttpRequest, pk: int) -> HttpResponse:
    repository = find(pk)
    try:
        github_syncs.cancel(repository=repository, by=person(request))
    except Refused as why:
        return _standing_page(request, repository, trouble=why.sentence, status=why.status)
    return _standing_page(request, find(pk))


@require_POST
@never_cache
@leads_only
def connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Disconnect, or (`connect`) open the door again, with another secret."""
    repository, by = find(pk), person(request)
    try:
        if "connect" in request.POST:
            made, secret = github_accounts.connect(
                account=repository.account,
                full_name=repository.full_name,
                by=by,
                installation=repository.installation,
            )
            return show_secret(request, made, secret)
        github_accounts.disconnect(repository=repository, by=by)
    except Refused as why:
        return _page(request, repository, why=why)
    toasts.success(request, f"{repository} is disconnected. Its tickets stay; connect it again whenever you like.")
    return HttpResponseRedirect(repository.get_absolute_url())


@require_POST
@never_cache
@leads_only
def secret(request: HttpRequest, pk: int) -> HttpResponse:
    """Another secret for its webhook, shown this once."""
    repository = find(pk)
    return show_secret(request, repository, github_accounts.renew_secret(repository=repository, by=person(request)))


@require_POST
@never_cache
@leads_only
def event_again(request: HttpRequest, pk: int, event: int) -> HttpResponse:
    """Work through a failed event once more."""
    repository = find(pk)
    github_accounts.require_lead(person(request))
    if github_events.run_again(event=get_object_or_404(GithubEvent, pk=event, repository=repository)):
        ring("interactive")
        toasts.success(request, "It is worked through again.")
    else:
        toasts.error(request, "It has not failed, or what GitHub sent is not kept any more.")
    return HttpResponseRedirect(f"{repository.get_absolute_url()}#events")


def find(pk: int) -> GithubRepository:
    related = ("account", "source", "installation__account")
    return get_object_or_404(GithubRepository.objects.select_related(*related), pk=pk)


def _standing(request: HttpRequest, repository: GithubRepository) -> dict[str, Any]:
    latest = repository.syncs.select_related("by").first()
    return {
        "repository": repository,
        "sync": latest,
        "earlier": repository.syncs.select_related("by")[1:6],
        "tickets": repository.issues.count(),
        "may_change": leads(person(request)),
    }


def _standing_page(
    request: HttpRequest,
    repository: GithubRepository,
    *,
    size: Size | None = None,
    trouble: str = "",
    status: int = 422,
) -> HttpResponse:
    """The fragment for htmx, else the whole page; with the question, or with what went wrong."""
    more: dict[str, Any] = {"size": size, "trouble": trouble}
    code = status if trouble else 200
    if request.headers.get("HX-Request"):
        return render(request, "settings/_github_status.html", _standing(request, repository) | more, status=code)
    if not size and not trouble:
        return HttpResponseRedirect(repository.get_absolute_url())
    return _page(request, repository, code=code, **more)


def _page(
    request: HttpRequest, repository: GithubRepository, *, why: Refused | None = None, code: int = 200, **more: Any
) -> HttpResponse:
    is_kept = ExpressionWrapper(~Q(payload=""), output_field=BooleanField())
    events = repository.events.select_related("ticket").annotate(is_kept=is_kept)
    writings = GithubWriting.objects.filter(issue__repository=repository)
    context = _standing(request, repository) | {
        "refused": why,
        "options": [(name, word, what, getattr(repository, name)) for name, word, what in OPTIONS],
        "events": events.defer("payload", "ticket__embedding")[:EVENTS],
        "unwritten": writings.filter(state=GithubWriting.State.FAILED).select_related("issue__repository")[:5],
        "address": webhook_address(),
        **more,
    }
    return settings_page(request, "settings/github_repository.html", context, status=why.status if why else code)
