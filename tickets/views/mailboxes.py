"""Mailboxes that the desk reads, and the receipts that it sends. For leads."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages as toasts
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets.actions import mailboxes
from tickets.actions.errors import Forbidden, Refused
from tickets.channels.email import webhooks
from tickets.channels.email.receipt import USUAL
from tickets.models import Mail, Mailbox, Source
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page

SHOWN = 20  # mails that were not taken, the latest
SECRETS = ("secret", "client_secret")
REFUSED = Q(source__mails__outcome__in=(Mail.Outcome.TOO_LARGE, Mail.Outcome.FAILED))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """GET: all of them, and the receipts of each source. POST: set one up."""
    if request.method == "POST":
        return _keep(request, None)
    rows = Mailbox.objects.select_related("source").annotate(refused=Count("source__mails", filter=REFUSED))
    context = {
        "mailboxes": rows,
        "now": timezone.now(),
        "sources": Source.objects.filter(kind__in=("email", "form")).order_by("kind", "name"),
        "usual": USUAL,
        "senders": [(name, f"{settings.BASE_URL}{address}") for name, address in webhooks.addresses()],
        "senders_open": webhooks.is_open(),
    }
    return settings_page(request, "settings/mailboxes.html", context)


@require_safe
@never_cache
@leads_only
def new(request: HttpRequest) -> HttpResponse:
    return _form(request, None, {})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One mailbox: its form, how its reading goes, and what was not taken. POST keeps what was changed."""
    mailbox = get_object_or_404(Mailbox.objects.select_related("source"), pk=pk)
    return _keep(request, mailbox) if request.method == "POST" else _form(request, mailbox, {})


@require_POST
@leads_only
def trial(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign in to it and look. Fragment: settings/_mailbox_trial.html, to htmx."""
    mailbox = get_object_or_404(Mailbox.objects.select_related("source"), pk=pk)
    tested = mailboxes.test(mailbox=mailbox, by=person(request))
    if request.headers.get("HX-Request"):
        return render(request, "settings/_mailbox_trial.html", {"tested": tested})
    (toasts.success if tested.works else toasts.error)(request, tested.sentence)
    return HttpResponseRedirect(mailbox.get_absolute_url())


@require_POST
@leads_only
def reading(request: HttpRequest, pk: int) -> HttpResponse:
    """Have it read now, with what could not be read before."""
    mailbox = get_object_or_404(Mailbox, pk=pk)
    mailboxes.read_soon(mailbox=mailbox, by=person(request))
    toasts.success(request, "It is being read. What came in is in the queue in a moment.")
    return HttpResponseRedirect(mailbox.get_absolute_url())


@require_POST
@leads_only
def state(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch its reading on or off."""
    mailbox, on = get_object_or_404(Mailbox, pk=pk), request.POST.get("active") == "on"
    mailboxes.switch(mailbox=mailbox, on=on, by=person(request))
    toasts.success(request, f"{mailbox.address} is {'read again' if on else 'not read any more'}.")
    return HttpResponseRedirect(mailbox.get_absolute_url())


@require_POST
@leads_only
def receipts(request: HttpRequest, pk: int) -> HttpResponse:
    """Whether a source sends receipts, and their words."""
    source = get_object_or_404(Source.objects.filter(kind__in=("email", "form")), pk=pk)
    on = "receipts" in request.POST
    mailboxes.acknowledge_at(source=source, on=on, text=request.POST.get("receipt_text", ""), by=person(request))
    toasts.success(request, f"\u201c{source.name}\u201d {'sends' if on else 'sends no'} receipts.")
    return HttpResponseRedirect(f"{reverse('tickets:mailboxes')}#receipts")


def _keep(request: HttpRequest, mailbox: Mailbox | None) -> HttpResponse:
    given = request.POST.dict()
    try:
        kept = mailboxes.keep(given=given, mailbox=mailbox, by=person(request))
    except Forbidden:
        raise
    except Refused as why:
        held = Mailbox.objects.select_related("source").filter(pk=mailbox.pk).first() if mailbox else None
        return _form(request, held, given, refused=why)
    toasts.success(request, f"{kept.address} is saved. It is read in a moment.")
    return HttpResponseRedirect(kept.get_absolute_url())


def _form(
    request: HttpRequest, mailbox: Mailbox | None, given: dict[str, str], *, refused: Refused | None = None
) -> HttpResponse:
    shown = mailbox or Mailbox(source=Source(kind="email"))
    held: dict[str, Any] = {name: getattr(shown, name) for name in (*mailboxes.TEXTS, *mailboxes.CHOICES)}
    held |= {"port": shown.port, "every": shown.every}
    held |= {name: getattr(shown.source, name) for name in ("name", "sender", "signature")}
    held |= {name: value for name, value in given.items() if name not in SECRETS}  # no secret goes back to a page
    context = {
        "mailbox": mailbox,
        "given": held,
        "refused": refused,
        "securities": Mailbox.Security.choices,
        "sign_ins": Mailbox.SignIn.choices,
        "afterwards": Mailbox.Afterwards.choices,
        "not_taken": _not_taken(mailbox) if mailbox else [],
        "now": timezone.now(),
    }
    return settings_page(request, "settings/mailbox.html", context, status=422 if refused else 200)


def _not_taken(mailbox: Mailbox) -> list[Mail]:
    refused = (Mail.Outcome.SKIPPED, Mail.Outcome.TOO_LARGE, Mail.Outcome.FAILED)
    mails = Mail.objects.filter(source=mailbox.source_id, outcome__in=refused).defer("text", "html")
    return list(mails.order_by("-pk")[:SHOWN])
