"""From which confidence on each head applies its values: by the confidences that readings will show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from triage.embedding import clean, inner_all
from triage.engines.signs import signs
from triage.engines.weights import Head, Novelty, Weights
from triage.learning.calibrate import threshold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triage.learning.fit import Example, Fitted

    Floats = NDArray[np.float64]
    Vectors = NDArray[np.float32]


def with_thresholds(
    fitted: Fitted, examples: Sequence[Example], undecided: Sequence[Example], *, precision: float
) -> tuple[Head, ...]:
    """The heads with what each may apply. Only decisions made at this desk can show what may be applied at it."""
    import numpy as np

    names = {head.name for head in fitted.weights.heads}
    partly = [one for one in examples if one.decided and not names <= one.labels.keys()]
    others = [*undecided, *partly[-len(undecided) :]] if undecided else []
    known = _vectors(examples)
    near = [fitted.weights.novelty.familiarity(one) for one in _nearest(known, known)]
    sure = _confidences(fitted.weights, others, known)
    heads = []
    for head in fitted.weights.heads:
        out = fitted.held_out[head.name]
        ours = np.array([examples[row].decided for row in out.rows], dtype=bool)
        pairs = zip(out.confidence.tolist(), out.rows.tolist(), strict=True)
        # As a reading gives them, which is less where a text is like nothing known.
        confidence = np.array([head.confidence(probability, near[row]) for probability, row in pairs])
        found = threshold(confidence[ours], out.correct[ours], precision, *sure[head.name])
        heads.append(replace(head, apply_from=found))
    return tuple(heads)


def _confidences(weights: Weights, texts: Sequence[Example], known: Vectors) -> dict[str, tuple[Floats, Floats]]:
    """By field, how sure the fit is of each text that has no label of that field, and for how many that one stands."""
    import numpy as np

    sure: dict[str, list[tuple[float, float]]] = {head.name: [] for head in weights.heads}
    inner = iter(inner_all([one.text for one in texts if one.inner is None]))
    nearest = _nearest(_vectors(texts), known)
    for one, likeness in zip(texts, nearest, strict=True):
        by_embedding, by_words, _ = weights.scores(
            clean(one.text), one.vector, next(inner) if one.inner is None else one.inner, signs(one.text, one.source)
        )
        familiar = weights.novelty.familiarity(likeness)
        start = 0
        for head in weights.heads:
            columns = slice(start, start := start + len(head.values))
            if head.name not in one.labels:
                probability = float(head.probabilities(by_embedding[columns], by_words[columns]).max())
                sure[head.name].append((head.confidence(probability, familiar), one.stands_for))
    pairs = {name: np.array(found, dtype=np.float64).reshape(-1, 2) for name, found in sure.items()}
    return {name: (found[:, 0], found[:, 1]) for name, found in pairs.items()}


def novelty_of(examples: Sequence[Example]) -> Novelty:
    """How near a text that belongs lies to its nearest neighbour: the 2nd and 20th percentile of those fitted on."""
    import numpy as np

    known = _vectors(examples)
    strange, usual = np.quantile(_nearest(known, known), [0.02, 0.20])
    return Novelty(strange=float(strange), usual=float(usual))


def _vectors(texts: Sequence[Example]) -> Vectors:
    import numpy as np

    return np.array([one.vector for one in texts], dtype=np.float32)


def _nearest(vectors: Vectors, known: Vectors) -> list[float]:
    """How like the most like of the `known` texts is to each; of a text that is one of them, another one."""
    import numpy as np

    found: list[float] = []
    for start in range(0, len(vectors), 1_000):
        likeness = vectors[start : start + 1_000] @ known.T
        if vectors is known:
            own = np.arange(len(likeness))
            likeness[own, start + own] = -1.0
        found.extend(likeness.max(axis=1).tolist())
    return found
