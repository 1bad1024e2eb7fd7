"""What every page of the desk shows around its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django.db.models import Exists, F, Func, IntegerField, QuerySet, Subquery, Value
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tickets.first_steps import checklist_for
from tickets.models import Notification, Ticket, leads, oversees
from tickets.views.banners import banners_for, dead_webhooks, silent_mailboxes
from triage.models import Pause, User


@dataclass(frozen=True, slots=True)
class RailItem:
    word: str
    address: str
    icon: str
    key: str
    here: bool
    counts: bool = False
    foot: bool = False


RAIL = (
    ("Queue", "/tickets/", "inbox-stack", "g q"),
    ("Dashboard", "/", "squares-2x2", "g d"),
    ("Calls", "/calls/", "arrow-path-rounded-square", "g c"),
    ("Summary", "/summary/", "document-text", "g s"),
    ("Settings", "/settings/", "cog-6-tooth", "g t"),
)
_OPEN = "triage.open"


def person(request: HttpRequest) -> User:
    """Who is signed in. For views behind `login_required` only."""
    if not isinstance(request.user, User):
        raise TypeError("nobody is signed in")
    return request.user


def frame(request: HttpRequest) -> dict[str, Any]:
    """The rail with the place we are at, and how many tickets are at hand: queried only where it is shown."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    path, around = request.path, cast(Any, SimpleLazyObject(lambda: _around(user, request.META.get(_OPEN))))
    items = [
        RailItem(
            word,
            address,
            icon,
            key,
            here=path == address or (address != "/" and path.startswith(address)),
            counts=address == "/tickets/",
            foot=address == "/settings/",
        )
        for word, address, icon, key in RAIL
    ]
    return {
        "rail": items,
        "may_replay": SimpleLazyObject(lambda: leads(user)),
        "may_see_replays": SimpleLazyObject(lambda: leads(user) or oversees(user)),
        "checklist": SimpleLazyObject(lambda: checklist_for(user)),
        "banners": SimpleLazyObject(
            lambda: banners_for(user, **{name: around[name] for name in ("paused", "silent", "dead")})
        ),
        "around": around,
    }


def tell_open(request: HttpRequest, count: int) -> None:
    """A page that has counted the open tickets, but those put off, spares its frame the same."""
    request.META[_OPEN] = count


def _around(user: User, counted_open: int | None) -> dict[str, int]:
    """What every page says in its frame, in one query: open tickets but those put off (as the queue's first view
    counts them, and the socket), what is new for this person, a pause, and what is out of order.
    """
    tickets = Ticket.objects.visible_to(user).open().awake()
    news = Notification.objects.filter(user=user).unread()
    counted: Any = (
        User.objects.filter(pk=user.pk)
        .values(
            open=_count_of(tickets) if counted_open is None else Value(counted_open),
            unread=_count_of(news),
            paused=Exists(Pause.objects.filter(ended_at=None)),
            silent=Exists(silent_mailboxes()),
            dead=Exists(dead_webhooks()),
        )
        .get()
    )
    return dict(counted)


def _count_of(rows: QuerySet[Any]) -> Subquery:
    return Subquery(rows.order_by().values(n=Func(F("pk"), function="COUNT")), output_field=IntegerField())
