from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from triage.embedding import clean, embed, inner
from triage.engines.weights import from_bytes
from triage.learning.fit import EMBEDDING_TRIES, FOLDS, FOLDS_OF_MANY, Example, fit
from triage.learning.payload import starter_examples

KINDS = {
    "printer": [
        "paper jam again",
        "no toner left",
        "prints blank pages",
        "scanner dead",
        "tray two broken",
        "smudged ink",
    ],
    "money": ["refund please", "invoice is wrong", "charged twice", "need a receipt", "VAT missing", "price too high"],
}


def _examples(*, decided: bool = False, times: int = 1) -> list[Example]:
    return [
        Example(clean(text), embed(text), {"kind": kind}, decided)
        for kind, texts in KINDS.items()
        for text in texts * times
    ]


def test_it_learns_what_tells_values_apart() -> None:
    fitted = fit(_examples(), ["kind"])
    (head,) = fitted.weights.heads
    for text, kind in (("the printer prints nothing", "printer"), ("wrong amount on my invoice", "money")):
        by_embedding, by_words, _ = fitted.weights.scores(text, embed(text), inner(text))
        probabilities = head.probabilities(by_embedding, by_words)
        assert head.values[int(probabilities.argmax())] == kind
        assert float(probabilities.sum()) == pytest.approx(1.0, abs=1e-5)


def test_a_value_with_one_text_is_kept() -> None:
    lone = Example("the lift is stuck", embed("the lift is stuck"), {"kind": "lift"})
    (head,) = fit([*_examples(), lone], ["kind"]).weights.heads
    assert head.values == ("lift", "money", "printer")


def test_texts_too_few_to_share_a_word_are_fitted_on_their_embedding() -> None:
    fitted = fit(_examples()[4:8], ["kind"]).weights
    assert not fitted.words.words and not fitted.words.letters
    assert from_bytes(fitted.to_bytes()).heads == fitted.heads
    assert len(fitted.scores("anything", embed("anything"), inner("anything"))[1]) == 2


def test_a_field_with_one_value_is_left_out() -> None:
    examples = [Example(one.text, one.vector, {**one.labels, "tier": 1}) for one in _examples()]
    assert [head.name for head in fit(examples, ["kind", "tier", "team"]).weights.heads] == ["kind"]


def test_without_two_values_of_anything_there_is_no_fit() -> None:
    with pytest.raises(ValueError, match="two values"):
        fit([Example("a", embed("a"), {"kind": "x"})], ["kind"])


def test_true_and_one_are_not_the_same_value() -> None:
    labels = (True, 1, True, 1, False, False)
    examples = [Example(one.text, one.vector, {"odd": label}) for one, label in zip(_examples(), labels, strict=False)]
    (head,) = fit(examples, ["odd"]).weights.heads
    assert [type(value) for value in head.values].count(bool) == 2
    assert len(head.values) == 3


def test_only_decisions_made_here_open_the_way_to_apply() -> None:
    (invented,) = fit(_examples(times=20), ["kind"]).weights.heads
    (decided,) = fit(_examples(times=20, decided=True), ["kind"]).weights.heads
    assert invented.apply_from is None
    assert (invented.decided, decided.decided) == (0, 240)
    assert decided.apply_from is not None


def test_the_threshold_is_sought_with_how_sure_the_fit_is_of_what_nobody_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[int, Any] = {}

    def note(confidence: Any, correct: Any, precision: float, undecided: Any = None, many: Any = None) -> float:
        asked[len(confidence)] = undecided, many
        return precision

    monkeypatch.setattr("triage.learning.thresholds.threshold", note)
    examples = _examples(decided=True)
    examples[0] = replace(examples[0], labels={"other": "a"})
    others = [Example(text, embed(text), {}, stands_for=3.0) for text in ("paper jam", "refund the invoice")]
    heads = fit(examples, ["kind"], undecided=others, precision=0.9).weights.heads
    assert [head.apply_from for head in heads] == [0.9]
    sure, many = asked[11]
    assert len(sure) == 3, "the two, and the one that was decided in another field alone"
    assert many.tolist() == [3, 3, 1]
    assert all(0.5 <= one <= 1 for one in sure)


def test_the_same_examples_make_the_same_fit() -> None:
    examples = starter_examples()[::6]
    assert fit(examples, ["category"]).weights.to_bytes() == fit(examples, ["category"]).weights.to_bytes()


def test_the_penalty_is_the_one_that_leaves_the_least_loss_out_of_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    from triage.learning import fit as module

    def loss(*penalties: float) -> float:
        monkeypatch.setattr(module, "EMBEDDING_TRIES", [(0.35, penalty) for penalty in penalties])
        return fit(starter_examples()[::3], ["priority"]).held_out["priority"].calibration.loss

    apart = {penalty: loss(penalty) for penalty in (0.1, 3.0, 100.0)}
    assert loss(*apart) == pytest.approx(min(apart.values()), rel=1e-6)
    assert max(apart.values()) > min(apart.values()) + 0.01


def test_of_many_texts_fewer_heads_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    from triage.learning import fit as module

    fitted: list[int] = []
    original = module._logistic

    def counting(rows: Any, truth: Any, classes: int, penalty: float) -> Any:
        fitted.append(rows.shape[0])
        return original(rows, truth, classes, penalty)

    monkeypatch.setattr(module, "_logistic", counting)
    examples = _examples(times=5)
    few = fit(examples, ["kind"]).held_out["kind"]
    assert len(fitted) == (len(EMBEDDING_TRIES) + 1) * FOLDS + 2
    fitted.clear()
    monkeypatch.setattr(module, "MANY_TEXTS", len(examples) - 1)
    fit(examples, ["kind"])
    assert len(fitted) == 2 * FOLDS + 2
    fitted.clear()
    monkeypatch.setattr(module, "TOO_MANY_TEXTS", len(examples) - 1)
    many = fit(examples, ["kind"]).held_out["kind"]
    assert len(fitted) == 2 * FOLDS_OF_MANY + 2
    assert len(many.truth) == len(few.truth) == len(examples)
