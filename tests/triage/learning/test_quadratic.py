"""The ridge on products of coordinates, against the sums and refits that it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from triage.embedding import DIMENSIONS
from triage.engines.weights import Unreadable, from_bytes
from triage.learning import quadratic
from triage.learning.fit import Example, Fitted, fit
from triage.learning.quadratic import Coordinates, products, solve


def _rows(texts: int, features: int, seed: int = 5) -> quadratic.Floats:
    return np.random.default_rng(seed).normal(size=(texts, features)).astype(np.float32)


def _corners(texts: int, features: int, seed: int = 5) -> quadratic.Floats:
    """Each coordinate near 1 or near -1."""
    found: quadratic.Floats = np.sign(_rows(texts, features, seed)) + 0.1 * _rows(texts, features, seed + 50)
    return found.astype(np.float32)


def _crossed(rows: quadratic.Floats) -> quadratic.Indices:
    """Told by two coordinates together, and by neither of them alone."""
    told: Any = rows[:, 0] * rows[:, 1] > 0
    return np.asarray(told, dtype=np.int64)


def test_coefficients_say_what_the_likeness_to_all_texts_says() -> None:
    known, asked = _rows(40, 6), _rows(9, 6, seed=6)
    coordinates = Coordinates.of(known)
    shares = _rows(40, 3, seed=7)
    of_features, of_products, constant = coordinates.coefficients(shares)
    around: Any = asked - coordinates.origin
    main: Any = around @ coordinates.directions
    like = around @ coordinates.around.T + quadratic.PRODUCTS * (main @ coordinates.main.T) ** 2 + 1
    assert np.allclose(
        asked @ of_features + products(main) @ of_products + constant, like @ shares, rtol=1e-3, atol=1e-2
    )


def test_what_a_text_scores_without_itself_is_what_a_fit_without_it_gives() -> None:
    rows = _rows(50, 5)
    truth = _crossed(rows)
    coordinates = Coordinates.of(rows)
    like = coordinates.likeness()
    _, held_out = solve(like.copy(), truth, 2)
    for text in (0, 17, 49):
        others = np.array([row for row in range(50) if row != text])
        shares, _ = solve(like[np.ix_(others, others)].copy(), truth[others], 2)
        assert held_out[text] == pytest.approx(like[text, others] @ shares, abs=2e-3)


def test_it_tells_apart_what_no_weighted_sum_can() -> None:
    rows = _corners(400, 4)
    truth = _crossed(rows)
    coordinates = Coordinates.of(rows)
    _, held_out = solve(coordinates.likeness(), truth, 2)
    assert (held_out.argmax(axis=1) == truth).mean() > 0.98
    _, straight = solve(coordinates.around @ coordinates.around.T + 1, truth, 2)
    assert (straight.argmax(axis=1) == truth).mean() < 0.65


def _noise(texts: int) -> quadratic.Floats:
    return (0.02 * _rows(texts, 2 * DIMENSIONS)).astype(np.float32)


def _fitted(texts: int, *, decided: bool = True) -> tuple[Fitted, quadratic.Floats, quadratic.Indices]:
    """A fit on vectors whose first two coordinates tell the value by their product; the texts say nothing."""
    rows = _noise(texts + 200)
    rows[:, :2] = _corners(texts + 200, 2, seed=8)
    truth = _crossed(rows)
    examples = [
        Example("the same words", row[:DIMENSIONS], {"side": int(side)}, decided, inner=row[DIMENSIONS:])
        for row, side in zip(rows[:texts], truth[:texts], strict=True)
    ]
    return fit(examples, ["side"]), rows[texts:], truth[texts:]


def test_a_field_that_gains_by_products_is_read_with_them_and_kept_so() -> None:
    fitted, rows, truth = _fitted(600)
    assert fitted.weights.curve is not None
    (head,) = fitted.weights.heads
    assert head.accuracy > 0.9
    again = from_bytes(fitted.weights.to_bytes())
    right = 0
    for row, side in zip(rows, truth, strict=True):
        scores = again.scores("the same words", row[:DIMENSIONS], row[DIMENSIONS:])
        right += head.values[int(head.probabilities(scores[0], scores[1]).argmax())] == side
    assert right > 180


def test_few_decisions_and_fields_that_gain_nothing_are_read_without() -> None:
    assert _fitted(300)[0].weights.curve is None
    assert _fitted(600, decided=False)[0].weights.curve is None
    rows = _noise(600)
    rows[:, 0] = np.repeat((-1.0, 1.0), 300)
    examples = [
        Example("the same words", row[:DIMENSIONS], {"side": int(row[0] > 0)}, decided=True, inner=row[DIMENSIONS:])
        for row in rows
    ]
    assert fit(examples, ["side"]).weights.curve is None


def test_products_that_do_not_fit_the_columns_are_refused() -> None:
    weights = _fitted(600)[0].weights
    assert weights.curve is not None
    weights.curve.columns[0] = 7
    with pytest.raises(Unreadable):
        from_bytes(weights.to_bytes())
