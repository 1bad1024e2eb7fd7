"""What Prometheus is told: figures read from the rows when it asks, so they are right whichever process answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.models import Avg, Count, Min, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tickets.lag import lags
from tickets.models import Delivery, Ticket, TriageState
from triage.models import Call, Heartbeat
from triage.models.call import CallStatus


class Desk(Collector):
    """Tickets, work that waits, deliveries, calls to the model, signs of life. Holds no words of anybody."""

    def collect(self) -> Iterable[Metric]:
        yield from _tickets()
        yield from _deliveries()
        yield from _queues()
        yield from _calls()
        yield from _workers()

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time: registering it must not ask the database."""
        return []


def registry() -> CollectorRegistry:
    registered = CollectorRegistry()
    registered.register(Desk())
    return registered


def _tickets() -> Iterator[Metric]:
    tickets = Ticket.objects.order_by()
    by_state = GaugeMetricFamily("triage_tickets", "Tickets by status and state of triage.", labels=["status", "state"])
    for status, state, count in tickets.values_list("status", "triage_state").annotate(count=Count("number")):
        by_state.add_metric([status, state], count)
    yield by_state
    waiting = tickets.filter(triage_state=TriageState.SUBMITTED, merged_into=None)
    depth = GaugeMetricFamily("triage_queue_depth", "Tickets that wait to be read, by lane.", labels=["lane"])
    age = GaugeMetricFamily("triage_queue_oldest_seconds", "How long the longest waits.", labels=["lane"])
    found = {
        lane: (count, since)
        for lane, count, since in waiting.values_list("lane").annotate(n=Count("number"), since=Min("not_before"))
    }
    for lane, name in ((0, "interactive"), (1, "imported")):
        count, since = found.get(lane, (0, None))
        depth.add_metric([name], count)
        age.add_metric([name], max((timezone.now() - since).total_seconds(), 0) if since else 0)
    yield depth
    yield age


def _queues() -> Iterator[Metric]:
    depth = GaugeMetricFamily("triage_work_waiting", "Rows that are due and not done, by queue.", labels=["queue"])
    age = GaugeMetricFamily("triage_work_oldest_seconds", "How long the oldest of them is due.", labels=["queue"])
    for lag in lags():
        depth.add_metric([lag.queue], lag.waiting)
        age.add_metric([lag.queue], lag.oldest_seconds)
    yield from (depth, age)


def _deliveries() -> Iterator[Metric]:
    states = GaugeMetricFamily("triage_deliveries", "Replies by what became of them.", labels=["state"])
    counts = dict(Delivery.objects.order_by().values_list("state").annotate(count=Count("pk")))
    for state in Delivery.State.values:
        states.add_metric([state], counts.get(state, 0))
    yield states


def _calls() -> Iterator[Metric]:
    labels = ["operation", "model", "status"]
    total = CounterMetricFamily("triage_model_calls", "Requests to a language model.", labels=labels)
    cost = CounterMetricFamily("triage_model_cost_usd", "What they cost, in US dollars.", labels=labels)
    seconds = GaugeMetricFamily("triage_model_seconds_mean", "Their mean latency.", labels=labels)
    rows = Call.objects.order_by().values_list("operation", "model_asked", "status")
    for *names, count, dollars, milliseconds in rows.annotate(n=Count("pk"), sum=Sum("cost"), mean=Avg("latency_ms")):
        total.add_metric(names, count)
        cost.add_metric(names, float(dollars or 0))
        if milliseconds is not None:
            seconds.add_metric(names, float(milliseconds) / 1000)
    yield from (total, cost, seconds)
    running = GaugeMetricFamily("triage_model_calls_in_flight", "Requests begun and not yet answered.")
    running.add_metric([], Call.objects.filter(status=CallStatus.STARTED).count())
    yield running


def _workers() -> Iterator[Metric]:
    silence = GaugeMetricFamily(
        "triage_worker_silence_seconds", "Time since a worker's last sign of life.", labels=["cluster", "host"]
    )
    for beat in Heartbeat.objects.all():
        silence.add_metric([beat.name, beat.host], beat.age_seconds)
    yield silence
