from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from tests.tickets.conftest import MakeTicket
from tests.tickets.replaying import model_server
from tickets import estimate
from tickets.actions import replay, review
from tickets.management.choosing import moment
from tickets.management.commands import reprocess
from tickets.models import Category, Comparison, Delivery, Replay, Suggestion, Ticket
from tickets.reader import Reader
from triage.models import Artifact, Call, Price, User
from triage.providers.fake_batches import FakeBatchesAPI


def run(**options: Any) -> str:
    out = io.StringIO()
    call_command("reprocess", stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def failed(make_ticket: MakeTicket) -> Ticket:
    ticket = make_ticket(title="Unreadable")
    Ticket.objects.filter(pk=ticket.pk).update(triage_state="failed", error="It broke.")
    return ticket


def states() -> dict[str, str]:
    return dict(Ticket.objects.values_list("subject", "triage_state"))


def test_a_dry_run_says_which_tickets_and_does_nothing(reviewed: Ticket, failed: Ticket) -> None:
    out = run(dry_run=True)
    assert "2 tickets would be read again" in out
    assert "triage state: " in out
    assert states() == {"Export fails": "triaged", "Unreadable": "failed"}


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, {"Export fails", "Unreadable"}),
        ({"failed": True}, {"Unreadable"}),
        ({"status": "in_review"}, {"Export fails"}),
        ({"team": "software"}, {"Export fails"}),
        ({"team": "none"}, {"Unreadable"}),
        ({"category": "bug"}, set()),
        ({"source": "Support form"}, {"Export fails", "Unreadable"}),
        ({"source": "Elsewhere"}, set()),
        ({"since": "2020-01-01"}, {"Export fails", "Unreadable"}),
        ({"since": "2999-01-01T00:00:00Z"}, set()),
        ({"until": "2020-01-01"}, set()),
        ({"until": "2999-01-01"}, {"Export fails", "Unreadable"}),
        ({"since": "2020-01-01", "until": "2999-12-31T00:00:00Z"}, {"Export fails", "Unreadable"}),
        ({"limit": 1}, {"Unreadable"}),
        ({"read_by": "model"}, set()),
    ],
)
def test_the_filters_choose(reviewed: Ticket, failed: Ticket, options: dict[str, Any], chosen: set[str]) -> None:
    run(no_wait=True, **options)
    assert {subject for subject, state in states().items() if state == "submitted"} == chosen


