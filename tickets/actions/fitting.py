"""The local engine is fitted anew: asked for, made in a process of its own, measured, and put in force or not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from tickets.actions.deliveries import Claimed
from tickets.actions.errors import Conflict
from tickets.actions.learning import decisions
from tickets.context import taxonomy
from tickets.models import Example, FitRun
from tickets.models.work import LEASE, RENEW_EVERY
from triage.engines.local import LocalEngine
from triage.engines.weights import from_bytes
from triage.learning import cadence, gate
from triage.learning.live import keep, load_local
from triage.learning.payload import fit_payload, starter_examples
from triage.models import Artifact, User
from triage.queue import ring

log = structlog.get_logger(__name__)
MOST_ATTEMPTS = 3
STARTING = timedelta(seconds=60)  # a new process loads its packages before it can renew its lease


def ask_for_fit(*, cause: FitRun.Cause, by: User | None = None) -> FitRun:
    """Have the batch cluster fit. Raises Conflict while a fit is waited for or being made."""
    try:
        with transaction.atomic():
            run = FitRun.objects.create(cause=cause, by=by, new=new_decisions())
            ring("batch")
    except IntegrityError as taken:
        raise Conflict("already_fitting", "A fit is being made already. Wait until it is done.") from taken
    return run


def ask_if_due() -> FitRun | None:
    """Ask for a fit after enough decisions, or at night after any. Decisions that a failed fit saw are not new.

    Where a fit of theirs was lost, at once after any: the desk reads worse than it did, until they are fitted on again.
    """
    if FitRun.objects.filter(state__in=FitRun.OPEN).exists():
        return None
    last = FitRun.objects.first()
    live = Artifact.objects.filter(live=True).defer("payload").first()
    used = live.metrics.get("decided_texts", 0) if live else 0
    # A format that changed leaves earlier fits unreadable, and the starter set in force: every decision is new to it.
    forgotten = bool(live and last and last.finished_at and not used and live.created_at > last.finished_at)
    new = Example.objects.filter(held_out=False).count() if forgotten else new_decisions()
    if not new:
        return None
    if forgotten or cadence.due(new=new, used=used):
        cause = FitRun.Cause.DECISIONS
    elif cadence.nightly(new=new, last=last.created_at if last else None, now=timezone.localtime()):
        cause = FitRun.Cause.NIGHT
    else:
        return None
    try:
        return ask_for_fit(cause=cause)
    except Conflict:  # another machine was quicker
        return None


def new_decisions() -> int:
    """Decided tickets that are new, or decided differently, since the last fit looked; held-out ones do not count."""
    examples = Example.objects.filter(held_out=False)
    last = FitRun.objects.exclude(read_at=None).first()
    return (examples.filter(updated_at__gt=last.read_at) if last and last.read_at else examples).count()


def is_due() -> bool:
    return FitRun.objects.filter(state=FitRun.State.QUEUED, not_before__lte=timezone.now()).exists()


def claim() -> Claimed | None:
    """Take the fit that is waited for, under a lease long enough for a process to start."""
    with transaction.atomic():
        due = FitRun.objects.filter(state=FitRun.State.QUEUED, not_before__lte=timezone.now())
        run = due.select_for_update(skip_locked=True, of=("self",)).first()
        if run is None:
            return None
        FitRun.objects.filter(pk=run.pk).update(
            state=FitRun.State.FITTING,
            attempts=F("attempts") + 1,
            claim=F("claim") + 1,
            lease_until=timezone.now() + STARTING,
        )
        return Claimed(run.pk, run.claim + 1)


def take_back_expired() -> int:
    """A fit whose process died: queued again, or failed when every attempt ended so."""
    expired = FitRun.objects.filter(state=FitRun.State.FITTING, lease_until__lt=timezone.now())
    with transaction.atomic():
        lost = list(expired.select_for_update(skip_locked=True, of=("self",)))
        for run in lost:
            _again_or_failed(run, "The process that made the fit ended")
    return len(lost)


def carry_out(claimed: Claimed) -> FitRun:
    """Make a claimed fit. Whatever goes wrong is kept with the row; a lost lease changes nothing."""
    try:
        with _renewing(claimed):
            artifact, comparison, read_at = _fit()
            with transaction.atomic():
                run = _mine(claimed)
                if run is not None:
                    outcome = _settle(run, artifact, comparison)
                    run.state, run.lease_until, run.finished_at = FitRun.State.DONE, None, timezone.now()
                    run.artifact, run.outcome, run.read_at, run.error = artifact, outcome, read_at, ""
                    run.save()
            Artifact.prune()
    except Exception as problem:
        log.exception("fit_broke", run=claimed.pk)
        with transaction.atomic():
            run = _mine(claimed)
            if run is not None:
                _again_or_failed(run, f"{type(problem).__name__} while fitting")
    return FitRun.objects.get(pk=claimed.pk)


def _fit() -> tuple[Artifact, gate.Comparison, datetime]:
    """Fit, and measure against what is in force."""
    decided = decisions()
    payload, metrics = fit_payload(decided.fitting, decided.undecided, precision=settings.APPLY_PRECISION)
    metrics["held_out_texts"] = len(decided.unseen)
    artifact = keep(payload, metrics)
    comparison = gate.compare(
        candidate=LocalEngine(from_bytes(payload), artifact.version),
        live=load_local(),
        unseen=decided.unseen,
        known=[example.vector for example in (*starter_examples(), *decided.fitting)],
        taxonomy=taxonomy()[0],
        precision=settings.APPLY_PRECISION,
        undecided=[gate.Unseen(one.text, one.vector, {}, one.source) for one in decided.undecided],
    )
    return artifact, comparison, decided.read_at


def _settle(run: FitRun, artifact: Artifact, comparison: gate.Comparison) -> str:
    """Put the fit in force if it may; the sentence that says what became of it."""
    artifact.refresh_from_db(fields=["live"])
    if artifact.live:
        return "Nothing has changed: the same fit is in force."
    artifact.comparison = comparison.as_json()
    artifact.save(update_fields=["comparison"])
    if artifact.rolled_back:
        return "Not put in force: it was rolled back, and nothing new was decided since."
    if comparison.verdict == "refused":
        return f"Not put in force. {comparison.reason}"
    artifact.put_in_force(why=comparison.reason[:300], by=run.by)
    return f"In force. {comparison.reason}"


def _mine(claimed: Claimed) -> FitRun | None:
    runs = FitRun.objects.select_for_update(of=("self",))
    return runs.filter(pk=claimed.pk, claim=claimed.claim, state=FitRun.State.FITTING).first()


def _again_or_failed(run: FitRun, why: str) -> None:
    run.lease_until = None
    run.error = f"{why}."
    if run.attempts < MOST_ATTEMPTS:
        run.state = FitRun.State.QUEUED
        run.not_before = timezone.now() + timedelta(seconds=30 * (run.attempts - 1))  # the first time at once
    else:
        run.state, run.finished_at, run.read_at = FitRun.State.FAILED, timezone.now(), timezone.now()
        run.error = f"{why}. Given up after {run.attempts} attempts."
    run.save()


@contextmanager
def _renewing(claimed: Claimed) -> Iterator[None]:
    """Keep the lease from a thread of its own: a fit is one long computation."""
    stop = threading.Event()

    def renew() -> None:
        try:
            while True:
                mine = FitRun.objects.filter(pk=claimed.pk, claim=claimed.claim, state=FitRun.State.FITTING)
                mine.update(lease_until=timezone.now() + 4 * LEASE)  # a computation may keep this thread waiting
                if stop.wait(RENEW_EVERY):
                    break
        except Exception:
            log.exception("lease_not_renewed", run=claimed.pk)
        finally:
            connection.close()

    thread = threading.Thread(target=renew, name="renew", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
