"""From scores to probabilities that can be believed: mix, temperature, calibration error, threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

MIXES = tuple(step / 20 for step in range(1, 20))
TEMPERATURES = tuple(math.exp(step / 20) for step in range(-40, 41))  # 0.14 to 7.4
# Fewer decisions than this cannot show 95 % with confidence, whatever they say.
MIN_FOR_THRESHOLD = 50
_CONFIDENCE_Z = 1.645  # one-sided 95 %


@dataclass(frozen=True, slots=True)
class Calibration:
    """`mix` is the share of the embedding's log-probabilities; `temperature` divides the mixed scores.

    `loss` is the mean log loss that these two leave.
    """

    mix: float
    temperature: float
    loss: float


def softmax(scores: Floats) -> Floats:
    """Rows of probabilities."""
    import numpy as np

    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities


def calibrate(embedding: Floats, words: Floats, truth: Indices) -> Calibration:
    """The mix and temperature of least log loss on out-of-fold log-probabilities (rows texts, columns classes)."""
    best = (math.inf, 0.5, 1.0)
    for mix in MIXES:
        mixed = mix * embedding + (1 - mix) * words
        loss, temperature = _best_temperature(mixed, truth)
        best = min(best, (loss, mix, temperature))
    return Calibration(best[1], best[2], best[0])


def _best_temperature(scores: Floats, truth: Indices) -> tuple[float, float]:
    """Least loss over the grid, found by narrowing: the loss is convex in 1/temperature."""
    low, high = 0, len(TEMPERATURES) - 1
    while high - low > 2:
        left, right = low + (high - low) // 3, high - (high - low) // 3
        if log_loss(scores / TEMPERATURES[left], truth) <= log_loss(scores / TEMPERATURES[right], truth):
            high = right
        else:
            low = left
    return min((log_loss(scores / TEMPERATURES[step], truth), TEMPERATURES[step]) for step in range(low, high + 1))


def log_loss(scores: Floats, truth: Indices) -> float:
    """Mean of -log p(truth), p the softmax of the scores."""
    import numpy as np

    top = scores.max(axis=1)
    normaliser = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    return float(np.mean(normaliser - scores[np.arange(len(truth)), truth]))


def calibration_error(confidence: Floats, correct: Floats, bins: int = 15) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy over equal bins, weighted by their texts."""
    import numpy as np

    if not len(confidence):
        return 0.0
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[place == one].mean() - correct[place == one].mean()) * (place == one).sum()
        for one in range(bins)
        if (place == one).any()
    ]
    return float(sum(gaps) / len(confidence))


def lower_bound(right: float, seen: float) -> float:
    """Wilson's lower bound of a share, one-sided 95 %: what it is at least, as far as `seen` texts can tell."""
    if not seen:
        return 0.0
    share, z2 = right / seen, _CONFIDENCE_Z**2
    margin = _CONFIDENCE_Z * math.sqrt(share * (1 - share) / seen + z2 / (4 * seen**2))
    return (share + z2 / (2 * seen) - margin) / (1 + z2 / seen)


def upper_bound(right: float, seen: float) -> float:
    """Wilson's upper bound of a share, one-sided 95 %: what it is at most, as far as `seen` texts can tell."""
    return 1.0 - lower_bound(seen - right, seen)


def threshold(
    confidence: Floats,
    correct: Floats,
    precision: float,
    undecided: Floats | None = None,
    many: Floats | None = None,
) -> float | None:
    """The lowest confidence from which on the precision's lower bound held; None when it never did.

    Confidence and correctness must be out-of-fold. The bound, not the point estimate: that one missed its promise by
    3 to 5 points with 300 texts.

    People decide what the engine is unsure of, so that decided texts alone are harder than the tickets that come in.
    `undecided` are its confidences in texts that nobody decided: with them the promise is made for all tickets. `many`
    is for how many each of these stands, one if not given: of those that came in they may be a part alone.
    """
    import numpy as np

    if len(confidence) < MIN_FOR_THRESHOLD:
        return None
    order = np.argsort(-confidence, kind="stable")
    confidence, correct = confidence[order], correct[order]
    # Texts of one confidence stand or fall together.
    ranks = np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1) + 1
    ranks = ranks[ranks >= MIN_FOR_THRESHOLD]
    right = np.cumsum(correct)
    held = [rank for rank in ranks if lower_bound(right[rank - 1], rank) >= precision]
    if undecided is not None and len(undecided):
        falling = np.argsort(-undecided, kind="stable")
        many = np.ones(len(undecided)) if many is None else many[falling]
        held.extend(ranks[_holds_for_all(confidence, correct, undecided[falling], many, precision)[ranks - 1]])
    return float(confidence[max(held) - 1]) if held else None


