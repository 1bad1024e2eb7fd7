from __future__ import annotations

import numpy as np
import pytest

from tests.triage.conftest import Write
from triage.embedding import embed
from triage.engines.local import LocalEngine, Neighbour, tag
from triage.engines.weights import Novelty, from_bytes, version_of
from triage.learning import starter
from triage.learning.calibrate import calibration_error
from triage.learning.fit import fit
from triage.learning.payload import FIELDS, starter_examples
from triage.pipeline.types import Decided, Inquiry, Label, Taxonomy, Turn


def test_it_reads_every_field_with_a_reason(local: LocalEngine, taxonomy: Taxonomy, write: Write) -> None:
    inquiry = write("Cannot log in", "I changed my password and now I am locked out of my account.")
    readings = local.read(inquiry, embed(inquiry.text), taxonomy)
    assert set(FIELDS) <= set(readings)
    assert readings["category"].value == "access"
    assert readings["team"].value == "security"
    assert "Like “" in readings["category"].reason
    assert "words:" in readings["category"].reason
    assert all(0 <= reading.confidence <= 1 and reading.engine == "local" for reading in readings.values())


def test_it_applies_nothing_before_anybody_decided(local: LocalEngine, taxonomy: Taxonomy) -> None:
    assert all(head.apply_from is None and head.decided == 0 for head in local.heads)
    for row in starter.rows()[::40]:
        readings = local.read(Inquiry(row.title, ()), embed(row.text), taxonomy)
        assert {reading.band for reading in readings.values()} == {"suggest"}


def test_it_applies_from_a_threshold_that_decisions_have_shown(
    payload: bytes, taxonomy: Taxonomy, write: Write
) -> None:
    from dataclasses import replace

    weights = from_bytes(payload)
    weights.heads = tuple(replace(head, apply_from=0.6) for head in weights.heads)
    inquiry = write("Locked out", "My password no longer works and I am locked out of my account")
    reading = LocalEngine(weights, "decided").read(inquiry, embed(inquiry.text), taxonomy)["category"]
    assert (reading.band, reading.confidence >= 0.6) == ("apply", True)


def test_what_is_like_nothing_known_makes_it_unsure(local: LocalEngine, taxonomy: Taxonomy, write: Write) -> None:
    strange = write("Apple pie", "Take six apples and a little cinnamon, and bake for an hour at moderate heat.")
    reading = local.read(strange, embed(strange.text), taxonomy)["category"]
    assert reading.confidence < 0.4
    assert "little like anything known" in reading.reason.lower()


def test_a_decided_example_like_it_takes_the_strangeness_away(
    local: LocalEngine, taxonomy: Taxonomy, write: Write
) -> None:
    inquiry = write("Apple pie", "Take six apples and a little cinnamon, and bake for an hour at moderate heat.")
    vector = embed(inquiry.text)
    alone = local.read(inquiry, vector, taxonomy)["category"]
    known = Decided("Cherry pie of Mrs Smith", {"category": alone.value}, 0.9)
    reading = local.read(inquiry, vector, taxonomy, [known])["category"]
    assert reading.confidence > alone.confidence
    assert "1 decided ticket" in reading.reason
    assert "Smith" not in reading.reason


def test_tags_come_from_the_texts_nearest_to_it() -> None:
    near = [Neighbour(0.9, {"tags": ("vpn", "remote")}, ""), Neighbour(0.8, {"tags": ("vpn",)}, "")]
    far = [Neighbour(0.1, {"tags": ("payroll",)}, "")]
    assert tag("it drops", [*near, *far]).tags == ("vpn",)
    assert tag("it drops", far).tags == ()
    assert tag("it drops", []).tags == ()


def test_what_is_like_nothing_known_is_lent_no_tag(local: LocalEngine, taxonomy: Taxonomy, write: Write) -> None:
    strange = write(
        "Rechnung doppelt bezahlt", "Ich habe die Rechnung INV-2231 zweimal bezahlt. Bitte pruefen Sie das."
    )
    assert tag(strange.text, local._neighbours(embed(strange.text), ())).tags
    assert "tags" not in local.read(strange, embed(strange.text), taxonomy)


def test_it_never_leaves_the_taxonomy(local: LocalEngine, write: Write) -> None:
    narrow = Taxonomy((Label("bug", "Bug", ""), Label("other", "Other", "")), (), (Label("api", "API", ""),))
    inquiry = write("Refund", "Please refund the second charge on my card")
    readings = local.read(inquiry, embed(inquiry.text), narrow)
    assert readings["category"].value in {"bug", "other"}
    assert readings["component"].value in {"api", None}
    assert "team" not in readings


def test_another_thread_with_another_taxonomy_does_not_change_what_is_allowed(
    payload: bytes, taxonomy: Taxonomy
) -> None:
    narrow = Taxonomy((Label("bug", "Bug", ""),), (), ())
    plain = LocalEngine(from_bytes(payload), "plain")
    wide, other = plain._allowed(taxonomy), plain._allowed(narrow)
    assert repr(wide) != repr(other)

    class Overtaken(LocalEngine):
        """What one thread has remembered, another replaces at once."""

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, (narrow, other) if name == "_allowed_by" and value else value)

    assert repr(Overtaken(from_bytes(payload), "overtaken")._allowed(taxonomy)) == repr(wide)


def test_reading_is_deterministic(payload: bytes, taxonomy: Taxonomy, write: Write) -> None:
    inquiry = write("Slow", "The board takes a minute to open since Monday")
    vector = embed(inquiry.text)
    first, second = (LocalEngine(from_bytes(payload), version_of(payload)) for _ in range(2))
    assert first.read(inquiry, vector, taxonomy) == second.read(inquiry, vector, taxonomy)


def test_familiarity_falls_with_the_distance() -> None:
    novelty = Novelty(strange=0.3, usual=0.5)
    falling = [novelty.familiarity(nearest) for nearest in (0.9, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)]
    assert falling == sorted(falling, reverse=True)
    assert (falling[0], falling[-1]) == (1.0, 0.0)


def test_confidence_can_be_believed_on_texts_it_has_not_seen(taxonomy: Taxonomy) -> None:
    examples, rows = starter_examples(), starter.rows()
    order = np.random.default_rng(11).permutation(len(rows))
    held, known = order[: len(order) // 4], order[len(order) // 4 :]
    engine = LocalEngine(fit([examples[row] for row in known], ["category", "team"]).weights, "three quarters")
    for name, least in (("category", 0.70), ("team", 0.70)):
        confidence, correct = [], []
        for row in held:
            title, text = rows[row].text.split("\f")
            inquiry = Inquiry(title, (Turn("customer", text),))
            reading = engine.read(inquiry, examples[row].vector, taxonomy)[name]  # type: ignore[index]
            confidence.append(reading.confidence)
            correct.append(float(reading.value == rows[row].labels[name]))
        sure = np.array(confidence) >= 0.9
        assert np.mean(correct) > least
        assert calibration_error(np.array(confidence), np.array(correct)) < 0.12
        assert np.array(correct)[sure].mean() == pytest.approx(np.array(confidence)[sure].mean(), abs=0.08)
