"""Fit the local engine from texts with labels: word features and embedding, two heads a field, calibrated.

Plain rows in, weights out; where they come from and where they are kept is somebody else's business.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from triage.embedding import DIMENSIONS, clean, inner_all
from triage.engines.signs import signs
from triage.engines.weights import Curve, Head, Weights
from triage.engines.words import MAX_FEATURES, Words, fit_words
from triage.learning import quadratic
from triage.learning.calibrate import Calibration, calibrate, calibration_error, softmax
from triage.learning.regression import logistic
from triage.learning.thresholds import novelty_of, with_thresholds
from triage.pipeline.types import FieldValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triage.pipeline.types import Vector

    Matrix = NDArray[np.float64]
    Indices = NDArray[np.int64]

FOLDS = 5
APPLY_PRECISION = 0.95
# Weight of the inner layer beside the embedding, and C: few values want a stronger penalty, many a weaker one, and how
# a text is put matters more for some fields than for others; out-of-fold log loss says which.
EMBEDDING_TRIES = ((0.35, 10.0), (0.35, 30.0), (0.7, 10.0))
WORDS_C = 10.0
# Share of the quadratic scores beside the straight ones: alone they are right more often and less honest about it.
# They are as sharp as log-probabilities when times ten.
CURVED_SHARE = 0.5
_SHARPNESS = 10.0
_CURVED_FROM = 500  # decided texts: fewer do not tell which products matter, and invented ones not what comes here
_WORTH = 0.99  # of the log loss without it, at most: each curved head makes reading dearer
# Of more texts than this the weak penalty is taken, and of more than that three folds have to do and no products are
# tried: a fit stays within minutes, and the matrix of texts by texts within half a gigabyte.
MANY_TEXTS, TOO_MANY_TEXTS = 5_000, 12_000
FOLDS_OF_MANY = 3
_OF_MANY = EMBEDDING_TRIES[1:2]
_TOLERANCE = 1e-4  # 1e-3 stops early and costs 2.5 points
_ITERATIONS = 3_000
# Up to here the word features of n texts are turned into n coordinates: the same fit, many times faster.
_ROTATE_UP_TO = 2_000
_NEWTON_UP_TO = 20  # values
# Features by values, at most: L-BFGS keeps some twenty copies of the coefficients.
_COEFFICIENTS = 4_000_000
_UNSEEN = math.log(1e-6)  # a class that a fold never saw


@dataclass(frozen=True, slots=True)
class Example:
    """A text as `Inquiry.text` has it, its embedding, and the labels somebody stands for.

    `decided`: by a person at this desk. `source`: the name of the door it came by, if any. `inner`: the inner layer of
    the embedding, worked out by the fit where it is not given. `stands_for`: of what nobody decided a fit is given the
    newest alone, and each stands for so many that came in beside those decided.
    """

    text: str
    vector: Vector
    labels: Mapping[str, FieldValue]
    decided: bool = False
    source: str = ""
    inner: Vector | None = None
    stands_for: float = 1.0


@dataclass(frozen=True, slots=True)
class _Space:
    """One kind of features of all texts: `rows` to fit on, `back` from coefficients to the full space, and C.

    `back` is a matrix, or the weight of each feature.
    """

    rows: Any
    back: Matrix | None
    penalty: float

    def full(self, coefficients: Matrix) -> Matrix:
        if self.back is None:
            return coefficients
        return coefficients * self.back if self.back.ndim == 1 else coefficients @ self.back


@dataclass(frozen=True, slots=True)
class _Spaces:
    """The features of all texts: `straight` once for each try, and `curved`, the first of these with its products."""

    straight: tuple[_Space, ...]
    words: _Space
    curved: quadratic.Coordinates | None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Of one field: the space of the straight scores; of quadratic ones beside them the texts' shares, or None."""

    straight: _Space
    curved: quadratic.Floats | None = None


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """What the field's classes were given by heads that had not seen the text: rows texts, columns classes."""

    rows: Indices
    truth: Indices
    probabilities: Matrix
    calibration: Calibration

    @property
    def confidence(self) -> Matrix:
        """The probability of the likeliest class, by text."""
        confidence: Matrix = self.probabilities.max(axis=1)
        return confidence

    @property
    def correct(self) -> Matrix:
        """1 where that class is the true one, else 0."""
        correct: Matrix = (self.probabilities.argmax(axis=1) == self.truth).astype(float)
        return correct


