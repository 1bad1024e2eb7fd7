"""What is new for a colleague, as an e-mail: text first, simple HTML second; what was written only if chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.utils import parseaddr
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.text import Truncator

from tickets.channels.base import clean_line
from tickets.models import Ticket

if TYPE_CHECKING:
    from tickets.models import Mailing, Notification
    from triage.models import User

SUBJECT_SHOWN = 80  # characters of a customer's own words: enough to know which ticket it is


def news_of(mailing: Mailing, news: Sequence[Notification], *, quoted: bool) -> EmailMultiAlternatives:
    """The e-mail about these notifications, at least one. `quoted` lets it hold what was written.

    Its Message-ID is the same at every attempt. Raises ValueError when its reader has no address.
    """
    address = clean_line(mailing.user.email)
    if "@" not in parseaddr(address)[1]:
        raise ValueError(f"the recipient {address[:100]!r} is no address")
    domain = re.sub(r"[^A-Za-z0-9.-]", "", parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]) or "localhost"
    context = {
        "digest": mailing.digest,
        "standing": _standing(mailing.user) if mailing.digest else "",
        "news": [
            {
                "said": one.said,
                "number": one.ticket_id,
                "subject": _short(one.ticket.subject),
                "text": clean_line(one.text) if quoted else "",
                "link": f"{settings.BASE_URL}{one.ticket.get_absolute_url()}",
            }
            for one in news
        ],
        "choices": f"{settings.BASE_URL}/settings/notifications/",
    }
    email = EmailMultiAlternatives(
        subject=_subject(mailing, news),
        body=render_to_string("mail/news.txt", context),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[address],
        headers={
            "Message-ID": f"<news-{mailing.pk}.{int(mailing.created_at.timestamp())}@{domain}>",
            "Auto-Submitted": "auto-generated",  # nobody's holiday answers it
        },
    )
    email.attach_alternative(render_to_string("mail/news.html", context), "text/html")
    return email


def _subject(mailing: Mailing, news: Sequence[Notification]) -> str:
    if mailing.digest:
        return f"Your day at the desk: {len(news)} thing{'s' if len(news) != 1 else ''} new"
    return str(clean_line(f"{news[0].said}: #{news[0].ticket_id} {_short(news[0].ticket.subject)}"))


def _short(subject: str) -> str:
    return str(Truncator(clean_line(subject)).chars(SUBJECT_SHOWN))


def _standing(user: User) -> str:
    """Where the day begins: what this person carries, and what of it is late. One sentence, or none."""
    own = Ticket.objects.visible_to(user).open().awake().filter(assignee=user)
    carried, late, ready = own.count(), own.overdue().count(), own.awaiting_approval().count()
    if not carried:
        return ""
    parts = [f"{carried} open ticket{'s are' if carried != 1 else ' is'} yours"]
    parts += [f"{late} past {'their' if late != 1 else 'its'} promised time"] if late else []
    parts += [f"{ready} with a draft to approve"] if ready else []
    return ", ".join(parts) + "."
