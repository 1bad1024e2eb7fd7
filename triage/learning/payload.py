"""A fit as bytes to keep: of the starter set, and of what people decided. No database."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from triage.embedding import embed_both
from triage.learning import starter
from triage.learning.fit import APPLY_PRECISION, Example, fit

FIELDS = tuple(name for name in starter.LABELLED if name != "tags")


def fit_payload(
    decided: Sequence[Example] = (), undecided: Sequence[Example] = (), *, precision: float = APPLY_PRECISION
) -> tuple[bytes, dict[str, Any]]:
    """Fit from the starter set and what people decided: the bytes to keep, and what the fit measured.

    What is applied is to be right in `precision` of all cases (0 to 1), of those like the `undecided` texts, too.
    """
    began = time.perf_counter()
    known = starter_examples()
    examples = [*known, *decided]
    weights = fit(examples, FIELDS, undecided=undecided, precision=precision).weights
    weights.reference = _stacked(known)
    weights.about = {"starter": starter_hash(), "starter_texts": len(known), "decided_texts": len(decided)}
    metrics = {
        "fields": {
            head.name: {
                "texts": head.texts,
                "decided": head.decided,
                "accuracy": round(head.accuracy, 4),
                "calibration_error": round(head.calibration_error, 4),
                "apply_from": head.apply_from,
                "mix": head.mix,
                "temperature": round(head.temperature, 3),
            }
            for head in weights.heads
        },
        **weights.about,
        "precision": precision,
        "seconds": round(time.perf_counter() - began, 1),
    }
    return weights.to_bytes(), metrics


@lru_cache(maxsize=1)
def starter_examples() -> tuple[Example, ...]:
    """The starter set with its embeddings; a few seconds once a process."""
    rows = starter.rows()
    return tuple(
        Example(row.text, vector, {str(name): value for name, value in row.labels.items()}, inner=inner)
        for row, (vector, inner) in zip(rows, embed_both([row.text for row in rows]), strict=True)
    )


@lru_cache(maxsize=1)
def starter_hash() -> str:
    return hashlib.sha256(starter.DATA.read_bytes()).hexdigest()[:16]


@lru_cache(maxsize=1)
def starter_fit() -> tuple[bytes, dict[str, Any]]:
    """The fit of the starter set alone, made once a process."""
    return fit_payload()


def _stacked(examples: Sequence[Example]) -> Any:
    import numpy as np

    return np.array([example.vector for example in examples], dtype=np.float32)
