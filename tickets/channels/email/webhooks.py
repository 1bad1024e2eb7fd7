"""Mail that a sending service hands over by webhook: django-anymail's views, which fail closed here.

A service is listened to once ANYMAIL_WEBHOOK_SECRET is set; each then brings that as basic authentication, and its own
signature where it has one. https://anymail.dev/en/stable/inbound/ has what to enter at the service.
"""

from __future__ import annotations

import importlib
from email.policy import compat32
from email.utils import parseaddr
from functools import cache
from typing import Any

import structlog
from anymail.exceptions import AnymailConfigurationError, AnymailWebhookValidationFailure
from anymail.signals import AnymailInboundEvent, AnymailTrackingEvent, inbound, tracking
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from tickets.actions.bouncing import take_report
from tickets.actions.receiving import refuse, take_in
from tickets.channels.email import headers, reading
from tickets.channels.email.kinds import Bounce
from tickets.models import Mail, Mailbox, Source

log = structlog.get_logger(__name__)
BODY_LIMIT = 70 * 1024 * 1024  # bytes of a request: a mail of 50 MB in base64
# {name in the address: (module, class of mails in, class of reports; none where a service has one class for both)}
SENDERS: dict[str, tuple[str, str, str]] = {
    "amazon-ses": ("amazon_ses", "AmazonSESInboundWebhookView", "AmazonSESTrackingWebhookView"),
    "brevo": ("brevo", "BrevoInboundWebhookView", "BrevoTrackingWebhookView"),
    "mailersend": ("mailersend", "MailerSendInboundWebhookView", "MailerSendTrackingWebhookView"),
    "mailgun": ("mailgun", "MailgunInboundWebhookView", "MailgunTrackingWebhookView"),
    "mailjet": ("mailjet", "MailjetInboundWebhookView", "MailjetTrackingWebhookView"),
    "mailtrap": ("mailtrap", "MailtrapInboundWebhookView", "MailtrapTrackingWebhookView"),
    "mandrill": ("mandrill", "MandrillCombinedWebhookView", "MandrillCombinedWebhookView"),
    "postal": ("postal", "PostalInboundWebhookView", "PostalTrackingWebhookView"),
    "postmark": ("postmark", "PostmarkInboundWebhookView", "PostmarkTrackingWebhookView"),
    "sendgrid": ("sendgrid", "SendGridInboundWebhookView", "SendGridTrackingWebhookView"),
    "sparkpost": ("sparkpost", "SparkPostInboundWebhookView", "SparkPostTrackingWebhookView"),
}
OF_A_REPORT = {"bounced": "failed", "rejected": "failed", "failed": "failed", "deferred": "delayed"}


def is_open() -> bool:
    """Whether webhooks are listened to at all."""
    return bool(settings.ANYMAIL.get("WEBHOOK_SECRET"))


def addresses() -> list[tuple[str, str]]:
    """(service, path) of where each hands mails over."""
    return [(name, reverse("tickets:mail-webhook", args=[name, "inbound"])) for name in SENDERS]


@csrf_exempt
@require_http_methods(["POST", "HEAD"])
def receive(request: HttpRequest, sender: str, what: str) -> HttpResponseBase:
    """`inbound` mails or `tracking` reports of a service. 404: no secret is set, 400: it or the signature is wrong."""
    if sender not in SENDERS or not is_open():
        raise Http404
    if request.method == "HEAD":  # some look whether anybody is there
        return HttpResponse()
    _read_whole(request)
    try:
        answer: HttpResponseBase = _view(sender, what)(request)
    except AnymailWebhookValidationFailure as error:
        log.warning("mail_webhook_refused", sender=sender, error=str(error)[:200])
        return HttpResponse("The signature or the secret is wrong.", status=400, content_type="text/plain")
    except (AnymailConfigurationError, ImproperlyConfigured) as error:
        log.error("mail_webhook_not_set_up", sender=sender, error=str(error)[:300])
        return HttpResponse("This service is not set up.", status=404, content_type="text/plain")
    except (KeyError, ValueError, TypeError, AttributeError, UnicodeError) as error:
        log.warning("mail_webhook_unreadable", sender=sender, error=type(error).__name__)
        return HttpResponse("This could not be read.", status=400, content_type="text/plain")
    return answer


