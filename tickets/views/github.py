"""GitHub: by which accounts the desk reaches it, what they reach, and which repositories are doors. For leads."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages as toasts
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from tickets.actions import github_accounts
from tickets.actions.errors import Refused
from tickets.actions.github_accounts import Credentials
from tickets.channels.github.browsing import PERMISSIONS, Listed, Reach, Sieve, reach_of
from tickets.channels.github.client import GithubError
from tickets.models import GithubAccount, GithubInstallation, GithubRepository, GithubSync, leads
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page

Way = GithubAccount.Way
LISTED = 200


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """GET: accounts and connected repositories. POST: connect a public repository by its address."""
    address, refused = request.POST.get("address", ""), None
    if request.method == "POST":
        try:
            made, secret = github_accounts.connect_by_address(address=address, by=person(request))
            return show_secret(request, made, secret)
        except Refused as why:
            refused = why
    return _page(request, refused, {"address": address})


def _page(request: HttpRequest, refused: Refused | None, given: dict[str, str]) -> HttpResponse:
    accounts = GithubAccount.objects.exclude(way=Way.PUBLIC)
    connected = Count("repositories", filter=Q(repositories__disconnected_at=None))
    context = {
        "accounts": accounts.annotate(connected=connected),
        "repositories": _repositories(),
        "refused": refused,
        "given": given,
        "may_change": leads(person(request)),
    }
    return settings_page(request, "settings/github.html", context, 422 if refused else 200)


def _repositories() -> QuerySet[GithubRepository]:
    latest = GithubSync.objects.filter(repository=OuterRef("pk")).order_by("-pk")
    repositories = GithubRepository.objects.select_related("account", "source").annotate(
        tickets=Count("issues"), sync_state=Subquery(latest.values("state")[:1])
    )
    return repositories.order_by("disconnected_at", "full_name")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def new_account(request: HttpRequest) -> HttpResponse:
    """Set up a token or an App (`way`)."""
    way = Way.APP if (request.POST.get("way") or request.GET.get("way")) == Way.APP else Way.TOKEN
    refused = None
    if request.method == "POST":
        try:
            made = github_accounts.keep_account(
                base_url=request.POST.get("base_url", ""), way=way, given=_credentials(request), by=person(request)
            )
            toasts.success(request, f"GitHub knows these credentials as {made.login}.")
            return HttpResponseRedirect(made.get_absolute_url())
        except Refused as why:
            refused = why
    context = {"way": way, "refused": refused, "given": request.POST, "address": webhook_address()}
    return settings_page(request, "settings/github_account_new.html", context, 422 if refused else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def account(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: browse what it reaches. POST: other credentials. Fragment for htmx: #repositories."""
    one = get_object_or_404(GithubAccount.objects.exclude(way=Way.PUBLIC), pk=pk)
    refused = None
    if request.method == "POST":
        try:
            github_accounts.keep_account(
                base_url="", way=Way(one.way), given=_credentials(request), by=person(request), account=one
            )
            toasts.success(request, "The new credentials are kept.")
            return HttpResponseRedirect(one.get_absolute_url())
        except Refused as why:
            refused = why
            one.refresh_from_db()
    return _browse(request, one, refused)


def _browse(request: HttpRequest, one: GithubAccount, refused: Refused | None, status: int = 422) -> HttpResponse:
    sieve = Sieve(*(request.GET.get(name, "").strip() for name in ("q", "owner", "permission", "connected")))
    trouble, reach = "", Reach((), (), cut=False)
    try:
        reach = reach_of(one, fresh="fresh" in request.GET)
    except GithubError as error:
        trouble = str(error)
    connected = {row.full_name.lower(): row for row in one.repositories.connected()}
    found = list(sieve.let_through(reach.repositories, set(connected)))
    rows: list[tuple[Listed, GithubRepository | None]] = [
        (listed, connected.get(listed.said.full_name.lower())) for listed in found[:LISTED]
    ]
    context: dict[str, Any] = {
        "account": one,
        "reach": reach,
        "rows": rows,
        "count": len(found),
        "sieve": sieve,
        "permissions": PERMISSIONS,
        "trouble": trouble,
        "refused": refused,
        "may_change": leads(person(request)),
    }
    template = "settings/github_account.html"
    fragment = request.headers.get("HX-Target") == "repositories"
    return settings_page(
        request, f"{template}#repositories" if fragment else template, context, status if refused else 200
    )


@require_POST
@never_cache
@leads_only
def removal(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget an account by which no repository goes."""
    one = get_object_or_404(GithubAccount.objects.exclude(way=Way.PUBLIC), pk=pk)
    try:
        github_accounts.remove_account(account=one, by=person(request))
    except Refused as why:
        return _browse(request, one, why, status=409)
    toasts.success(request, f"{one.name} is forgotten here. Take its token back on GitHub, too.")
    return HttpResponseRedirect(reverse("tickets:github"))


@require_POST
@never_cache
@leads_only
def connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Connect a repository that the account reaches (`repository`: owner/name)."""
    one = get_object_or_404(GithubAccount.objects.exclude(way=Way.PUBLIC), pk=pk)
    name = request.POST.get("repository", "").lower()
    try:
        listed = next((row for row in reach_of(one).repositories if row.said.full_name.lower() == name), None)
    except GithubError:
        listed = None
    if listed is None:
        toasts.error(request, "This account does not reach that repository.")
        return HttpResponseRedirect(one.get_absolute_url())
    installation = GithubInstallation.objects.filter(account=one, installation_id=listed.installation or 0).first()
    try:
        made, secret = github_accounts.connect(
            account=one,
            full_name=listed.said.full_name,
            by=person(request),
            said=listed.said,
            installation=installation,
        )
    except Refused as why:
        return _browse(request, one, why, status=409)
    return show_secret(request, made, secret)


def show_secret(request: HttpRequest, repository: GithubRepository, secret: str) -> HttpResponse:
    """What is to be done on GitHub now; the secret of the webhook is shown this once."""
    context = {"repository": repository, "secret": secret, "address": webhook_address()}
    return settings_page(request, "settings/github_secret.html", context)


def webhook_address() -> str:
    return f"{settings.BASE_URL}{reverse('tickets:github-webhook')}"


def _credentials(request: HttpRequest) -> Credentials:
    names = ("token", "app_id", "private_key", "webhook_secret")
    return Credentials(**{name: request.POST.get(name, "").replace("\x00", "") for name in names})
