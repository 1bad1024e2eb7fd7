"""What a fit leaves behind: arrays and a header, as bytes that can be loaded without trusting them to run."""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from triage.embedding import DIMENSIONS
from triage.embedding import VERSION as EMBEDDING_VERSION
from triage.engines.words import Words
from triage.pipeline.types import FieldValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triage.pipeline.types import Vector

    Floats = NDArray[np.float32]

FORMAT = 3


class Unreadable(Exception):
    """The bytes are no weights of this version. Fit anew."""


@dataclass(frozen=True, slots=True)
class Head:
    """One field: its values in the order of its columns, and what out-of-fold predictions showed."""

    name: str
    values: tuple[FieldValue, ...]
    mix: float
    temperature: float
    apply_from: float | None
    texts: int
    decided: int
    accuracy: float
    calibration_error: float

    def probabilities(self, by_embedding: Floats, by_words: Floats, allowed: NDArray[np.bool_] | None = None) -> Floats:
        """Calibrated probabilities of the values, from the raw scores of this head's columns.

        Values that are not allowed get none; at least one must be.
        """
        import numpy as np

        # What would make log-probabilities of either score is one number a text, and falls out of the last line.
        scaled = (self.mix * by_embedding + (1 - self.mix) * by_words) / self.temperature
        if allowed is not None:
            scaled = np.where(allowed, scaled, -np.inf)
        spread = np.exp(scaled - scaled.max())
        probabilities: Floats = spread / spread.sum()
        return probabilities

    def confidence(self, probability: float, familiar: float) -> float:
        """Towards what a guess would be worth, as familiarity falls. A threshold is compared with this."""
        guess = 1.0 / len(self.values)
        return guess + (probability - guess) * familiar if probability > guess else probability


@dataclass(frozen=True, slots=True)
class Novelty:
    """Likeness to the nearest known text: at `usual` nothing is odd, at `strange` it is like nothing known."""

    strange: float
    usual: float

    def familiarity(self, nearest: float) -> float:
        """1 for a text as near to a known one as texts that belong are, falling to 0 for one like nothing known."""
        if nearest >= self.usual:
            return 1.0
        # Twice as far out as the strangest text of the training set, nothing is left.
        floor = self.strange - (self.usual - self.strange)
        return max(0.0, (nearest - floor) / max(self.usual - floor, 1e-6))


@dataclass(frozen=True, slots=True)
class Curve:
    """What products of coordinates add to the scores by embedding, for the heads that gain by them.

    Coordinates are embedding and inner layer times `directions`, less `origin`; `coefficients` are pairs (each
    coordinate with itself and every later one) by `columns`, the places of those columns among all.
    """

    directions: Floats
    origin: Floats
    coefficients: Floats
    columns: NDArray[np.int64]

    def scores(self, both: Floats) -> Floats:
        """Of one text, by column of this curve. `both` is its embedding and inner layer, end to end."""
        import numpy as np

        main = both @ self.directions - self.origin
        found: Floats = np.outer(main, main)[_upper(len(main))] @ self.coefficients
        return found


