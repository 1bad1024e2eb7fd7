"""Fit the local engine from texts with labels: word features and embedding, two heads a field, calibrated.

Plain rows in, weights out; where they come from and where they are kept is somebody else's business.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triage.engines.weights import Head, Novelty, Weights
from triage.engines.words import Words, fit_words
from triage.learning.calibrate import Calibration, calibrate, calibration_error, softmax, threshold
from triage.pipeline.types import FieldValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triage.pipeline.types import Vector

    Matrix = NDArray[np.float64]
    Indices = NDArray[np.int64]

FOLDS = 5
APPLY_PRECISION = 0.95
EMBEDDING_C = 30.0
WORDS_C = 10.0
_TOLERANCE = 1e-4  # 1e-3 stops early and costs 2.5 points
_ITERATIONS = 3_000
# Up to here the word features of n texts are turned into n coordinates: the same fit, many times faster.
_ROTATE_UP_TO = 2_000
_UNSEEN = math.log(1e-6)  # a class that a fold never saw


@dataclass(frozen=True, slots=True)
class Example:
    """A cleaned text, its embedding, and the labels somebody stands for. `decided`: by a person at this desk."""

    text: str
    vector: Vector
    labels: Mapping[str, FieldValue]
    decided: bool = False


@dataclass(frozen=True, slots=True)
class _Space:
    """One kind of features of all texts: `rows` to fit on, `back` to turn coefficients into the full space."""

    rows: Any
    back: Matrix | None
    penalty: float

    def full(self, coefficients: Matrix) -> Matrix:
        return coefficients if self.back is None else coefficients @ self.back


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """What the field's classes were given by heads that had not seen the text: rows texts, columns classes."""

    rows: Indices
    truth: Indices
    probabilities: Matrix
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Fitted:
    """The weights, and by field what they rest on: predictions for texts that the predicting heads had not seen."""

    weights: Weights
    held_out: Mapping[str, OutOfFold]


def fit(examples: Sequence[Example], fields: Sequence[str]) -> Fitted:
    """Fit every field that at least two values are known of. Raises ValueError when there is none."""
    from threadpoolctl import threadpool_limits

    # The matrices are small: threads that share two cores with the worker make each fit thirty times slower.
    with threadpool_limits(1):
        return _fit(examples, fields)


def _fit(examples: Sequence[Example], fields: Sequence[str]) -> Fitted:
    import numpy as np

    words = fit_words(example.text for example in examples)
    spaces = (_embedding_space(examples), _words_space(words, examples))
    fitted = [one for one in (_fit_field(name, examples, spaces) for name in fields) if one is not None]
    if not fitted:
        raise ValueError("No field has two values to tell apart.")
    parts = [one.parts for one in fitted]
    stacked = [np.concatenate([part[index] for part in parts]).astype(np.float32) for index in range(4)]
    weights = Weights(
        words=words,
        heads=tuple(one.head for one in fitted),
        embedding=np.ascontiguousarray(stacked[0].T),
        embedding_bias=stacked[1],
        letters=np.ascontiguousarray(stacked[2].T),
        letters_bias=stacked[3],
        novelty=_novelty(examples),
    )
    return Fitted(weights, {one.head.name: one.held_out for one in fitted})


@dataclass(frozen=True, slots=True)
class _Field:
    head: Head
    held_out: OutOfFold
    parts: tuple[Matrix, ...]


def _fit_field(name: str, examples: Sequence[Example], spaces: tuple[_Space, _Space]) -> _Field | None:
    import numpy as np

    rows = np.array([row for row, example in enumerate(examples) if name in example.labels], dtype=np.int64)
    values = _distinct([examples[row].labels[name] for row in rows])
    if len(values) < 2:
        return None
    place = {(type(value), value): index for index, value in enumerate(values)}
    labels = [examples[row].labels[name] for row in rows]
    truth = np.array([place[type(label), label] for label in labels], dtype=np.int64)
    held_out = _out_of_fold(rows, truth, len(values), spaces)
    parts: list[Matrix] = []
    for space in spaces:
        coefficients, bias = _logistic(space.rows[rows], truth, len(values), space.penalty)
        parts.extend((space.full(coefficients), bias))
    head = _head(name, values, held_out, [examples[row].decided for row in rows])
    return _Field(head, held_out, tuple(parts))


def _head(name: str, values: list[FieldValue], held_out: OutOfFold, decided: Sequence[bool]) -> Head:
    import numpy as np

    confidence = held_out.probabilities.max(axis=1)
    correct = (held_out.probabilities.argmax(axis=1) == held_out.truth).astype(np.float64)
    ours = np.array(decided, dtype=bool)
    return Head(
        name=name,
        values=tuple(values),
        mix=held_out.calibration.mix,
        temperature=held_out.calibration.temperature,
        # Only decisions made at this desk can show what may be applied at it.
        apply_from=threshold(confidence[ours], correct[ours], APPLY_PRECISION),
        texts=len(held_out.truth),
        decided=int(ours.sum()),
        accuracy=float(correct.mean()),
        calibration_error=calibration_error(confidence, correct),
    )


