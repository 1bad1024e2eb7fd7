"""What mail servers report of mails that the desk sent: it did not arrive, or it is late."""

from __future__ import annotations

import re
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.utils import timezone

from tickets.actions.notifying import notify
from tickets.channels.email.kinds import Bounce
from tickets.live import announce
from tickets.models import Acknowledgement, Delivery, DeliveryAttempt, Mailing, Ticket

log = structlog.get_logger(__name__)
_NEWS = re.compile(r"^news-(\d{1,17})\.(\d{1,12})@")
LATE = ("delayed",)
State, Outcome = Delivery.State, DeliveryAttempt.Outcome


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report was about, as far as it is ours."""

    known: bool
    ticket: Ticket | None = None
    delivery: Delivery | None = None
    sentence: str = ""


def take_report(bounce: Bounce) -> Reported:
    """Write down at the reply, receipt or notification what became of it. Reports of mails of others change nothing."""
    identities = list(bounce.message_ids)
    delivery = Delivery.objects.filter(message__message_id__in=identities).select_related("ticket").first()
    if delivery is not None:
        return _of_delivery(delivery.pk, bounce)
    receipt = Acknowledgement.objects.filter(identity__in=identities).select_related("ticket").first()
    if receipt is not None:
        if bounce.action == "failed":
            Acknowledgement.objects.filter(pk=receipt.pk, state__in=("sent", "unknown")).update(
                state="failed", sent_at=None, error=_sentence(bounce)
            )
        return Reported(True, receipt.ticket, sentence=_sentence(bounce))
    for identity in identities:
        if found := _NEWS.match(identity):
            sent = Mailing.objects.filter(pk=int(found[1]), state__in=("sent", "unknown"))
            if bounce.action == "failed":
                sent.update(state="failed", sent_at=None, error=_sentence(bounce))
            return Reported(True, sentence=_sentence(bounce))
    return Reported(False, sentence="It reports a mail that did not leave this desk.")


def _of_delivery(pk: int, bounce: Bounce) -> Reported:
    sentence = _sentence(bounce)
    with transaction.atomic():
        number = Delivery.objects.values_list("ticket_id", flat=True).get(pk=pk)
        ticket = Ticket.everything.select_for_update(of=("self",)).select_related("assignee").get(pk=number)
        delivery = Delivery.objects.select_for_update(of=("self",)).select_related("message__author").get(pk=pk)
        of_copy = bool(bounce.recipient) and bounce.recipient in delivery.cc
        if bounce.action == "failed" and not of_copy and delivery.state in (State.SENT, State.UNKNOWN):
            delivery.state, delivery.sent_at, delivery.error = State.FAILED, None, sentence
            delivery.save(update_fields=["state", "sent_at", "error"])
            _note_attempt(delivery, sentence)
            people = [one for one in (delivery.message.author, ticket.assignee) if one]
            notify(kind="undelivered", ticket=ticket, to=people, text=sentence)
        elif bounce.action in ("failed", *LATE):
            delivery.note = sentence[:500]
            delivery.save(update_fields=["note"])
            _note_attempt(delivery, sentence)
        announce(ticket, "reply")
    log.info("delivery_reported", delivery=delivery.pk, ticket=ticket.pk, action=bounce.action, state=delivery.state)
    return Reported(True, ticket, delivery, sentence)


def _note_attempt(delivery: Delivery, sentence: str) -> None:
    DeliveryAttempt.objects.create(
        delivery=delivery, outcome=Outcome.RETURNED, detail=sentence, finished_at=timezone.now()
    )


def _sentence(bounce: Bounce) -> str:
    whom = f" for {bounce.recipient}" if bounce.recipient else ""
    said = f": {bounce.detail.rstrip('.')}." if bounce.detail else "."
    if bounce.action in LATE:
        return f"The mail server{whom} is still trying{said}"
    if bounce.action != "failed":
        return f"The mail server reports that it is {bounce.action}{whom}{said}"
    if bounce.permanent:
        return f"It came back from the mail server{whom}{said}"
    return f"The mail server{whom} tried for long and gave up; sending again may help{said}"