@functools.cache
def _upper(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    import numpy as np

    return np.triu_indices(size)


@dataclass(slots=True)
class Weights:
    """Coefficients: features by columns, the columns of all heads side by side in their order."""

    words: Words
    heads: tuple[Head, ...]
    embedding: Floats
    embedding_bias: Floats
    letters: Floats
    letters_bias: Floats
    novelty: Novelty
    curve: Curve | None = None
    reference: Floats | None = None
    about: dict[str, Any] | None = None

    def scores(self, text: str, vector: Vector, inner: Vector, signs: Sequence[str] = ()) -> tuple[Floats, Floats, Any]:
        """Raw scores of all columns by embedding and by words, and the word features that were found:
        their indices, weights and coefficients.

        `text` is cleaned; `vector` and `inner` are its embedding and inner layer; `signs` are those of the raw text.
        """
        import numpy as np

        indices, weights = self.words.transform(text, signs)
        coefficients = self.letters[indices].astype(np.float32)
        by_words = weights @ coefficients + self.letters_bias
        both = np.concatenate([vector, inner])
        by_embedding = both @ self.embedding + self.embedding_bias
        if self.curve is not None:
            by_embedding[self.curve.columns] += self.curve.scores(both)
        return by_embedding, by_words, (indices, weights, coefficients)

    def to_bytes(self) -> bytes:
        """An .npz without objects: half precision is enough for what was fitted on a few thousand texts."""
        import numpy as np

        header = {
            "format": FORMAT,
            "embedding": EMBEDDING_VERSION,
            "heads": [asdict(head) for head in self.heads],
            "novelty": asdict(self.novelty),
            "words": len(self.words.words),
            "signs": len(self.words.signs),
            "about": self.about or {},
        }
        arrays = {
            "header": _as_bytes(json.dumps(header)),
            "vocabulary": _as_bytes("\n".join([*self.words.words, *self.words.letters, *self.words.signs])),
            "idf": self.words.idf,
            "embedding": self.embedding,
            "embedding_bias": self.embedding_bias,
            "letters": self.letters.astype(np.float16),
            "letters_bias": self.letters_bias,
        }
        if self.curve is not None:
            arrays |= {f"curve_{name}": getattr(self.curve, name) for name in Curve.__slots__}
            arrays["curve_coefficients"] = self.curve.coefficients.astype(np.float16)
        if self.reference is not None:
            arrays["reference"] = self.reference.astype(np.float16)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()


def from_bytes(payload: bytes) -> Weights:
    """The inverse of `to_bytes`; nothing in the bytes can run. Raises Unreadable."""
    import numpy as np

    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(arrays["header"].tobytes())
        if header["format"] != FORMAT or header["embedding"] != EMBEDDING_VERSION:
            raise Unreadable("It was fitted for another version of the engine.")
        text = arrays["vocabulary"].tobytes().decode()
        vocabulary = text.split("\n") if text else []
        count, until = header["words"], len(vocabulary) - header["signs"]
        weights = Weights(
            words=Words(vocabulary[:count], vocabulary[count:until], arrays["idf"], vocabulary[until:]),
            heads=tuple(Head(**{**head, "values": tuple(head["values"])}) for head in header["heads"]),
            embedding=arrays["embedding"],
            embedding_bias=arrays["embedding_bias"],
            letters=arrays["letters"],
            letters_bias=arrays["letters_bias"],
            novelty=Novelty(**header["novelty"]),
            curve=_curve(arrays) if "curve_columns" in arrays else None,
            # Kept in half precision, multiplied in single: numpy has no fast product of halves.
            reference=arrays["reference"].astype(np.float32) if "reference" in arrays else None,
            about=header["about"],
        )
    except Unreadable:
        raise
    except Exception as problem:  # a damaged zip raises from many places
        raise Unreadable("The stored weights are damaged.") from problem
    _check(weights)
    return weights


def version_of(payload: bytes) -> str:
    """The name of a fit: the hash of its bytes."""
    return hashlib.sha256(payload).hexdigest()[:16]


def _curve(arrays: dict[str, Any]) -> Curve:
    import numpy as np

    found = {name: arrays[f"curve_{name}"] for name in Curve.__slots__}
    return Curve(**{**found, "coefficients": found["coefficients"].astype(np.float32)})


def _check(weights: Weights) -> None:
    columns = sum(len(head.values) for head in weights.heads)
    if weights.curve is not None:
        _check_curve(weights.curve, columns)
    expected = ((2 * DIMENSIONS, columns), (columns,), (weights.words.size, columns), (columns,))
    found = (weights.embedding.shape, weights.embedding_bias.shape, weights.letters.shape, weights.letters_bias.shape)
    if found != expected or len(weights.words.idf) != weights.words.size:
        raise Unreadable("The stored weights do not fit together.")


def _check_curve(curve: Curve, columns: int) -> None:
    size = len(curve.origin)
    shapes = (curve.directions.shape, curve.coefficients.shape)
    places = curve.columns
    if (
        shapes != ((2 * DIMENSIONS, size), (size * (size + 1) // 2, len(places)))
        or not ((places >= 0) & (places < columns)).all()
    ):
        raise Unreadable("The stored weights do not fit together.")


def _as_bytes(text: str) -> Any:
    import numpy as np

    return np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
