"""What reading many tickets will cost and how long it takes, before anybody says yes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Avg, Q, QuerySet, Sum
from django.db.models.functions import Length
from django.utils import timezone

from tickets.models import Message, Suggestion, Ticket
from tickets.reader import Reader
from triage import batches, prompts
from triage.models import Call

RECENT = timedelta(days=30)
ENOUGH = 20  # readings; with fewer measured the prices are asked
SORTING = Q(operation__in=("classify", "repair"))
SAMPLE = 500
LABELS = 1_500  # characters of labels that the prompt lists, about
LOCAL_MILLISECONDS = 60.0
MODEL_MILLISECONDS = 3_000.0
USUAL_LETTERS = 1_500  # of an issue that nobody has seen yet
NOBODY_ASKED = "no model is asked"
MANY, DEAR = 100, Decimal(1)  # above either a person is asked first


@dataclass(frozen=True, slots=True)
class Estimate:
    """US dollars (None: no price is known) and seconds for `tickets`, and what both are reckoned from."""

    tickets: int
    cost: Decimal | None
    seconds: float
    basis: str

    @property
    def asks(self) -> bool:
        """Whether it is so many, or so dear, that a person should say yes once more."""
        return self.tickets > MANY or (self.cost is not None and self.cost > DEAR)

    @property
    def words(self) -> str:
        if self.cost == 0:
            cost = "No cost"
        else:
            cost = "Cost unknown, as this model has no price" if self.cost is None else f"Cost about ${self.cost:.4f}"
        return f"{cost}, time about {_spelled(self.seconds)} ({self.basis})."


def estimate(tickets: QuerySet[Ticket], reader: Reader, *, drafts: bool = True, batch: bool = False) -> Estimate:
    """Measured where enough was read of late by this model, else by prices and the length of the texts.

    `drafts` says whether the model writes drafts, too. A batch is answered within a day.
    """
    count = tickets.count()
    cost: Decimal | None = Decimal(0)
    basis = NOBODY_ASKED
    if reader.may_ask_model and count:
        each = None if batch else _measured(reader, drafts=drafts)
        basis = "by what it cost of late" if each is not None else "by prices, at 3.2 characters a token"
        cost = each * count if each is not None else _by_prices(tickets, count, reader, drafts=drafts, batch=batch)
    return Estimate(count, cost, _seconds(count, reader, batch=batch), basis)


def estimate_new(count: int, reader: Reader) -> Estimate:
    """The same for so many tickets that are still to come, each read once and drafted for."""
    cost: Decimal | None = Decimal(0)
    basis = NOBODY_ASKED
    if reader.may_ask_model and count:
        each = _measured(reader, drafts=True)
        basis = "by what it cost of late" if each is not None else "by prices, at 3.2 characters a token"
        cost = each * count if each is not None else _by_letters(USUAL_LETTERS, count, reader)
    return Estimate(count, cost, _seconds(count, reader, batch=False), basis)


def _by_letters(mean: int, count: int, reader: Reader) -> Decimal | None:
    fixed = len(prompts.load("classify").text) + LABELS
    sorting = batches.estimate(round((fixed + mean) * count), count, model=reader.model, batch=False)
    writing = batches.estimate(round((len(prompts.load("draft").text) + mean) * count), count, model=reader.model)
    return None if sorting is None or writing is None else sorting + writing


def _measured(reader: Reader, *, drafts: bool) -> Decimal | None:
    """Dollars a ticket by this model, as the ledger has them; None with too little to go by, or unknown costs."""
    asked = SORTING | Q(operation="draft") if drafts else SORTING
    recent = Call.objects.filter(asked, subject_kind="ticket", created_at__gte=timezone.now() - RECENT)
    calls = recent.filter(model_asked=reader.model or settings.TRIAGE_MODEL)
    tickets = calls.order_by().values("subject_id").distinct().count()
    if tickets < ENOUGH or calls.filter(cost=None).exists():
        return None
    total: Decimal = calls.aggregate(sum=Sum("cost"))["sum"] or Decimal(0)
    return total / tickets * _share_asked(reader)


def _share_asked(reader: Reader) -> Decimal:
    """How many of the tickets read of late asked the model: all, when it alone is to read."""
    if reader.engine == "model":
        return Decimal(1)
    latest = list(Suggestion.objects.order_by("-pk").values_list("model", flat=True)[:SAMPLE])
    return Decimal(sum(map(bool, latest))) / len(latest) if latest else Decimal(1)


def _by_prices(tickets: QuerySet[Ticket], count: int, reader: Reader, *, drafts: bool, batch: bool) -> Decimal | None:
    some = list(tickets.order_by("-pk").values_list("pk", flat=True)[:SAMPLE])
    texts = Message.objects.filter(ticket__in=some, kind=Message.Kind.INBOUND).aggregate(sum=Sum(Length("text")))["sum"]
    mean = min((texts or 0) / len(some), 6_000)
    fixed = len(reader.prompt or prompts.load("classify").text) + LABELS
    sorting = batches.estimate(round((fixed + mean) * count), count, model=reader.model, batch=batch)
    if not drafts or sorting is None:
        return sorting
    letters = round((len(prompts.load("draft").text) + mean) * count)
    writing = batches.estimate(letters, count, model=reader.model)
    return None if writing is None else sorting + writing


def _seconds(count: int, reader: Reader, *, batch: bool) -> float:
    if batch:
        return 86_400.0
    asks = reader.may_ask_model
    latest = Suggestion.objects.exclude(model="") if asks else Suggestion.objects.filter(model="")
    recent = list(latest.order_by("-pk").values_list("pk", flat=True)[:SAMPLE])
    mean = Suggestion.objects.filter(pk__in=recent).aggregate(mean=Avg("milliseconds"))["mean"]
    # Waiting for a model overlaps; without one reading is work for one processor.
    at_once = min(count, settings.TRIAGE_CONCURRENCY) or 1 if asks else 1
    return count * (mean or (MODEL_MILLISECONDS if asks else LOCAL_MILLISECONDS)) / 1_000 / at_once


def _spelled(seconds: float) -> str:
    if seconds >= 86_400:
        return "up to 24 h"
    if seconds < 1:
        return "a second"
    whole = round(seconds)
    hours, minutes = whole // 3_600, whole // 60
    return f"{whole} s" if whole < 120 else f"{minutes} min" if minutes < 120 else f"{hours} h"
