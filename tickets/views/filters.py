"""What the address of the queue asks for: a view, filters on every label, words, an order, a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Self
from urllib.parse import urlencode

from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date

from tickets.models import (
    ENDED,
    ORDERS,
    Agent,
    Effort,
    Order,
    Place,
    Priority,
    Requester,
    Sentiment,
    Severity,
    Status,
    Ticket,
    Tier,
)
from tickets.models.ticket import TicketQuerySet
from tickets.views.terms import terms_of
from triage.models import User

TABS: tuple[tuple[str, str], ...] = (
    ("", "All"),
    ("new", "New"),
    ("escalated", "Escalated"),
    ("in_review", "In review"),
    ("waiting", "Waiting"),
    ("snoozed", "Snoozed"),
    ("resolved", "Resolved"),
    ("spam", "Spam"),
)
WHOSE: tuple[tuple[str, str], ...] = (
    ("", "Everybody\u2019s"),
    ("me", "Mine"),
    ("teams", "My teams\u2019"),
    ("nobody", "Unassigned"),
)
NEEDS = {
    "approval": ("Approval", TicketQuerySet.awaiting_approval),
    "answer": ("A first answer, overdue", TicketQuerySet.overdue),
    "reading": ("Reading again", TicketQuerySet.unreadable),
    "audit": ("A check by lot", TicketQuerySet.awaiting_audit),
    "delivery": ("A look at its delivery", TicketQuerySet.undelivered),
}
BANDS = {"apply": "Applied", "suggest": "Suggested", "ask": "Unsure", "person": "Decided by a person"}
ENGINES = {
    "local": "Local engine",
    "model": "Language model",
    "rules": "Keywords",
    "rule": "A rule",
    "person": "A person",
}
YES_NO = {"yes": "Yes", "no": "No"}
# Those that stand in the bar, each one value at a time; the others are a click away.
AT_HAND = ("team", "category", "priority", "source", "assignee", "needs")
MOST_VALUES = 20  # of one filter; more is no question that a person asks


@dataclass(frozen=True, slots=True)
class Field:
    """One filter: its word, the column where one decides, and the values it may have (None: whatever there is)."""

    word: str
    column: str = ""
    choices: Mapping[str, str] | None = None


FIELDS: dict[str, Field] = {
    "team": Field("Team", "team__key"),
    "category": Field("Category", "category__key"),
    "priority": Field("Priority", "priority", {key: f"{key} {word}" for key, word in Priority.choices}),
    "tier": Field("Tier", "tier", {str(key): str(word) for key, word in Tier.choices}),
    "severity": Field("Severity", "severity", {key: str(word) for key, word in Severity.choices}),
    "effort": Field("Effort", "effort", {key: str(word) for key, word in Effort.choices}),
    "component": Field("Component", "component__key"),
    "sentiment": Field("Sentiment", "sentiment", {key: str(word) for key, word in Sentiment.choices}),
    "language": Field("Language", "language"),
    "technical": Field("Technical", "", YES_NO),
    "tag": Field("Tag"),
    "source": Field("Source", "source__name"),
    "assignee": Field("Assignee"),
    "requester": Field("Customer", "requester__email"),
    "band": Field("Category is", "", BANDS),
    "by": Field("Category by", "provenance__category__engine", ENGINES),
    "needs": Field("Needs", "", {key: word for key, (word, _) in NEEDS.items()}),
}
RANGES = {
    "created_from": "Came in since",
    "created_to": "Came in until",
    "updated_from": "Changed since",
    "updated_to": "Changed until",
    "sure_from": "Sure from %",
    "sure_to": "Sure to %",
}


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is set, and the address without it."""

    name: str
    word: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class Filters:
    """The queue's filters as the address spells them; what is not understood is left out, and said in `ignored`."""

    status: str = ""
    whose: str = ""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: Mapping[str, str] = field(default_factory=dict)
    q: str = ""
    words: str = ""  # of `q`, without its field:value terms
    terms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sort: str = ""
    group: str = ""
    before: Place | None = None
    ignored: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        def word(name: str) -> str:
            return query.get(name, "").replace("\x00", "").strip()[:200]

        ignored: list[str] = []
        values = {name: given for name in FIELDS if (given := _values(name, query.getlist(name), ignored))}
        ranges = {name: moment for name in RANGES if (moment := _range(name, word(name), ignored))}
        q = word("q")
        words, terms = terms_of(q)
        understood = {name: _values(name, given, ignored) if name in FIELDS else given for name, given in terms.items()}
        status, whose, sort = word("status"), word("whose"), word("sort")
        if status and status not in dict(TABS):
            ignored.append(f"There is no view “{status}”.")
        order = ORDERS.get(sort, ORDERS[""])
        return cls(
            status=status if status in dict(TABS) else "",
            whose=whose if whose in dict(WHOSE) else "",
            values=values,
            ranges=ranges,
            q=q,
            words=words,
            terms={name: given for name, given in understood.items() if given},
            sort=sort if sort in ORDERS else "",
            group="source" if word("group") == "source" and status != "spam" else "",
            before=Place.of(word("before"), parts=order.parts),
            ignored=tuple(dict.fromkeys(ignored)),
        )

    @property
    def order(self) -> Order:
        return ORDERS[self.sort]

    @property
    def narrowed(self) -> bool:
        """Whether anything but view and order narrows what is shown."""
        return bool(self.values or self.ranges or self.q)

    @property
    def everything(self) -> bool:
        """Whether the view All holds what has ended, too: what is searched for, or left to be done, may be anywhere."""
        return bool(self.q or self.values.get("needs"))

    def first(self, name: str) -> str:
        """The first value of a filter, "" where it is not set."""
        return next(iter(self.values.get(name, ())), "")

    def pairs(self) -> list[tuple[str, str]]:
        """What the address holds, paging left out."""
        plain = (("status", self.status), ("whose", self.whose), ("q", self.q), ("sort", self.sort))
        found = [(name, value) for name, value in (*plain, ("group", self.group)) if value]
        found += [(name, value) for name, values in self.values.items() for value in values]
        return [*found, *self.ranges.items()]

    @property
    def beside(self) -> list[tuple[str, str]]:
        """What a form that sets the filters AT_HAND has to send along."""
        return [(name, value) for name, value in self.pairs() if name not in AT_HAND]

    def address(self, **changes: object) -> str:
        """The query string with some filters changed (None or "": left out); paging is dropped unless given."""
        kept = [(name, value) for name, value in self.pairs() if name not in changes]
        for name, value in changes.items():
            several = value if isinstance(value, list | tuple) else [value]
            kept += [(name, str(one)) for one in several if one not in ("", None)]
        return f"?{urlencode(kept)}" if kept else "?"

    @property
    def cleared(self) -> Self:
        """The same view and order without any filter."""
        return replace(self, values={}, ranges={}, q="", words="", terms={}, before=None, ignored=())

    def chips(self, names: Mapping[tuple[str, str], str]) -> Iterator[Chip]:
        """What is set, one by one. `names` are {(filter, key): name} of labels and people."""
        for name, values in self.values.items():
            for value in values:
                rest = [other for other in values if other != value]
                shown = (FIELDS[name].choices or {}).get(value) or names.get((name, value), value)
                yield Chip(name, FIELDS[name].word, shown, self.address(**{name: rest}))
        for name, value in self.ranges.items():
            yield Chip(name, RANGES[name], value, self.address(**{name: None}))

    @property
    def plain(self) -> bool:
        """Whether all it asks for are columns of the ticket itself."""
        return not (self.words or "needs" in self.values or "needs" in self.terms)

    def condition(self, user: User) -> Q:
        """Of a plain one: every filter but view and owner."""
        wanted = Q()
        for name, values in (*self.values.items(), *self.terms.items()):
            wanted &= _any(name, values, user)
        for name, value in self.ranges.items():
            wanted &= _within(name, value)
        return wanted

    def owner(self, user: User) -> Q:
        """Whose tickets."""
        if self.whose == "teams":
            agent = Agent.of(user)
            return Q(team__in=[team.pk for team in agent.own_teams] if agent else [])
        return {"me": Q(assignee=user), "nobody": Q(assignee=None)}.get(self.whose, Q())

    def among(self, user: User) -> TicketQuerySet:
        """What this view is of: what this person may see at the desk, or of what is held as spam."""
        tickets = Ticket.everything.spam() if self.status == "spam" else Ticket.objects.all()
        return tickets.visible_to(user)

    def narrow(self, tickets: TicketQuerySet, user: User) -> TicketQuerySet:
        """Every filter but the view."""
        for name, values in (*self.values.items(), *self.terms.items()):
            tickets = _narrow(tickets, name, values, user)
        for name, value in self.ranges.items():
            tickets = tickets.filter(_within(name, value))
        return tickets.matching(self.words) if self.words else tickets

    def on_tab(self, tickets: TicketQuerySet, user: User | None = None) -> TicketQuerySet:
        """The view's tickets. All is all that is open; a search or a need looks through what has ended, too."""
        if user is not None:
            tickets = tickets.filter(self.owner(user))
        if self.status == "snoozed":
            return tickets.open().snoozed()
        if self.status == "spam":
            return tickets.spam()
        if self.status == "resolved":
            return tickets.filter(status__in=ENDED)
        if self.status:
            return tickets.filter(status=self.status).awake()
        return tickets if self.everything else tickets.open().awake()


