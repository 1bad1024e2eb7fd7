from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets import tasks
from tickets.actions import fitting
from tickets.actions.errors import Conflict
from tickets.models import Example, FitRun, Ticket
from triage.engines.weights import FORMAT, from_bytes
from triage.learning import gate, live
from triage.learning.payload import starter_fit
from triage.models import Artifact, Reign, User

NEW = FitRun.Cause.DECISIONS


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(live, "_loaded", None)
    monkeypatch.setattr(live, "LOOK_EVERY", 0.0)
    yield


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits in no time: the starter set's weights under as many names as there are decided texts."""

    def fitted(decided: list[object], undecided: list[object], *, precision: float) -> tuple[bytes, dict[str, object]]:
        weights = from_bytes(starter_fit()[0])
        weights.about = {**(weights.about or {}), "decided_texts": len(decided)}
        return weights.to_bytes(), {**starter_fit()[1], "decided_texts": len(decided)}

    monkeypatch.setattr(fitting, "fit_payload", fitted)


def decide(make_ticket: MakeTicket, count: int, *, held_out: bool = False) -> list[Ticket]:
    tickets = [make_ticket() for _ in range(count)]
    Example.objects.bulk_create(
        Example(ticket=ticket, text="Export fails", labels={"category": "bug"}, held_out=held_out) for ticket in tickets
    )
    return tickets


def made() -> FitRun:
    claimed = fitting.claim()
    assert claimed is not None
    return fitting.carry_out(claimed)


def verdict(word: str) -> gate.Comparison:
    return gate.Comparison(word, f"It was {word}.", "old", 100, {})


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "compare", lambda **_: verdict("refused"))


def test_a_fit_that_is_asked_for_is_made_measured_and_put_in_force(make_ticket: MakeTicket, quick: None) -> None:
    decide(make_ticket, 2)
    fitting.ask_for_fit(cause=NEW)
    run = made()
    assert (run.state, run.artifact) == ("done", Artifact.objects.get(live=True))
    assert run.artifact is not None and run.artifact.verdict == "untested"
    assert "takes over" in run.outcome and "takes over" in Reign.objects.filter(artifact=run.artifact).get().why


def test_a_refused_fit_is_kept_and_may_be_put_in_force_by_a_named_person(
    make_ticket: MakeTicket, quick: None, refusing: None, lead: User
) -> None:
    decide(make_ticket, 2)
    fitting.ask_for_fit(cause=NEW)
    run = made()
    assert run.artifact is not None and not run.artifact.live
    assert run.outcome == "Not put in force. It was refused."
    run.artifact.put_in_force(by=lead, why="It reads the new product.")
    reign = Reign.objects.get(artifact=run.artifact)
    assert (reign.by, reign.why, reign.ended_at) == (lead, "It reads the new product.", None)


