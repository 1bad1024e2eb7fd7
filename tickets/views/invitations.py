"""Inviting a colleague, and what the invited person sees behind the link."""

from __future__ import annotations

import smtplib

import structlog
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django.conf import settings
from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.core.mail import EmailMessage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from tickets.actions import inviting
from tickets.actions.errors import Refused
from tickets.models import Invitation
from tickets.views.frame import person
from tickets.views.people import people_page, require_overseer, teams_of

log = structlog.get_logger(__name__)


@require_POST
@login_required
def invite(request: HttpRequest) -> HttpResponse:
    """Mail the link; where no mail server is set up, or it refuses, show it once to be handed over."""
    require_overseer(request)
    email, role = request.POST.get("email", ""), request.POST.get("role", "")
    try:
        invitation = inviting.invite(email=email, role=role, teams=teams_of(request), by=person(request))
    except Refused as refused:
        return people_page(request, refused, given=email)
    mailed = _mail(invitation)
    if mailed and "file" not in settings.EMAIL_BACKEND:
        toasts.success(request, f"{invitation.email} is invited, by mail. The link holds for a week.")
        return HttpResponseRedirect(reverse("tickets:people"))
    return people_page(request, made=invitation, mailed=mailed)


@require_POST
@login_required
def revocation(request: HttpRequest, pk: int) -> HttpResponse:
    require_overseer(request)
    try:
        inviting.revoke(invitation=get_object_or_404(Invitation, pk=pk), by=person(request))
    except Refused as refused:
        return people_page(request, refused)
    toasts.success(request, "Taken back. The link opens nothing any more.")
    return HttpResponseRedirect(reverse("tickets:people"))


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest, signed: str) -> HttpResponse:
    """The page behind the link. It tells a visitor with a forged or spent one no more than that it is."""
    invitation = Invitation.of(signed)
    if invitation is None or not invitation.is_pending:
        return render(request, "entrance/invitation_ended.html", status=404 if invitation is None else 410)
    if request.user.is_authenticated:
        return render(request, "entrance/invitation_other.html", {"invitation": invitation}, status=409)
    context = {"invitation": invitation, "proposed": invitation.email.partition("@")[0], "given": request.POST}
    if request.method != "POST":
        return render(request, "entrance/invitation.html", context)
    try:
        user = inviting.accept(
            invitation=invitation,
            username=request.POST.get("username", ""),
            first_name=request.POST.get("first_name", ""),
            last_name=request.POST.get("last_name", ""),
            password=request.POST.get("password", ""),
        )
    except Refused as refused:
        return render(request, "entrance/invitation.html", {**context, "refused": refused}, status=422)
    record_authentication(request, user, method="password", username=user.username)
    response: HttpResponse = perform_login(request, Login(user=user))
    return response


def _mail(invitation: Invitation) -> bool:
    """Whether the mail server took the mail."""
    context = {"invitation": invitation, "by": invitation.invited_by, "link": invitation.link}
    text = render_to_string("mail/invitation.txt", context)
    try:
        EmailMessage("You are invited to the support desk", text, to=[invitation.email]).send()
    except (OSError, smtplib.SMTPException) as problem:
        log.warning("invitation_not_mailed", invitation=invitation.pk, error=type(problem).__name__)
        return False
    return True