def _values(name: str, given: Sequence[str], ignored: list[str]) -> tuple[str, ...]:
    """What of these values a filter may have, each once."""
    found = []
    for typed in dict.fromkeys(one.replace("\x00", "").strip()[:200] for one in given):
        value = typed.upper() if name == "priority" else typed
        choices = FIELDS[name].choices
        if value and choices is not None and value not in choices:
            ignored.append(f"{FIELDS[name].word} cannot be “{value}”.")
        elif value:
            found.append(value)
    return tuple(found[:MOST_VALUES])


def _range(name: str, given: str, ignored: list[str]) -> str:
    if not given:
        return ""
    if name.startswith("sure"):
        good = given.isascii() and given.isdigit() and len(given) < 4 and int(given) <= 100
    else:
        try:
            good = parse_date(given) is not None
        except ValueError:
            good = False
    if not good:
        ignored.append(f"{RANGES[name]} “{given}” was not understood.")
    return given if good else ""


def _narrow(tickets: TicketQuerySet, name: str, values: Sequence[str], user: User) -> TicketQuerySet:
    """Any of these values of one filter."""
    if name == "needs":
        for value in values:
            tickets = NEEDS[value][1](tickets)
        return tickets
    return tickets.filter(_any(name, values, user))


def _any(name: str, values: Sequence[str], user: User) -> Q:
    wanted = Q()
    for value in values:
        wanted |= _one(name, value, user)
    return wanted