def test_what_was_rolled_back_comes_back_only_with_new_decisions(
    make_ticket: MakeTicket, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    first = live.load_local().version
    decide(make_ticket, 2)
    call_command("fit")
    second = live.load_local().version
    call_command("rollback_engine")
    assert live.load_local().version == first != second
    call_command("fit")
    assert live.load_local().version == first and "nothing new was decided" in capsys.readouterr().out
    decide(make_ticket, 1)
    call_command("fit")
    assert live.load_local().version not in (first, second)


def test_rolling_back_twice_goes_two_fits_back_and_a_version_may_be_named(make_ticket: MakeTicket, quick: None) -> None:
    versions = [live.load_local().version]
    for _ in range(2):
        decide(make_ticket, 1)
        call_command("fit")
        versions.append(live.load_local().version)
    for expected in (versions[1], versions[0]):
        call_command("rollback_engine")
        assert live.load_local().version == expected
    with pytest.raises(CommandError, match="no earlier fit"):
        call_command("rollback_engine")
    call_command("rollback_engine", versions[2])
    assert live.load_local().version == versions[2]


def test_at_most_one_fit_is_open_over_all_machines(make_ticket: MakeTicket) -> None:
    fitting.ask_for_fit(cause=NEW)
    with pytest.raises(Conflict, match="being made already"):
        fitting.ask_for_fit(cause=NEW)
    with pytest.raises(IntegrityError), transaction.atomic():
        FitRun.objects.create(cause=NEW)
    assert fitting.claim() is not None and fitting.claim() is None


def test_a_fit_is_due_after_fifty_new_decisions_that_no_fit_has_looked_at(
    make_ticket: MakeTicket, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triage.learning.cadence.nightly", lambda **_: False)
    decide(make_ticket, 49)
    decide(make_ticket, 5, held_out=True)
    assert fitting.ask_if_due() is None
    decide(make_ticket, 1)
    tasks.tend()
    assert FitRun.objects.get().cause == "decisions"
    assert fitting.ask_if_due() is None
    made()
    assert fitting.new_decisions() == 0 and fitting.ask_if_due() is None


@pytest.mark.parametrize("decisions", [3, 50])
def test_a_changed_format_makes_a_fit_due_from_all_decisions_however_few(
    make_ticket: MakeTicket, quick: None, monkeypatch: pytest.MonkeyPatch, decisions: int
) -> None:
    monkeypatch.setattr("triage.learning.cadence.nightly", lambda **_: False)
    decide(make_ticket, decisions)
    fitting.ask_for_fit(cause=NEW)
    assert made().artifact.live and fitting.ask_if_due() is None  # type: ignore[union-attr]
    weights = from_bytes(starter_fit()[0])
    weights.about = {**(weights.about or {}), "another": "format"}
    fresh = weights.to_bytes()
    monkeypatch.setattr("triage.engines.weights.FORMAT", FORMAT + 1)
    monkeypatch.setattr(live, "starter_fit", lambda: (fresh, {**starter_fit()[1]}))
    monkeypatch.setattr(live, "from_bytes", lambda payload: weights if payload == fresh else from_bytes(payload))
    live.load_local()
    assert Artifact.objects.get(live=True).metrics["decided_texts"] == 0
    asked = fitting.ask_if_due()
    assert asked is not None and asked.cause == "decisions"
    FitRun.objects.update(state=FitRun.State.DONE, finished_at=timezone.now())
    assert fitting.ask_if_due() is None  # once, whatever the gate made of it


def test_a_killed_fit_is_taken_up_again_and_fails_visibly_in_the_end(make_ticket: MakeTicket) -> None:
    fitting.ask_for_fit(cause=NEW)
    for attempt in (1, 2, 3):
        assert fitting.claim() is not None
        FitRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert fitting.take_back_expired() == 1
        FitRun.objects.update(not_before=timezone.now())
        run = FitRun.objects.get()
        assert (run.attempts, run.state) == (attempt, "failed" if attempt == 3 else "queued")
    assert run.error == "The process that made the fit ended. Given up after 3 attempts."


def test_a_late_finisher_changes_nothing(make_ticket: MakeTicket, quick: None) -> None:
    before = live.load_local().version
    decide(make_ticket, 1)
    fitting.ask_for_fit(cause=NEW)
    late = fitting.claim()
    assert late is not None
    FitRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    fitting.take_back_expired()
    assert fitting.carry_out(late).state == "queued"
    assert live.load_local().version == before


def test_a_fit_that_breaks_keeps_its_reason_and_what_is_in_force(
    make_ticket: MakeTicket, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = live.load_local().version

    def broken(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(fitting, "fit_payload", broken)
    fitting.ask_for_fit(cause=NEW)
    run = made()
    assert (run.state, run.error) == ("queued", "MemoryError while fitting.")
    assert live.load_local().version == before


def test_the_batch_drain_makes_the_fit_in_a_process_of_its_own(
    make_ticket: MakeTicket, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    class Process:
        def __init__(self, command: list[str], **_: object) -> None:
            started.append(command)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr("tickets.tasks.subprocess.Popen", Process)
    run = fitting.ask_for_fit(cause=NEW)
    tasks.start_fit()
    tasks.start_fit()
    assert [command[1:] for command in started] == [["manage.py", "fit", "--claimed", str(run.pk), "1"]]


def test_old_fits_are_pruned_but_for_the_last_twenty_and_what_was_in_force_lately(db: None) -> None:
    fits = [Artifact.objects.create(version=f"v{number}", payload=b"") for number in range(25)]
    for fit, ended in ((fits[0], 10), (fits[1], 100)):
        reign = Reign.objects.create(artifact=fit, why="A test.")
        Reign.objects.filter(pk=reign.pk).update(ended_at=timezone.now() - timedelta(days=ended))
    fits[2].put_in_force(why="A test.")
    assert Artifact.prune() == 3
    assert {"v0", "v2", "v5"} <= set(Artifact.objects.values_list("version", flat=True))
    assert not Artifact.objects.filter(version__in=("v1", "v3", "v4")).exists()