def _holds_for_all(
    confidence: Floats, correct: Floats, undecided: Floats, many: Floats, precision: float
) -> NDArray[np.bool_]:
    """By rank of the decided texts: whether all texts as sure as this one, decided or not, are right often enough.

    Twice over: by the lower bound of what the confidence was worth, a line through its log-odds, and by the decided
    texts counted as often as texts of their confidence come in. Both confidences fall.
    """
    import numpy as np

    every, texts = np.concatenate([confidence, undecided]), np.concatenate([np.ones(len(confidence)), many])
    falling = np.argsort(-every, kind="stable")
    every, texts = every[falling], texts[falling]
    # As many of all texts are at least as sure as the decided one of this rank.
    reach = np.searchsorted(-every, -confidence, side="right")
    odds = _with_constant(every)
    weights, covariance = _line(_with_constant(confidence), correct)
    worth = 1 / (1 + np.exp(-odds @ weights))
    counts = np.cumsum(texts)
    slopes = np.cumsum((texts * worth * (1 - worth))[:, None] * odds, axis=0) / counts[:, None]
    error = np.sqrt(np.einsum("ni,ij,nj->n", slopes, covariance, slopes))
    bound = (np.cumsum(texts * worth) / counts - _CONFIDENCE_Z * error)[reach - 1]
    weight = stands_for(confidence, undecided, many)
    counted = np.cumsum(weight * correct) / np.cumsum(weight)
    holds: NDArray[np.bool_] = (bound >= precision) & (counted >= precision)
    return holds


def _with_constant(confidence: Floats) -> Floats:
    import numpy as np

    clipped = np.clip(confidence, 1e-4, 1 - 1e-4)
    return np.column_stack([np.ones(len(clipped)), np.log(clipped / (1 - clipped))])


def _line(odds: Floats, correct: Floats) -> tuple[Floats, Floats]:
    """Constant and slope of the logistic regression of being right on log-odds, and their covariance.

    Before anything is seen a confidence is worth what it says, give or take one in the constant and half in the slope.
    """
    import numpy as np

    believed, stiffness = np.array([0.0, 1.0]), np.diag([1.0, 4.0])
    weights = believed.copy()
    for _ in range(25):
        worth = 1 / (1 + np.exp(-odds @ weights))
        curvature = (odds * (worth * (1 - worth))[:, None]).T @ odds + stiffness
        step = np.linalg.solve(curvature, odds.T @ (correct - worth) - stiffness @ (weights - believed))
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            break
    return weights, np.linalg.inv(curvature)


def stands_for(confidence: Floats, undecided: Floats, many: Floats | None = None) -> Floats:
    """How many texts each decided one stands for: by groups of like confidence, 25 decided ones at least in each.

    `many`: for how many each undecided one stands.
    """
    import numpy as np

    groups = max(1, min(20, len(confidence) // 25))
    rising = np.sort(confidence)
    # By how many decided texts are surer: equally sure ones come into one group.
    surer = (len(rising) - np.searchsorted(rising, one, side="right") for one in (confidence, undecided))
    ours, theirs = (one * groups // len(rising) for one in surer)
    # Where many are equally sure, a group can be without decided ones: then the next less sure ones stand for it.
    held, ours, decided = np.unique(ours, return_inverse=True, return_counts=True)
    others = np.bincount(np.minimum(np.searchsorted(held, theirs), len(held) - 1), many, minlength=len(held))
    counted: Floats = (1 + others / decided)[ours]
    return counted
