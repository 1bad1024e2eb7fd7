"""The fit in force: loaded once a process, swapped when another goes live, made from the starter set at first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.db import connection, transaction

from triage.engines.local import LocalEngine
from triage.engines.weights import Unreadable, from_bytes, version_of
from triage.learning.payload import starter_fit, starter_hash
from triage.models import Artifact, User

log = structlog.get_logger(__name__)
# How late a process may notice that another fit went live.
LOOK_EVERY = 5.0
_LOCK_KEY = 7_461_001  # any number nobody else uses: one process fits, the others wait for what it stores

_lock = threading.Lock()
_loaded: LocalEngine | None = None
_stopped: frozenset[str] = frozenset()
_looked_at = 0.0


def load_local() -> LocalEngine:
    """The local engine in force. The very first call at a desk fits it from the starter set, which takes seconds."""
    global _loaded, _stopped, _looked_at  # noqa: PLW0603 - one engine a process, replaced whole
    with _lock:
        if _loaded is not None and time.monotonic() - _looked_at < LOOK_EVERY:
            return _loaded
        artifact = _live()
        if (
            artifact is None
            or _loaded is None
            or (artifact.version, artifact.stopped_fields) != (_loaded.version, _stopped)
        ):
            _loaded = _engine(artifact)
            _stopped = artifact.stopped_fields if artifact else frozenset()
        _looked_at = time.monotonic()
        return _loaded


def keep(payload: bytes, metrics: dict[str, Any]) -> Artifact:
    """Keep a fit, in force or not; the same bytes are kept once."""
    artifact, _ = Artifact.objects.get_or_create(
        kind=Artifact.Kind.LOCAL, version=version_of(payload), defaults={"payload": payload, "metrics": metrics}
    )
    return artifact


def store(payload: bytes, metrics: dict[str, Any], *, why: str = "Fitted from the starter set.") -> Artifact:
    """Keep a fit and put it in force."""
    artifact = keep(payload, metrics)
    artifact.put_in_force(why=why)
    return artifact


class NoEarlierFit(LookupError):
    """There is nothing to go back to; the message says so."""


def roll_back(*, by: User | None = None, to: str = "", why: str = "Rolled back.") -> Artifact:
    """Put the fit before the one in force (or the one whose version begins with `to`) back. Raises NoEarlierFit.

    What is taken out comes back by a person's word alone, or by a fit that knows more decisions.
    """
    with transaction.atomic():
        now = Artifact.objects.select_for_update(of=("self",)).filter(live=True).defer("payload").first()
        fits = Artifact.objects.filter(live=False).defer("payload")
        earlier = fits.filter(version__startswith=to).first() if to else now.before() if now else None
        if earlier is None:
            told = f"There is no other fit whose version begins with {to}." if to else "There is no earlier fit."
            raise NoEarlierFit(told)
        earlier.put_in_force(why=why, by=by, rollback=True)
    return earlier


def _live() -> Artifact | None:
    return Artifact.objects.filter(kind=Artifact.Kind.LOCAL, live=True).defer("payload").first()


def _engine(artifact: Artifact | None) -> LocalEngine:
    engine = _readable(artifact)
    if engine is not None:
        return engine
    with _one_at_a_time():
        artifact = _live()  # another process may have fitted while this one waited
        engine = _readable(artifact)
        if engine is None:
            payload, metrics = starter_fit()
            artifact = store(payload, metrics)
            log.info("local_engine_fitted", version=artifact.version, seconds=metrics["seconds"])
            engine = LocalEngine(from_bytes(payload), artifact.version)
    return engine


def _readable(artifact: Artifact | None) -> LocalEngine | None:
    """The engine of an artifact, unless it was made for another version of the code or of the starter set."""
    if artifact is None:
        return None
    try:
        weights = from_bytes(bytes(artifact.payload))
    except Unreadable as problem:
        log.warning("local_engine_unreadable", version=artifact.version, why=str(problem))
        return None
    about = weights.about or {}
    if about.get("starter") != starter_hash():
        log.info("local_engine_older_than_starter_set", version=artifact.version)
        if not about.get("decided_texts"):
            return None
        weights.reference = None  # what people decided still counts; the examples it would name are others now
    return LocalEngine(weights, artifact.version, artifact.stopped_fields)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK_KEY])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK_KEY])