def _one(name: str, value: str, user: User) -> Q:
    special = _SPECIAL.get(name)
    return special(value, user) if special else Q(**{FIELDS[name].column: value})


def _assignee(value: str, user: User) -> Q:
    if value == "nobody":
        return Q(assignee=None)
    return Q(assignee=user) if value == "me" else Q(assignee__username=value)


def _band(value: str) -> Q:
    by_person = Q(provenance__category__engine="person")
    return by_person if value == "person" else Q(provenance__category__band=value) & ~by_person


_SPECIAL: dict[str, Callable[[str, User], Q]] = {
    "assignee": _assignee,
    "tag": lambda value, _: Q(tags__contains=[value]),
    "technical": lambda value, _: Q(is_technical=value == "yes"),
    "band": lambda value, _: _band(value),
    "requester": lambda value, _: Q(requester__in=Requester.objects.with_address(value)),
    "is": lambda value, _: _states(value),
}


def _states(value: str) -> Q:
    if value == "open":
        return ~Q(status__in=ENDED)
    if value in ("closed", "ended", "resolved"):
        return Q(status__in=ENDED)
    return Q(escalated=True) if value == "escalated" else Q(status=value)


def _within(name: str, value: str) -> Q:
    what, _, end = name.partition("_")
    if what == "sure":
        share = int(value) / 100
        return Q(confidence__gte=share) if end == "from" else Q(confidence__lte=share)
    day = parse_date(value) or date.min
    return Q(**{f"{what}_at__gte": _midnight(day)}) if end == "from" else Q(**{f"{what}_at__lt": _midnight(day, 1)})


def _midnight(day: date, later: int = 0) -> datetime:
    """The beginning of a day, or of one later; the last day there is has none after it."""
    begins = min(day, date.max - timedelta(days=later)) + timedelta(days=later)
    return timezone.make_aware(datetime.combine(begins, time.min))


def status_word(status: str) -> str:
    return Status(status).label


def all_words(filters: Filters) -> list[str]:
    """What narrows, in words, for whoever reads it later."""
    tab = dict(TABS)[filters.status].lower() if filters.status else ""
    parts = [f"status {tab}"] if tab else []
    parts += [dict(WHOSE)[filters.whose].lower()] if filters.whose else []
    parts += [f"{name} {', '.join(values)}" for name, values in filters.values.items()]
    parts += [f"{RANGES[name].lower()} {value}" for name, value in filters.ranges.items()]
    return [*parts, *([f"q {filters.q}"] if filters.q else [])]