def take_inbound(*, event: AnymailInboundEvent, esp_name: str, **_: Any) -> None:
    """A mail that was handed over. An error here is the service's sign to try again (500)."""
    try:
        _take(event, esp_name)
    except SuspiciousOperation:
        raise
    except Exception as error:
        raise RuntimeError("the mail could not be stored") from error


def _take(event: AnymailInboundEvent, service: str) -> None:
    raw = event.message.as_bytes(policy=compat32.clone(cte_type="8bit"))
    recipients = [person.email for person in headers.people(event.message, "Delivered-To", "To", "Cc")]
    envelope = headers.person_of(str(event.message.envelope_recipient or ""))
    source = _source([*([envelope.email] if envelope else []), *recipients], service)
    if len(raw) > reading.SIZE_LIMIT:
        head = reading.read_head(raw[:1_000_000], len(raw))
        refuse(head, source=source, outcome=Mail.Outcome.TOO_LARGE)
        return
    mail = reading.read(raw)
    if not (mail.sender or mail.subject or mail.text.strip() or mail.files):
        raise SuspiciousOperation("this is no mail")
    take_in(mail, source=source)


def take_tracking(*, event: AnymailTrackingEvent, **_: Any) -> None:
    """What a service reports of a mail that it sent for the desk."""
    action = OF_A_REPORT.get(str(event.event_type))
    identities = headers.identities([str(event.message_id or "")])
    if action and identities:
        said = str(event.mta_response or event.description or event.reject_reason or "")[:500]
        take_report(Bounce(action, action == "failed", str(event.recipient or ""), said, tuple(identities)))


inbound.connect(take_inbound, weak=False, dispatch_uid="tickets.channels.email.inbound")
tracking.connect(take_tracking, weak=False, dispatch_uid="tickets.channels.email.tracking")


@cache
def _view(sender: str, what: str) -> Any:
    """The view of a service; those whose packages are not installed are not set up."""
    module, mails, reports = SENDERS[sender]
    try:
        found = importlib.import_module(f"anymail.webhooks.{module}")
    except ImportError as error:
        raise ImproperlyConfigured(str(error)) from error
    return getattr(found, mails if what == "inbound" else reports).as_view()


def _read_whole(request: HttpRequest) -> None:
    """Read a body that is larger than forms may be: JSON with attachments in it. Raises RequestDataTooBig.

    Files of a form are not held in memory by Django, and are left to it.
    """
    if int(request.META.get("CONTENT_LENGTH") or 0) > BODY_LIMIT:
        raise RequestDataTooBig("A mail may have 50 MB.")
    if not str(request.content_type).startswith("multipart/"):
        body = request.read(BODY_LIMIT + 1)
        if len(body) > BODY_LIMIT:
            raise RequestDataTooBig("A mail may have 50 MB.")
        request._body = body  # where Django keeps what it has read


def _source(recipients: list[str], service: str) -> Source:
    """Whose mail it is: of the source that sends from one of these addresses or reads it, else of the service's own."""
    for recipient in recipients:
        mailbox = Mailbox.objects.filter(address__iexact=recipient).select_related("source").first()
        if mailbox is not None:
            return mailbox.source
        named = Source.objects.filter(kind="email", sender__icontains=recipient).order_by("pk")
        sender = next((one for one in named if parseaddr(one.sender)[1].lower() == recipient.lower()), None)
        if sender is not None:
            return sender
    source, _ = Source.objects.get_or_create(name=f"Mail by {service}", defaults={"kind": "email"})
    return source