@dataclass(frozen=True, slots=True)
class Fitted:
    """The weights, and by field what they rest on: predictions for texts that the predicting heads had not seen."""

    weights: Weights
    held_out: Mapping[str, OutOfFold]


def fit(
    examples: Sequence[Example],
    fields: Sequence[str],
    names: Sequence[Example] = (),
    *,
    undecided: Sequence[Example] = (),
    precision: float = APPLY_PRECISION,
) -> Fitted:
    """Fit every field that at least two values are known of. Raises ValueError when there is none.

    What is applied is to be right in `precision` of all cases (0 to 1). `undecided` are texts that came in of late and
    that nobody decided: how sure the fit is of them tells what its confidence is worth beyond the decided ones.

    `names` are the values' own names as texts. They are learned from like any example, which helps most where a value
    has few, but nothing is measured on them and no word feature comes from them.
    """
    from threadpoolctl import threadpool_limits

    # The matrices are small: threads that share two cores with the worker make each fit thirty times slower.
    with threadpool_limits(1):
        fitted = _fit(examples, fields, names)
        fitted.weights.heads = with_thresholds(fitted, examples, undecided, precision=precision)
        return fitted


def _fit(examples: Sequence[Example], fields: Sequence[str], names: Sequence[Example]) -> Fitted:
    import numpy as np

    columns = max(len(_distinct([one.labels[name] for one in examples if name in one.labels])) for name in fields)
    words = fit_words(
        (clean(one.text) for one in examples),
        (signs(one.text, one.source) for one in examples),
        at_most=min(MAX_FEATURES, _COEFFICIENTS // (2 * max(columns, 1))),
    )
    everything = [*examples, *names]
    straight = _embedding_spaces(everything)
    enough = sum(one.decided for one in examples) >= _CURVED_FROM
    curved = quadratic.Coordinates.of(straight[0].rows.astype(np.float32)) if enough else None
    spaces = _Spaces(straight, _words_space(words, everything), curved)
    fitted = [one for one in (_fit_field(name, examples, names, spaces) for name in fields) if one is not None]
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
        novelty=novelty_of(examples),
        curve=_curve(fitted, spaces),
    )
    return Fitted(weights, {one.head.name: one.held_out for one in fitted})


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The texts a field's label is known of, and its place among `classes`.

    `always` and `answers`: rows that are fitted on in every fold and measured in none, the names of values.
    """

    rows: Indices
    truth: Indices
    classes: int
    always: Indices
    answers: Indices


@dataclass(frozen=True, slots=True)
class _Field:
    head: Head
    held_out: OutOfFold
    parts: tuple[Matrix, ...]
    products: quadratic.Floats | None = None  # coefficients: pairs by values


def _fit_field(name: str, examples: Sequence[Example], names: Sequence[Example], spaces: _Spaces) -> _Field | None:
    import numpy as np

    rows = np.array([row for row, example in enumerate(examples) if name in example.labels], dtype=np.int64)
    values = _distinct([examples[row].labels[name] for row in rows])
    if len(values) < 2:
        return None
    place = {(type(value), value): index for index, value in enumerate(values)}

    def placed(some: Sequence[Example]) -> list[int]:
        return [place.get((type(one.labels.get(name)), one.labels.get(name)), -1) for one in some]

    truth = np.array(placed([examples[row] for row in rows]), dtype=np.int64)
    named = [(len(examples) + row, at) for row, at in enumerate(placed(names)) if at >= 0]
    always = np.array(named, dtype=np.int64).reshape(-1, 2)
    known = _Labelled(rows, truth, len(values), always[:, 0], always[:, 1])
    held_out, chosen = _out_of_fold(known, spaces)
    parts: list[Matrix] = []
    everything, answers = np.concatenate([rows, known.always]), np.concatenate([truth, known.answers])
    for space in (chosen.straight, spaces.words):
        coefficients, bias = _logistic(space.rows[everything], answers, len(values), space.penalty)
        parts.extend((space.full(coefficients), bias))
    head = _head(name, values, held_out, decided=sum(examples[row].decided for row in rows))
    if chosen.curved is None or spaces.curved is None:
        return _Field(head, held_out, tuple(parts))
    found = spaces.curved.at(everything).coefficients(chosen.curved)
    of_features, of_products, constant = (CURVED_SHARE * _SHARPNESS * one for one in found)
    parts[0] = (1 - CURVED_SHARE) * parts[0] + spaces.straight[0].full(of_features.T.astype(np.float64))
    parts[1] = (1 - CURVED_SHARE) * parts[1] + constant.astype(np.float64)
    return _Field(head, held_out, tuple(parts), of_products)


def _curve(fitted: Sequence[_Field], spaces: _Spaces) -> Curve | None:
    """What the fields that gained by products of coordinates have of them, side by side. None: no field did."""
    curved, weights = spaces.curved, spaces.straight[0].back
    starts = accumulate((len(one.head.values) for one in fitted), initial=0)
    found = [(start, one.products) for start, one in zip(starts, fitted, strict=False) if one.products is not None]
    return curved.curve(weights, found) if curved is not None and weights is not None and found else None


def _head(name: str, values: list[FieldValue], held_out: OutOfFold, *, decided: int) -> Head:
    return Head(
        name=name,
        values=tuple(values),
        mix=held_out.calibration.mix,
        temperature=held_out.calibration.temperature,
        apply_from=None,
        texts=len(held_out.truth),
        decided=decided,
        accuracy=float(held_out.correct.mean()),
        calibration_error=calibration_error(held_out.confidence, held_out.correct),
    )


def _out_of_fold(known: _Labelled, spaces: _Spaces) -> tuple[OutOfFold, _Chosen]:
    """Predictions by heads that had not seen the text, and what left the least log loss."""
    fold = _folds(known.truth)
    by_words = _scores(known, fold, spaces.words)
    tried = [
        (calibrate(scores, by_words, known.truth), _Chosen(space), scores)
        for space in spaces.straight
        for scores in [_scores(known, fold, space)]
    ]
    best, chosen, by_embedding = min(tried, key=lambda found: found[0].loss)
    if spaces.curved is not None and _CURVED_FROM <= len(known.truth) <= TOO_MANY_TEXTS:
        shares, curved = _solved(known, spaces.curved)
        bent = (1 - CURVED_SHARE) * by_embedding + CURVED_SHARE * _SHARPNESS * curved
        found = calibrate(bent, by_words, known.truth)
        if found.loss < _WORTH * best.loss:
            best, chosen, by_embedding = found, _Chosen(chosen.straight, shares), bent
    mixed = best.mix * by_embedding + (1 - best.mix) * by_words
    return OutOfFold(known.rows, known.truth, softmax(mixed / best.temperature), best), chosen


def _solved(known: _Labelled, coordinates: quadratic.Coordinates) -> tuple[quadratic.Floats, quadratic.Floats]:
    """The shares of the texts, names included, and what each labelled text scores without its own."""
    import numpy as np

    like = coordinates.at(np.concatenate([known.rows, known.always])).likeness()
    shares, held_out = quadratic.solve(like, np.concatenate([known.truth, known.answers]), known.classes)
    return shares, held_out[: len(known.rows)]


def _scores(known: _Labelled, fold: Indices, space: _Space) -> Matrix:
    """Log-probabilities of one space's heads, each text by the head that was fitted without its fold."""
    import numpy as np

    score = np.full((len(known.rows), known.classes), _UNSEEN)
    for held in range(fold.max() + 1):
        outside, inside = np.flatnonzero(fold == held), np.flatnonzero(fold != held)
        if not len(outside) or not len(inside):
            continue
        rows = np.concatenate([known.rows[inside], known.always])
        answers = np.concatenate([known.truth[inside], known.answers])
        seen = np.unique(answers)
        if len(seen) < 2:
            score[np.ix_(outside, seen)] = 0.0
            continue
        coefficients, bias = _logistic(space.rows[rows], np.searchsorted(seen, answers), len(seen), space.penalty)
        logits = np.asarray(space.rows[known.rows[outside]] @ coefficients.T) + bias
        score[np.ix_(outside, seen)] = np.log(np.maximum(softmax(logits), 1e-12))
    return score


