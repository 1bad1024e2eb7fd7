"""Tickets read again as one undertaking: begun, kept moving by whoever looks in, ended, called off."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from tickets.actions.batching import advance_batch
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.handing import AHEAD, AHEAD_CAREFUL, hand, settle
from tickets.models import COMPARED, Replay, ReplayTicket, Ticket, leads
from tickets.models.choices import ReadWith
from tickets.reader import Reader, flaw_in
from triage import batches, calls
from triage.models import Budget, User
from triage.queue import ring

log = structlog.get_logger(__name__)
PORTION = 1_000
Kind, State, Row = Replay.Kind, Replay.State, ReplayTicket.State


def start(
    *,
    kind: Replay.Kind,
    tickets: QuerySet[Ticket],
    chosen: str,
    reader: Reader,
    by: User | None,
    **options: Any,
) -> Replay:
    """Begin; `by` is None for a command. The same asked again while it runs is the one that runs.

    `options` are fields of Replay: batch, drafts, leave_when_spent, share, calls_a_day. A shadow takes no tickets:
    they come as they are read. Raises Forbidden, Invalid, Conflict.
    """
    _require(by)
    _check(kind, reader, options)
    if (begun := running(kind=kind, chosen=chosen, reader=reader, **options)) is not None:
        return begun
    digest = _digest(kind, chosen, reader, options)
    try:
        with transaction.atomic():
            replay = Replay.objects.create(
                kind=kind, chosen=chosen[:300], digest=digest, by=by, **asdict_of(reader), **options
            )
            if kind != Kind.SHADOW:
                _line_up(replay, tickets)
            _advance(replay)
            ring("batch")
    except IntegrityError as clash:
        raise Conflict("running", "A shadow runs already. Stop it before another one is begun.") from clash
    log.info("replay_started", replay=replay.pk, kind=kind, rows=replay.rows.count())
    return replay


def running(*, kind: Replay.Kind, chosen: str, reader: Reader, **options: Any) -> Replay | None:
    """The one that was asked for in these very words and is not through yet."""
    return Replay.objects.filter(digest=_digest(kind, chosen, reader, options), state=State.RUNNING).first()


def asdict_of(reader: Reader) -> dict[str, Any]:
    """The reader as fields of a Replay."""
    fields = asdict(reader)
    fields["fit_id"] = fields.pop("fit")
    return fields


def _require(by: User | None) -> None:
    if by is not None and not leads(by):
        raise Forbidden("not_a_lead", "Only leads and administrators may have many tickets read again.")


def _check(kind: Replay.Kind, reader: Reader, options: dict[str, Any]) -> None:
    asks = reader.engine == ReadWith.MODEL or reader.model or reader.prompt or options.get("batch")
    if asks and not calls.configured():
        raise Invalid("no_model", "No language model is configured.", field="engine")
    if kind == Kind.STORE and (reader.model or reader.prompt or reader.fit_version):
        raise Invalid("trial", "What is only tried is compared, and not stored. Put it in force first.", field="engine")
    if (reader.model or reader.prompt) and reader.engine not in (ReadWith.CASCADE, ReadWith.MODEL):
        raise Invalid("no_model", "This engine asks no model.", field="engine")
    if reader.fit_version and reader.engine not in (ReadWith.CASCADE, ReadWith.LOCAL):
        raise Invalid("no_fit", "This engine reads without a fit.", field="engine")
    if reader.prompt and (flaw := flaw_in(reader.prompt)):
        raise Invalid("prompt", flaw, field="prompt")
    if options.get("batch") and reader.engine not in (ReadWith.CASCADE, ReadWith.MODEL):
        raise Invalid("no_model", "Batches are of requests to the model: choose the engine model.", field="engine")


def _digest(kind: Replay.Kind, chosen: str, reader: Reader, options: dict[str, Any]) -> str:
    asked = json.dumps([kind, chosen, asdict(reader), options], sort_keys=True, default=str)
    return hashlib.sha256(asked.encode()).hexdigest()


def _line_up(replay: Replay, tickets: QuerySet[Ticket]) -> None:
    """A row a ticket, with what it holds now."""
    labels = ("category", "team", "component")
    names = [f"{name}__key" if name in labels else name for name in COMPARED]
    rows: list[ReplayTicket] = []
    for number, *values in tickets.values_list("number", *names).iterator(PORTION):
        held = {name: None if value == "" else value for name, value in zip(COMPARED, values, strict=True)}
        rows.append(ReplayTicket(replay=replay, ticket_id=number, held=held))
        if len(rows) == PORTION:
            ReplayTicket.objects.bulk_create(rows)
            rows = []
    ReplayTicket.objects.bulk_create(rows)


def advance_all() -> None:
    """Every few seconds: hand over what there is room for, settle what was read, end what is through.

    One that another process looks after this moment is left to it.
    """
    open_ones = Q(state=State.RUNNING) | Q(state=State.CANCELLED, rows__state=Row.HANDED)
    for pk in Replay.objects.filter(open_ones).exclude(kind=Kind.SHADOW).values_list("pk", flat=True).distinct():
        with transaction.atomic():
            replay = Replay.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=pk).first()
            if replay is not None:
                _advance(replay)
    if ReplayTicket.objects.due(timezone.now()).exists() or batches.is_due():
        ring("batch")


def _advance(replay: Replay) -> None:
    if replay.kind == Kind.STORE:
        settle(replay)
        if replay.is_running:
            (advance_batch if replay.batch else _hand_over)(replay)
    if replay.is_running and replay.kind != Kind.SHADOW and not replay.rows.open().exists():
        replay.state, replay.finished_at, replay.note = State.DONE, timezone.now(), ""
        replay.save(update_fields=["state", "finished_at", "note"])
        log.info("replay_done", replay=replay.pk)


def _hand_over(replay: Replay) -> None:
    """Keep some rows of it before the readers; with a budget that may run out under them, few."""
    careful = replay.leave_when_spent and replay.asks_model
    if careful and (state := Budget.state()).exhausted:
        _say(replay, f"The budget of ${state.limit} for this month is spent. The rest waits.")
        return
    _say(replay, "")
    room = (AHEAD_CAREFUL if careful else AHEAD) - replay.rows.filter(state=Row.HANDED).count()
    if room > 0:
        hand(list(replay.rows.filter(state=Row.WAITING).order_by("pk")[:room]), replay.engine)


def _say(replay: Replay, note: str) -> None:
    if replay.note != note:
        replay.note = note
        replay.save(update_fields=["note"])


def cancel(*, replay: Replay, by: User | None) -> Replay:
    """Read nothing more of it. What was read stays; the tickets in line already are still read."""
    _require(by)
    with transaction.atomic():
        held = Replay.objects.select_for_update(of=("self",)).get(pk=replay.pk)
        if not held.is_running:
            raise Conflict("ended", f"It is {held.get_state_display().lower()} already.")
        held.state, held.finished_at, held.note = State.CANCELLED, timezone.now(), ""
        held.save(update_fields=["state", "finished_at", "note"])
        held.rows.filter(state__in=(Row.WAITING, Row.READING, Row.ASKED)).update(
            state=Row.SKIPPED, lease_until=None, settled_at=timezone.now()
        )
        if held.batch:
            batches.cancel(owner=held.owner)
            ring("batch")
    log.info("replay_cancelled", replay=held.pk, by=by.pk if by else None)
    return held


def switch(*, replay: Replay, by: User) -> None:
    """Put the fit that was compared in force. Raises Invalid where there is none, or it is gone."""
    _require(by)
    if replay.fit is None:
        raise Invalid("no_fit", "This comparison was of no fit, or the fit is not kept any more.")
    replay.fit.put_in_force(why=f"Compared in replay {replay.pk}.", by=by)
    log.info("fit_put_in_force", replay=replay.pk, version=replay.fit.version, by=by.pk)
