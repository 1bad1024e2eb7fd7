from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import IntegrityError, connection, transaction

from triage.engines.weights import FORMAT, from_bytes, version_of
from triage.learning import live
from triage.learning.live import load_local, store
from triage.learning.payload import starter_fit
from triage.models import Artifact

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As a process that has loaded nothing yet, and looks for another fit each time."""
    monkeypatch.setattr(live, "_loaded", None)
    monkeypatch.setattr(live, "LOOK_EVERY", 0.0)
    yield


def _other_payload() -> bytes:
    weights = from_bytes(starter_fit()[0])
    weights.about = {**(weights.about or {}), "decided_texts": 7}
    return weights.to_bytes()


def test_a_new_desk_gets_a_fit_of_the_starter_set() -> None:
    engine = load_local()
    artifact = Artifact.objects.get()
    assert (artifact.live, artifact.version) == (True, engine.version)
    assert artifact.metrics["fields"]["category"]["accuracy"] > 0.6
    assert artifact.metrics["decided_texts"] == 0


def test_the_second_call_fits_nothing() -> None:
    assert load_local() is load_local()
    assert Artifact.objects.count() == 1


def test_another_fit_that_goes_live_is_taken_up() -> None:
    first = load_local()
    artifact = store(_other_payload(), {})
    assert load_local().version == artifact.version != first.version
    Artifact.objects.get(version=first.version).put_in_force(why="A test.")
    assert load_local().version == first.version


def test_between_two_looks_the_database_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: object
) -> None:
    load_local()
    monkeypatch.setattr(live, "LOOK_EVERY", 60.0)
    with django_assert_num_queries(0):  # type: ignore[operator]
        load_local()


def test_a_damaged_artifact_is_replaced_by_a_fresh_fit() -> None:
    Artifact.objects.create(version="damaged", payload=b"not an archive", live=True)
    engine = load_local()
    assert engine.version == version_of(starter_fit()[0])
    assert Artifact.objects.get(live=True).version == engine.version


def test_a_fit_of_an_older_starter_set_is_made_anew_unless_it_holds_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    old = load_local().version
    decided = store(_other_payload(), {})
    monkeypatch.setattr(live, "starter_hash", lambda: "another")
    assert load_local().version == decided.version
    assert load_local().read.__self__._weights.reference is None  # type: ignore[attr-defined]
    Artifact.objects.get(version=old).put_in_force(why="A test.")
    monkeypatch.setattr(live, "_loaded", None)
    load_local()
    assert Artifact.objects.get(live=True).version == old  # the same texts make the same bytes


def test_storing_the_same_fit_twice_keeps_one() -> None:
    payload, metrics = starter_fit()
    assert store(payload, metrics).pk == store(payload, metrics).pk


def test_two_live_fits_of_a_kind_cannot_be() -> None:
    Artifact.objects.create(version="one", payload=b"", live=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Artifact.objects.create(version="two", payload=b"", live=True)


@pytest.mark.django_db(transaction=True)
def test_of_two_processes_at_a_new_desk_one_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    starter_fit()
    fits: list[int] = []
    original = live.store

    def counting(payload: bytes, metrics: dict[str, object]) -> Artifact:
        fits.append(1)
        return original(payload, metrics)

    monkeypatch.setattr(live, "store", counting)
    versions: list[str] = []

    def process() -> None:
        versions.append(live._engine(None).version)
        connection.close()

    threads = [threading.Thread(target=process) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(versions), len(set(versions)), len(fits)) == (3, 1, 1)


def test_a_fit_in_an_older_format_is_left_and_a_fresh_one_takes_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An update of the desk that changes the format finds the fits of the version before in the database."""
    weights = from_bytes(_other_payload())
    with monkeypatch.context() as before:
        before.setattr("triage.engines.weights.FORMAT", FORMAT - 1)
        old = store(weights.to_bytes(), {})
    engine = load_local()
    assert engine.version == version_of(starter_fit()[0]) == Artifact.objects.get(live=True).version
    assert Artifact.objects.filter(version=old.version, live=False).exists()
    assert "local_engine_unreadable" in caplog.text and "another version of the engine" in caplog.text