def _folds(truth: Indices) -> Indices:
    """A fold for each text, every class spread evenly, the same each time."""
    import numpy as np

    folds = FOLDS_OF_MANY if len(truth) > TOO_MANY_TEXTS else FOLDS
    fold = np.zeros(len(truth), dtype=np.int64)
    random = np.random.default_rng(0)
    start = 0
    for value in np.unique(truth):
        members = random.permutation(np.flatnonzero(truth == value))
        fold[members] = (start + np.arange(len(members))) % folds
        start += len(members)  # small classes do not all begin with fold 0
    return fold


def _logistic(rows: Any, truth: Indices, classes: int, penalty: float) -> tuple[Matrix, Matrix]:
    """Coefficients (classes by features) and biases of a multinomial logistic regression."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if rows.shape[0] > _ROTATE_UP_TO or classes > _NEWTON_UP_TO:
        return logistic(rows, truth, classes, penalty, tolerance=_TOLERANCE, iterations=_ITERATIONS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # many values, few texts
        warnings.simplefilter("ignore", ConvergenceWarning)  # close enough: the temperature is fitted on what it says
        # Newton's steps are dear but few.
        model = LogisticRegression(C=penalty, tol=_TOLERANCE, max_iter=_ITERATIONS, solver="newton-cg").fit(rows, truth)
    coefficients, bias = model.coef_, model.intercept_
    if classes == 2:  # scikit-learn keeps one row for two classes
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        bias = np.concatenate([-bias / 2, bias / 2])
    return coefficients, bias


def _embedding_spaces(examples: Sequence[Example]) -> tuple[_Space, ...]:
    """Embedding and inner layer side by side, once for each try."""
    import numpy as np

    unknown = iter(inner_all([example.text for example in examples if example.inner is None]))
    inner = [next(unknown) if example.inner is None else example.inner for example in examples]
    both = np.concatenate([[example.vector for example in examples], inner], axis=1, dtype=np.float64)
    spaces = []
    for weight, penalty in _OF_MANY if len(examples) > MANY_TEXTS else EMBEDDING_TRIES:
        weights = np.repeat([1.0, weight], DIMENSIONS)
        spaces.append(_Space(both * weights, weights, penalty))
    return tuple(spaces)


def _words_space(words: Words, examples: Sequence[Example]) -> _Space:
    import numpy as np
    from scipy.sparse import csr_matrix

    if not words.size:  # too few texts to share a word: the embedding has to do
        return _Space(np.zeros((len(examples), 1)), np.zeros((1, 0)), WORDS_C)
    found = [words.transform(clean(one.text), signs(one.text, one.source)) for one in examples]
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


def _distinct(values: Sequence[FieldValue]) -> list[FieldValue]:
    """Each value once, in an order that does not depend on that of the texts."""
    unique = {(type(value).__name__, str(value)): value for value in values}
    return [unique[key] for key in sorted(unique)]
