"""Telling people what is new for them: at the desk, and by mail as each likes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from tickets.actions.errors import Invalid
from tickets.colleagues import leads_of
from tickets.models import Habits, Lane, Mailing, Notification, NotificationChoice, Ticket
from triage.models import User
from triage.notify import publish
from triage.queue import ring

TEXT_LIMIT = 300
How = NotificationChoice.How


def notify(*, kind: str, ticket: Ticket, to: Iterable[User], by: User | None = None, text: str = "") -> None:
    """Tell these people of something about a ticket, each as they like to hear of this kind.

    Nobody is told of what they did themselves (`by`), nor whoever is inactive or may not see the ticket. The same
    kind for the same ticket that is still unread is renewed, not doubled. Raises ValueError for an unknown kind.
    """
    kind = Notification.Kind(kind)
    keys = {person.pk for person in to} - {by.pk if by else None}
    people = User.objects.filter(pk__in=keys, is_active=True).order_by("pk") if keys else User.objects.none()
    choices = dict(NotificationChoice.objects.filter(user__in=keys, kind=kind).values_list("user_id", "how"))
    said = {"by": by, "text": text.replace("\x00", "")[:TEXT_LIMIT], "created_at": timezone.now()}
    with transaction.atomic():
        for person in people:
            how = choices.get(person.pk, How.DESK)
            if how != How.NONE and Ticket.objects.visible_to(person).filter(pk=ticket.pk).exists():
                _tell(person, how, kind, ticket, said)


def tell_leads(*, ticket: Ticket, by: User | None = None, text: str = "") -> None:
    """The ticket has been escalated: those who lead its team should know. Not of a history that is imported."""
    if ticket.lane != Lane.IMPORTED:
        text = text or ticket.escalation_reason
        notify(kind="escalated", ticket=ticket, to=leads_of(ticket.team), by=by, text=text)


def tell_assignee(*, kind: str, ticket: Ticket, by: User | None = None, text: str = "") -> None:
    if ticket.assignee:
        notify(kind=kind, ticket=ticket, to=[ticket.assignee], by=by, text=text)


def read(*, user: User, ticket: Ticket | None = None, pk: int | None = None) -> int:
    """Mark what is unread as read: of one ticket, one of them, or all. Returns how many were."""
    unread = Notification.objects.filter(user=user).unread()
    if ticket is not None:
        unread = unread.filter(ticket=ticket)
    if pk is not None:
        unread = unread.filter(pk=pk)
    count = unread.update(read_at=timezone.now())
    if count:
        _ring_bell(user)
    return count


def choose(*, user: User, given: Mapping[str, str]) -> None:
    """Keep how a person likes to hear of each kind (by its name), and when and with what their mails come.

    `given` holds words as a form sends them: "mention": "mail", "digest_hour": "8", "time_zone": "Europe/Rome",
    "quoted" where mails may hold what was written. Raises Invalid naming the field.
    """
    chosen = {kind: given.get(kind, How.DESK) for kind in Notification.Kind.values}
    for kind, how in chosen.items():
        if how not in How.values:
            raise Invalid("not_a_choice", "Choose how you want to hear of it.", field=kind)
    hour = given.get("digest_hour", "8")
    habits = Habits.of(user)
    habits.time_zone, habits.quoted = given.get("time_zone", "").replace("\x00", "")[:64], "quoted" in given
    habits.digest_hour = int(hour) if hour.isascii() and hour.isdigit() and len(hour) < 3 else 24
    try:
        habits.clean_fields()
    except ValidationError as error:
        field, said = next(iter(error.message_dict.items()))
        raise Invalid("not_a_choice", said[0], field=field) from error
    with transaction.atomic():
        Habits.objects.update_or_create(user=user, defaults={name: getattr(habits, name) for name in _HABITS})
        for kind, how in chosen.items():
            NotificationChoice.objects.update_or_create(user=user, kind=kind, defaults={"how": how})
        waiting = Mailing.objects.filter(user=user, digest=True, state=Mailing.State.QUEUED, attempts=0)
        waiting.update(not_before=habits.next_digest())


_HABITS = ("time_zone", "digest_hour", "quoted")


def _tell(person: User, how: str, kind: str, ticket: Ticket, said: dict[str, Any]) -> None:
    known = Notification.objects.filter(user=person, kind=kind, ticket=ticket).unread()
    if not known.update(**said, times=F("times") + 1):
        try:
            with transaction.atomic():
                told = Notification.objects.create(user=person, kind=kind, ticket=ticket, **said)
        except IntegrityError:  # told by somebody else at the same moment: that one stands for both
            return
        if how in (How.MAIL, How.DIGEST) and person.email:
            told.mailing = _mailing(person, digest=how == How.DIGEST)
            told.save(update_fields=["mailing"])
    _ring_bell(person)


def _mailing(person: User, *, digest: bool) -> Mailing:
    if not digest:
        ring("interactive")
        return Mailing.objects.create(user=person)
    waiting = Mailing.objects.filter(user=person, digest=True, state=Mailing.State.QUEUED, attempts=0)
    # Locked, so that it is not sent between being found and being added to.
    found = waiting.select_for_update().first()
    if found is None:
        due = Habits.of(person).next_digest()
        Mailing.objects.bulk_create([Mailing(user=person, digest=True, not_before=due)], ignore_conflicts=True)
        found = waiting.select_for_update().first() or Mailing.objects.create(user=person)
    return found


def _ring_bell(person: User) -> None:
    """Tell this person's open desks that there is news: they fetch it themselves, for nothing personal is pushed."""
    publish({"type": "person.news"}, f"person-{person.pk}")
