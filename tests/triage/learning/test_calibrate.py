from __future__ import annotations

import numpy as np
import pytest

from triage.learning.calibrate import (
    calibrate,
    calibration_error,
    log_loss,
    lower_bound,
    softmax,
    stands_for,
    threshold,
)


def _overconfident(rows: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities that are `factor` times too sharp for the truth drawn from them."""
    random = np.random.default_rng(1)
    honest = random.normal(size=(rows, 4)) * 1.5
    honest -= np.log(np.exp(honest).sum(axis=1, keepdims=True))
    truth = np.array([random.choice(4, p=np.exp(row)) for row in honest])
    return honest * factor, truth


def test_the_temperature_takes_back_what_was_too_sharp() -> None:
    scores, truth = _overconfident(3_000, 3.0)
    fitted = calibrate(scores, scores, truth)
    assert fitted.temperature == pytest.approx(3.0, rel=0.15)
    probabilities = softmax(scores / fitted.temperature)
    correct = (probabilities.argmax(axis=1) == truth).astype(float)
    before = calibration_error(softmax(scores).max(axis=1), correct)
    assert calibration_error(probabilities.max(axis=1), correct) < 0.05 < before


def test_the_mix_trusts_the_head_that_knows_something() -> None:
    scores, truth = _overconfident(2_000, 1.0)
    noise = np.random.default_rng(2).normal(size=scores.shape)
    assert calibrate(scores, noise, truth).mix > 0.8
    assert calibrate(noise, scores, truth).mix < 0.2


def test_log_loss_of_a_certain_and_right_score_is_nothing() -> None:
    assert log_loss(np.array([[100.0, 0.0]]), np.array([0])) == pytest.approx(0.0)


def test_calibration_error_of_perfect_and_of_boasting_figures() -> None:
    assert calibration_error(np.full(100, 0.8), np.array([1.0] * 80 + [0.0] * 20)) == pytest.approx(0.0)
    assert calibration_error(np.full(100, 1.0), np.zeros(100)) == pytest.approx(1.0)
    assert calibration_error(np.array([]), np.array([])) == 0.0


def test_the_lower_bound_lies_below_the_share_and_closes_in() -> None:
    assert lower_bound(95, 100) < 0.95
    assert lower_bound(95, 100) < lower_bound(950, 1_000) < lower_bound(9_500, 10_000) < 0.95
    assert lower_bound(0, 0) == 0.0


def test_a_threshold_needs_texts_enough_to_prove_its_precision() -> None:
    assert threshold(np.full(49, 0.99), np.ones(49), 0.5) is None
    assert threshold(np.full(50, 0.99), np.ones(50), 0.95) is None
    assert threshold(np.full(60, 0.99), np.ones(60), 0.95) == 0.99


def test_the_threshold_is_the_lowest_that_held() -> None:
    confidence = np.concatenate([np.full(200, 0.9), np.full(200, 0.6)])
    correct = np.concatenate([np.ones(200), np.zeros(200)])
    assert threshold(confidence, correct, 0.95) == 0.9
    assert threshold(confidence, np.ones(400), 0.95) == 0.6
    assert threshold(confidence, np.zeros(400), 0.95) is None


def came_in(seed: int, worth: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """3,000 tickets: how sure the engine is, whether it is right (`worth` of what it says), and who was decided."""
    random = np.random.default_rng(seed)
    confidence = random.beta(4, 0.6, 3_000)
    right = (random.random(3_000) < confidence * worth).astype(float)
    return confidence, right, (confidence < 0.93) | (random.random(3_000) < 0.02)


def applied(seed: int, worth: float = 1.0) -> tuple[float, float]:
    """The precision of what is applied of all tickets, and its share."""
    confidence, right, decided = came_in(seed, worth)
    least = threshold(confidence[decided], right[decided], 0.95, confidence[~decided])
    chosen = confidence >= (2.0 if least is None else least)
    return float(right[chosen].mean()) if chosen.any() else 1.0, float(chosen.mean())


def test_a_threshold_keeps_its_promise_for_all_tickets_though_people_decide_the_hard_ones() -> None:
    found = [applied(seed) for seed in range(40)]
    assert sum(precision >= 0.95 for precision, _ in found) >= 36, "one in ten at most may miss it"
    assert np.mean([share for _, share in found]) > 0.3


def test_what_nobody_decided_lets_more_be_applied() -> None:
    confidence, right, decided = came_in(1)
    alone = threshold(confidence[decided], right[decided], 0.95)
    among_all = threshold(confidence[decided], right[decided], 0.95, confidence[~decided])
    assert among_all is not None and (alone is None or among_all < alone)


def test_sure_texts_that_nobody_checked_are_no_argument_where_confidence_is_worth_little() -> None:
    assert all(applied(seed, worth=0.85)[1] < 0.02 for seed in range(20))


def test_a_decided_text_stands_for_one_over_the_share_that_people_decided() -> None:
    decided = np.repeat([0.9, 0.5], [26, 24])
    undecided = np.repeat([0.9, 0.5], [78, 24])
    assert stands_for(decided, undecided) == pytest.approx(np.repeat([4.0, 2.0], [26, 24]))


def test_equally_sure_texts_stand_together_and_none_is_forgotten() -> None:
    decided = np.array([0.9] * 25 + [0.5] * 25)
    undecided = np.array([0.95] * 10 + [0.9] * 65 + [0.5] * 20 + [0.2] * 5)
    weights = stands_for(decided, undecided)
    assert weights[:25] == pytest.approx(4) and weights[25:] == pytest.approx(2)
    assert weights.sum() == pytest.approx(len(decided) + len(undecided))


def test_an_undecided_text_may_stand_for_many() -> None:
    decided, undecided = np.repeat([0.9, 0.5], [26, 24]), np.repeat([0.9, 0.5], [78, 24])
    weights = stands_for(decided, undecided, np.full(102, 2.0))
    assert weights == pytest.approx(np.repeat([7.0, 3.0], [26, 24]))


def test_what_stands_for_many_counts_as_if_it_were_there_so_often() -> None:
    confidence, right, decided = came_in(3)
    ours, others = confidence[decided], confidence[~decided]
    weighed = threshold(ours, right[decided], 0.95, others, np.full(len(others), 3.0))
    assert weighed == threshold(ours, right[decided], 0.95, np.repeat(others, 3))
    assert weighed is not None


def test_a_part_of_the_undecided_keeps_the_promise_where_it_stands_for_all_of_them() -> None:
    """The newest thousand of many more: unweighed they would say that most tickets are as hard as the decided ones."""
    shares: list[float] = []
    alone: list[float] = []
    kept = 0
    for seed in range(40):
        confidence, right, decided = came_in(seed)
        others = confidence[~decided]
        some = others[: len(others) // 4]
        for found, many in ((shares, np.full(len(some), len(others) / len(some))), (alone, None)):
            least = threshold(confidence[decided], right[decided], 0.95, some, many)
            chosen = confidence >= (2.0 if least is None else least)
            found.append(float(chosen.mean()))
            if found is shares:
                kept += not chosen.any() or right[chosen].mean() >= 0.95
    assert kept >= 36, "one in ten at most may miss it"
    assert np.mean(shares) > np.mean(alone)
