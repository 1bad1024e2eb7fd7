"""The figures of calls to language models, one function a number. Its docstring is its definition.

Each takes the calls it counts. Costs are US dollars as the ledger reckoned them at the price of the day; a call whose
cost nobody knows (it died on the way, or its model has no price) adds nothing and is counted by `cost_unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Avg, Count, F, FloatField, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from analytics.figures import Percentile
from triage.models import Call, CallStatus

Calls = QuerySet[Call]
QUICK, SLOW = 1500, 3000  # milliseconds: below the first good, below the second bearable
_TROUBLED = Q(status__in=(CallStatus.INVALID, CallStatus.REFUSED, CallStatus.TRUNCATED, CallStatus.FAILED))
_WRITTEN = Coalesce(F("cache_write_5m_tokens"), 0) + Coalesce(F("cache_write_1h_tokens"), 0)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What went in and out. `input` is what was neither read from nor written to the cache."""

    input: int
    cache_read: int
    cache_write: int
    output: int

    @property
    def all(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.output


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds: half of the completed calls, and 95 in a hundred, took no longer."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Operation:
    """The calls of one operation; shares are 0 to 1, None where there is nothing to divide by."""

    name: str
    calls: int
    completed: int
    errors: int
    cost: Decimal
    cost_each: Decimal | None
    p50: float | None
    p95: float | None
    tokens: int

    @property
    def error_share(self) -> float | None:
        return self.errors / self.completed if self.completed else None


def count(calls: Calls) -> int:
    """Requests made to a model, answered or not; a repair of an unusable answer is a request of its own."""
    return calls.count()


def cost(calls: Calls) -> Decimal:
    """What the calls cost together, as far as it is known."""
    return calls.aggregate(sum=Sum("cost"))["sum"] or Decimal(0)


def cost_unknown(calls: Calls) -> int:
    """Completed calls that reached no known price, and calls that were begun and never completed."""
    return calls.filter(cost=None).count()


def tickets_read(calls: Calls) -> int:
    """Different tickets that at least one of the calls was about."""
    about = calls.filter(subject_kind="ticket").aggregate(tickets=Count("subject_id", distinct=True))
    return int(about["tickets"])


def cost_a_ticket(calls: Calls) -> Decimal | None:
    """The cost of all calls about tickets, divided by the number of different tickets they were about."""
    about = calls.filter(subject_kind="ticket")
    found = about.aggregate(sum=Sum("cost"), tickets=Count("subject_id", distinct=True))
    return found["sum"] / found["tickets"] if found["tickets"] and found["sum"] is not None else None


def tokens(calls: Calls) -> Tokens:
    """Tokens as the provider counted them; unknown counts add nothing."""
    found = calls.aggregate(
        input=Coalesce(Sum("input_tokens"), 0),
        read=Coalesce(Sum("cache_read_tokens"), 0),
        written=Coalesce(Sum(_WRITTEN), 0),
        output=Coalesce(Sum("output_tokens"), 0),
    )
    return Tokens(found["input"], found["read"], found["written"], found["output"])


def latency(calls: Calls) -> Latency | None:
    """From the request to its last byte, retries and waits between them included, over completed calls.

    Those of message batches are left out: nobody waits for them, and they take hours.
    """
    found = calls.filter(latency_ms__isnull=False, batch=False).aggregate(
        p50=Percentile("latency_ms", 0.5, output_field=FloatField()),
        p95=Percentile("latency_ms", 0.95, output_field=FloatField()),
    )
    return Latency(found["p50"], found["p95"]) if found["p50"] is not None else None


def errors(calls: Calls) -> int:
    """Calls that gave no usable answer: failed, refused, cut off or not what was asked for."""
    return calls.filter(_TROUBLED).count()


def error_share(calls: Calls) -> float | None:
    """Of the completed calls, the share that gave no usable answer; None without any."""
    found = calls.exclude(status=CallStatus.STARTED).aggregate(all=Count("pk"), bad=Count("pk", filter=_TROUBLED))
    return found["bad"] / found["all"] if found["all"] else None


def by_operation(calls: Calls) -> list[Operation]:
    """The figures above for each operation that was called, the dearest first."""
    rows = (
        calls.order_by()
        .values("operation")
        .annotate(
            n=Count("pk"),
            done=Count("pk", filter=~Q(status=CallStatus.STARTED)),
            bad=Count("pk", filter=_TROUBLED),
            cost_sum=Sum("cost"),
            cost_mean=Avg("cost"),
            p50=Percentile("latency_ms", 0.5, output_field=FloatField()),
            p95=Percentile("latency_ms", 0.95, output_field=FloatField()),
            token_sum=Sum(
                Coalesce(F("input_tokens"), 0)
                + Coalesce(F("cache_read_tokens"), 0)
                + Coalesce(F("output_tokens"), 0)
                + _WRITTEN
            ),
        )
    )
    lines = [
        Operation(
            name=row["operation"],
            calls=row["n"],
            completed=row["done"],
            errors=row["bad"],
            cost=row["cost_sum"] or Decimal(0),
            cost_each=row["cost_mean"],
            p50=row["p50"],
            p95=row["p95"],
            tokens=row["token_sum"] or 0,
        )
        for row in rows
    ]
    return sorted(lines, key=lambda line: (-line.cost, -line.calls, line.name))