def test_it_waits_and_says_what_is_different_and_what_it_cost(
    reviewed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_meanwhile(seconds: float) -> None:
        bug = Category.objects.get(key="bug")
        Ticket.objects.update(triage_state="triaged", category=bug)
        Call.objects.create(
            operation="draft",
            provider="fake",
            model_asked="m",
            cost="0.5",
            subject_kind="ticket",
            subject_id=str(reviewed.number),
        )

    monkeypatch.setattr(time, "sleep", read_meanwhile)
    out = run()
    assert f"none → bug: 1 (#{reviewed.number})" in out
    assert "$0.5000" in out


def test_without_a_worker_it_does_not_wait_for_ever(reviewed: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reprocess, "SILENT_AFTER", timedelta(0))
    with pytest.raises(CommandError, match=r"manage\.py work"):
        run()


def test_what_a_person_set_stays(reviewed: Ticket, agent: User) -> None:
    review.correct(ticket=reviewed, changes={"category": "billing"}, by=agent)
    run(no_wait=True)
    reviewed.refresh_from_db()
    assert reviewed.value_of("category") == "billing"
    assert reviewed.decided_by_person("category")


def test_a_date_that_is_none_is_a_sentence(db: None) -> None:
    with pytest.raises(CommandError, match="is no date"):
        run(since="yesterday", dry_run=True)


@pytest.fixture
def server(settings: Settings, db: None) -> Iterator[FakeBatchesAPI]:
    with model_server(settings) as fake:
        yield fake


def test_a_day_ends_with_its_midnight() -> None:
    assert (moment("2026-01-31", end=True) - moment("2026-01-31")).days == 1
    assert moment("2026-01-31T10:00:00Z", end=True) == moment("2026-01-31T10:00:00Z")


# The dry run


def test_a_dry_run_reads_a_sample_and_tells_field_by_field_what_would_change(reviewed: Ticket, lead: User) -> None:
    review.correct(ticket=reviewed, changes={"category": "documentation"}, by=lead)
    before = list(Ticket.objects.values())
    out = run(dry_run=True, engine="local")
    assert "The newest 1 were read on trial" in out
    assert f"(#{reviewed.number})" in out and "priority: 1 changed" in out
    assert "category:" not in out.split("read on trial")[1], "a person decided that"
    assert list(Ticket.objects.values()) == before
    assert Suggestion.objects.count() == 1 and not Replay.objects.exists() and not Delivery.objects.exists()


def test_a_dry_run_asks_the_engine_that_was_named(reviewed: Ticket, server: FakeBatchesAPI) -> None:
    out = run(dry_run=True, engine="model")
    assert len(server.bodies) == 1, "to sort it, and no draft"
    cost = Call.objects.get().cost
    assert cost and f"cost ${cost:.4f}" in out
    assert Call.objects.get().subject_kind == "replay"
    assert run(dry_run=True, engine="model", sample=0) and len(server.bodies) == 1


# What it will cost, and the question


def test_the_estimate_is_by_prices_until_enough_was_measured(reviewed: Ticket, server: FakeBatchesAPI) -> None:
    assert "by prices, at 3.2 characters a token" in run(dry_run=True, sample=0)
    for number in range(estimate.ENOUGH):
        Call.objects.create(
            operation="classify",
            provider="anthropic",
            model_asked="claude-haiku-5-5",
            status="ok",
            latency_ms=5,
            cost="0.02",
            subject_kind="ticket",
            subject_id=str(number),
        )
    out = run(dry_run=True, sample=0, engine="model")
    assert "Cost about $0.0200" in out and "by what it cost of late" in out
    assert "by prices" in run(dry_run=True, sample=0, engine="model", batch=True)
    assert "no model is asked" in run(dry_run=True, sample=0, engine="local")


def test_without_a_price_the_estimate_says_so(reviewed: Ticket, server: FakeBatchesAPI) -> None:
    Price.objects.all().delete()
    assert "Cost unknown, as this model has no price" in run(dry_run=True, sample=0)


def test_a_batch_is_estimated_at_half(reviewed: Ticket, server: FakeBatchesAPI) -> None:
    found = {
        batch: estimate.estimate(Ticket.objects.all(), Reader("model"), drafts=False, batch=batch).cost
        for batch in (False, True)
    }
    half = found[True]
    assert half is not None and found[False] == half * 2


@pytest.mark.parametrize("limit", [{"MANY": 0}, {"DEAR": Decimal("0.0000001")}])
def test_many_or_dear_ones_are_read_only_with_a_yes(
    reviewed: Ticket, server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch, limit: dict[str, Any]
) -> None:
    for name, value in limit.items():
        monkeypatch.setattr(estimate, name, value)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(CommandError, match="Say --yes"):
        run(no_wait=True, engine="model")
    assert states() == {"Export fails": "triaged"}
    run(no_wait=True, engine="model", yes=True)
    assert states() == {"Export fails": "submitted"}


@pytest.mark.parametrize(("said", "state"), [("y\n", "submitted"), ("\n", "triaged")])
def test_a_person_at_the_terminal_is_asked(
    reviewed: Ticket, monkeypatch: pytest.MonkeyPatch, said: str, state: str
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(estimate, "MANY", 0)
    monkeypatch.setattr(sys, "stdin", Terminal(said))
    if state == "triaged":
        with pytest.raises(CommandError, match="Nothing was done"):
            run(no_wait=True)
    else:
        run(no_wait=True)
    assert states() == {"Export fails": state}


# Going on


def test_interrupted_and_called_again_it_goes_on_with_the_same_tickets(
    reviewed: Ticket, make_ticket: MakeTicket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(CommandError, match="the same command again goes on"):
        patch.setattr(time, "sleep", interrupt)
        run(engine="local")
    make_ticket(title="Came later")
    Ticket.objects.filter(subject="Export fails").update(triage_state="triaged", priority="P1")
    out = run(engine="local")
    assert "Going on with what was begun" in out and "Reading again: 1 ticket." in out
    assert "none → P1: 1" in out
    assert Replay.objects.get().state == "done"
    assert "Going on" not in run(engine="local", no_wait=True), "through is through"


def test_a_command_killed_before_it_waited_has_lost_nothing(reviewed: Ticket) -> None:
    run(no_wait=True, engine="rules")
    Ticket.objects.update(triage_state="triaged")
    replay.advance_all()  # what the worker does every few seconds
    assert Replay.objects.get().state == "done"


def test_a_backlog_is_skipped_and_found_again(make_ticket: MakeTicket, reviewed: Ticket) -> None:
    make_ticket(title="Old and waiting")
    assert "Left unread: 1 ticket that waited." in run(skip=True, until="2999-01-01")
    assert states() == {"Old and waiting": "failed", "Export fails": "triaged"}
    assert Ticket.objects.get(subject="Old and waiting").error == "Left unread by a command."
    run(failed=True, no_wait=True)
    assert states()["Old and waiting"] == "submitted"


# Comparisons


def test_a_comparison_is_begun_from_the_shell_and_its_summary_printed(
    reviewed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_meanwhile(seconds: float) -> None:
        row = Replay.objects.get().rows.get()
        Comparison.objects.create(row=row, field="category", live="bug", other="billing", agrees=False)
        Replay.objects.get().rows.update(state="done", lease_until=None, milliseconds=40, cost="0.001")

    monkeypatch.setattr(time, "sleep", read_meanwhile)
    out = run(shadow=True, engine="rules")
    assert "Rules, beside what is in force" in out
    assert "category" in out and "0% (0%-79%)" in out
    assert "A ticket by the other: $0.001000, 40 ms" in out
    assert Replay.objects.get().get_absolute_url() in out
    assert states() == {"Export fails": "triaged"}


def test_another_prompt_and_fit_are_named_by_file_and_version(
    reviewed: Ticket, server: FakeBatchesAPI, tmp_path: Path
) -> None:
    prompt = tmp_path / "classify.md"
    prompt.write_text("Sort. $categories $teams")
    Artifact.objects.create(version="abcdef" + "0" * 10, payload=b"x")
    run(shadow=True, no_wait=True, prompt=str(prompt), fit="abcd", model="claude-sonnet-5")
    made = Replay.objects.get()
    assert (made.prompt, made.fit_version[:6], made.model) == ("Sort. $categories $teams", "abcdef", "claude-sonnet-5")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "m"}, "add --shadow"),
        ({"shadow": True, "fit": "none"}, "No fit begins with"),
        ({"shadow": True, "prompt": "/nowhere/prompt.md"}, "cannot be read"),
        ({"engine": "model"}, "No language model is configured"),
        ({"engine": "local", "batch": True}, "No language model is configured"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(reviewed: Ticket, options: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(no_wait=True, **options)
    assert states() == {"Export fails": "triaged"}
