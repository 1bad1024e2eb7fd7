from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from triage.learning.gate import AT_LEAST, Comparison, Unseen, compare, is_held_out
from triage.pipeline.types import Decided, FieldReading, Inquiry, Taxonomy, Turn

NOTHING = Taxonomy((), (), ())
TEXTS = 200


class Reader:
    """Answers by rule: right on the texts whose number is not among `wrong`; applied from 0.9 on."""

    suggested_only: frozenset[str] = frozenset()

    def __init__(self, version: str, *, wrong: Sequence[int] = (), confidence: float = 0.95) -> None:
        self.version = version
        self.wrong = set(wrong)
        self.confidence = confidence
        self.nearest: list[float] = []

    def read(self, inquiry: Inquiry, vector: Any, taxonomy: Taxonomy, examples: Sequence[Decided] = ()) -> Any:
        self.nearest.append(max((example.similarity for example in examples), default=0.0))
        value = "bug" if int(inquiry.text.split()[-1]) not in self.wrong else "question"
        band = "apply" if self.confidence >= 0.9 else "suggest"
        return {"category": FieldReading(value, self.confidence, "", "local", band)}  # type: ignore[arg-type]


def texts(count: int = TEXTS, labels: Mapping[str, Any] | None = None) -> list[Unseen]:
    vector = np.eye(1, 384, dtype=np.float32)[0]
    return [Unseen(f"text {number}", vector, labels or {"category": "bug"}) for number in range(count)]


def gate(candidate: Reader, live: Reader, unseen: list[Unseen] | None = None) -> Comparison:
    return compare(candidate=candidate, live=live, unseen=unseen or texts(), known=[], taxonomy=NOTHING, precision=0.95)


def test_a_fit_that_is_clearly_worse_is_refused_with_its_figures() -> None:
    found = gate(Reader("new", wrong=range(30)), Reader("old", wrong=range(5)))
    assert found.verdict == "refused"
    assert "category: 85.0% right against 97.5%" in found.reason
    field = found.fields["category"]
    assert field.difference == pytest.approx(-0.125) and field.at_most < 0
    assert (field.texts, field.candidate.accuracy, field.live.precision) == (200, 0.85, 0.975)


def test_what_people_changed_is_shown_apart_from_what_they_only_accepted() -> None:
    """The live fit proposed the first 150 texts' values, which were accepted; the other 50 people changed."""
    unseen = [
        replace(one, accepted=frozenset({"category"} if number < 150 else ())) for number, one in enumerate(texts())
    ]
    found = gate(Reader("new", wrong=range(140, 160)), Reader("old", wrong=range(150, 200)), unseen).fields["category"]
    assert (found.texts, found.candidate.accuracy, found.live.accuracy) == (200, 0.9, 0.75)
    assert (found.changed.texts, found.changed.candidate, found.changed.live) == (50, 0.8, 0.0)
    alone = gate(Reader("new"), Reader("old"), [replace(one, accepted=frozenset({"category"})) for one in unseen])
    assert (alone.fields["category"].changed.texts, alone.fields["category"].changed.live) == (0, None)


def test_a_difference_within_noise_passes() -> None:
    found = gate(Reader("new", wrong=range(0, 10)), Reader("old", wrong=range(8, 16)))
    assert found.fields["category"].difference < 0 < found.fields["category"].at_most
    assert found.verdict == "passed"


def test_the_test_is_paired_so_the_same_mistakes_are_no_noise() -> None:
    """Eight more mistakes in 200 drown in two independent samples; text by text they show."""
    old = range(40)
    new = range(48)
    found = gate(Reader("new", wrong=new, confidence=0.8), Reader("old", wrong=old, confidence=0.8))
    assert found.verdict == "refused"


def test_a_fit_that_believes_itself_too_much_is_refused() -> None:
    wrong = range(0, TEXTS, 4)
    found = gate(Reader("new", wrong=wrong, confidence=0.89), Reader("old", wrong=wrong, confidence=0.75))
    assert found.verdict == "refused" and "calibration error 0.140 against 0.000" in found.reason


def test_a_fit_that_applies_much_less_is_refused_unless_the_live_one_broke_its_promise() -> None:
    few = range(0, 8)
    assert (
        "applies 0.0% against 100.0%"
        in gate(Reader("new", wrong=few, confidence=0.89), Reader("old", wrong=few)).reason
    )
    many = range(0, 30)
    honest = gate(Reader("new", wrong=many, confidence=0.85), Reader("old", wrong=many, confidence=0.95))
    assert honest.verdict == "passed"


def test_a_fit_that_applies_what_is_wrong_is_refused() -> None:
    found = gate(Reader("new", wrong=range(22), confidence=0.9), Reader("old", wrong=range(22), confidence=0.89))
    assert "89.0% of what it applies is right, and 95% is wished" in found.reason


def test_too_few_decisions_are_said_to_be_too_few() -> None:
    found = gate(Reader("new", wrong=range(20)), Reader("old"), texts(AT_LEAST - 1))
    assert found.verdict == "untested" and f"Only 29 of the {AT_LEAST}" in found.reason
    assert gate(Reader("new", wrong=range(20)), Reader("old"), texts(AT_LEAST)).verdict == "refused"


def test_a_text_counts_for_the_fields_that_people_decided_alone() -> None:
    unseen = [*texts(40), *texts(60, {"team": "software"})]
    assert gate(Reader("new"), Reader("old"), unseen).fields["category"].texts == 40


def test_readers_are_told_what_is_near_among_the_desks_decisions() -> None:
    reader = Reader("new")
    known = [np.eye(1, 384, dtype=np.float32)[0] * 0.8, np.zeros(384, dtype=np.float32)]
    compare(candidate=reader, live=reader, unseen=texts(1), known=known, taxonomy=NOTHING, precision=0.95)
    assert reader.nearest == [pytest.approx(0.8)] * 2


def test_one_ticket_in_ten_is_held_out_and_always_the_same() -> None:
    drawn = [number for number in range(1, 5_001) if is_held_out(number)]
    assert 400 < len(drawn) < 600
    assert drawn[:3] == [number for number in range(1, 5_001) if is_held_out(number)][:3]


def test_a_held_out_text_is_read_as_a_reading_sees_it() -> None:
    inquiry = Inquiry("Printer", (Turn("customer", "Jammed.\n\nAgain."), Turn("customer", "Still.")), source="Shop")
    unseen = Unseen(inquiry.text, np.eye(1, 384, dtype=np.float32)[0], {}, "Shop")
    assert unseen.inquiry == inquiry
    assert Unseen("bare", unseen.vector, {}).inquiry.text.strip() == "bare"


class Graded(Reader):
    """As sure of every second text as can be, and hardly sure enough of the others."""

    def read(self, inquiry: Inquiry, vector: Any, taxonomy: Taxonomy, examples: Sequence[Decided] = ()) -> Any:
        self.confidence = 0.91 if int(inquiry.text.split()[-1]) % 2 else 0.99
        return super().read(inquiry, vector, taxonomy, examples)


def test_the_promise_is_judged_for_all_tickets_though_people_decide_the_hard_ones() -> None:
    candidate, live = Graded("new", wrong=range(1, 45, 2)), Reader("old", wrong=range(1, 43, 2))
    assert "89.0% of what it applies is right, and 95% is wished" in gate(candidate, live).reason
    easy = [one for number, one in enumerate(texts(4_000, {})) if number % 2 == 0]
    found = compare(
        candidate=candidate, live=live, unseen=texts(), known=[], taxonomy=NOTHING, precision=0.95, undecided=easy
    )
    assert found.verdict == "passed"