def _out_of_fold(rows: Indices, truth: Indices, classes: int, spaces: tuple[_Space, _Space]) -> OutOfFold:
    import numpy as np

    fold = _folds(truth)
    scores = [np.full((len(rows), classes), _UNSEEN) for _ in spaces]
    for held in range(min(FOLDS, len(rows))):
        outside, inside = np.flatnonzero(fold == held), np.flatnonzero(fold != held)
        if not len(outside) or not len(inside):
            continue
        for score, space in zip(scores, spaces, strict=True):
            seen = np.unique(truth[inside])
            if len(seen) < 2:
                score[np.ix_(outside, seen)] = 0.0
                continue
            narrowed = np.searchsorted(seen, truth[inside])
            coefficients, bias = _logistic(space.rows[rows[inside]], narrowed, len(seen), space.penalty)
            logits = np.asarray(space.rows[rows[outside]] @ coefficients.T) + bias
            score[np.ix_(outside, seen)] = np.log(np.maximum(softmax(logits), 1e-12))
    calibration = calibrate(scores[0], scores[1], truth)
    mixed = calibration.mix * scores[0] + (1 - calibration.mix) * scores[1]
    return OutOfFold(rows, truth, softmax(mixed / calibration.temperature), calibration)


def _folds(truth: Indices) -> Indices:
    """A fold for each text, every class spread evenly, the same each time."""
    import numpy as np

    fold = np.zeros(len(truth), dtype=np.int64)
    random = np.random.default_rng(0)
    start = 0
    for value in np.unique(truth):
        members = random.permutation(np.flatnonzero(truth == value))
        fold[members] = (start + np.arange(len(members))) % FOLDS
        start += len(members)  # small classes do not all begin with fold 0
    return fold


def _logistic(rows: Any, truth: Indices, classes: int, penalty: float) -> tuple[Matrix, Matrix]:
    """Coefficients (classes by features) and biases of a multinomial logistic regression."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # close enough: the temperature is fitted on what it says
        # Few rows: Newton's steps are dear but few. Many rows or classes: lbfgs.
        solver = "newton-cg" if rows.shape[0] <= _ROTATE_UP_TO and classes <= 20 else "lbfgs"
        model = LogisticRegression(C=penalty, tol=_TOLERANCE, max_iter=_ITERATIONS, solver=solver).fit(rows, truth)
    coefficients, bias = model.coef_, model.intercept_
    if classes == 2:  # scikit-learn keeps one row for two classes
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        bias = np.concatenate([-bias / 2, bias / 2])
    return coefficients, bias


def _embedding_space(examples: Sequence[Example]) -> _Space:
    import numpy as np

    return _Space(np.array([example.vector for example in examples], dtype=np.float64), None, EMBEDDING_C)


def _words_space(words: Words, examples: Sequence[Example]) -> _Space:
    import numpy as np
    from scipy.sparse import csr_matrix

    if not words.size:  # too few texts to share a word: the embedding has to do
        return _Space(np.zeros((len(examples), 1)), np.zeros((1, 0)), WORDS_C)
    found = [words.transform(example.text) for example in examples]
    pointers = np.concatenate([[0], np.cumsum([len(indices) for indices, _ in found])])
    indices = np.concatenate([indices for indices, _ in found])
    weights = np.concatenate([weights for _, weights in found]).astype(np.float64)
    matrix = csr_matrix((weights, indices, pointers), shape=(len(examples), words.size))
    if len(examples) > _ROTATE_UP_TO:
        return _Space(matrix, None, WORDS_C)
    # The penalty looks at lengths alone, so a rotation changes nothing; and n texts span at most n directions.
    lengths, directions = np.linalg.eigh((matrix @ matrix.T).toarray())
    kept = lengths > 1e-9
    roots = np.sqrt(lengths[kept])
    back = np.asarray((directions[:, kept] / roots).T @ matrix)
    return _Space(directions[:, kept] * roots, back, WORDS_C)


def _novelty(examples: Sequence[Example]) -> Novelty:
    """How near a text that belongs lies to its nearest neighbour: the 2nd and 20th percentile of those fitted on."""
    import numpy as np

    vectors = np.array([example.vector for example in examples], dtype=np.float32)
    sample = np.random.default_rng(0).permutation(len(vectors))[:2_000]
    nearest = []
    for row in sample:
        likeness = vectors @ vectors[row]
        likeness[row] = -1.0
        nearest.append(float(likeness.max()))
    strange, usual = np.quantile(nearest, [0.02, 0.20])
    return Novelty(strange=float(strange), usual=float(usual))


def _distinct(values: Sequence[FieldValue]) -> list[FieldValue]:
    """Each value once, in an order that does not depend on that of the texts."""
    unique = {(type(value).__name__, str(value)): value for value in values}
    return [unique[key] for key in sorted(unique)]
