from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from triage.learning.calibrate import softmax
from triage.learning.regression import logistic


def texts(rows: int = 600, features: int = 40, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    found = random.normal(size=(rows, features)) * (random.random((rows, features)) < 0.4)
    truth = (found @ random.normal(size=(features, classes)) + random.gumbel(size=(rows, classes))).argmax(axis=1)
    return found, truth


@pytest.mark.parametrize("penalty", [0.3, 10.0])
def test_it_finds_what_scikit_learn_finds(penalty: float) -> None:
    rows, truth = texts()
    theirs = LogisticRegression(C=penalty, tol=1e-8, max_iter=10_000).fit(rows, truth)
    coefficients, bias = logistic(rows, truth, 5, penalty, tolerance=1e-5, iterations=3_000)
    expected = softmax(np.asarray(rows @ theirs.coef_.T + theirs.intercept_, dtype=np.float64))
    assert softmax(rows @ coefficients.T + bias) == pytest.approx(expected, abs=0.01)


def test_a_sparse_matrix_says_the_same() -> None:
    rows, truth = texts()
    dense = logistic(rows, truth, 5, 10.0, tolerance=1e-5, iterations=3_000)
    sparse = logistic(csr_matrix(rows), truth, 5, 10.0, tolerance=1e-5, iterations=3_000)
    assert sparse[0] == pytest.approx(dense[0], abs=0.02)
    assert sparse[1] == pytest.approx(dense[1], abs=0.02)


def test_two_classes_have_a_column_each() -> None:
    rows, truth = texts(classes=2)
    coefficients, bias = logistic(rows, truth, 2, 1.0, tolerance=1e-5, iterations=3_000)
    assert coefficients.shape == (2, 40) and bias.shape == (2,)
    assert ((rows @ coefficients.T + bias).argmax(axis=1) == truth).mean() > 0.9


def test_it_ends_after_so_many_iterations() -> None:
    rows, truth = texts()
    early, _ = logistic(rows, truth, 5, 10.0, tolerance=0.0, iterations=1)
    late, _ = logistic(rows, truth, 5, 10.0, tolerance=0.0, iterations=500)
    assert 0 < np.abs(early).max() < np.abs(late).max()


def test_what_cannot_be_told_apart_gets_even_odds() -> None:
    coefficients, bias = logistic(np.zeros((10, 3)), np.arange(10) % 2, 2, 10.0, tolerance=1e-6, iterations=100)
    assert np.abs(coefficients).max() == 0
    assert softmax(bias[None, :]) == pytest.approx(np.full((1, 2), 0.5), abs=1e-3)
