"""The local engine: fitted on decided texts, calibrated, free, and able to say why. Reads without scikit-learn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from triage.embedding import clean, inner
from triage.engines import tags
from triage.engines.signs import signs
from triage.engines.tags import Likely
from triage.engines.weights import Head, Novelty, Weights
from triage.learning import starter
from triage.pipeline.types import Decided, FieldName, FieldReading, FieldValue, Inquiry, Taxonomy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triage.pipeline.types import Vector

    Floats = NDArray[np.float32]

NEIGHBOURS = 8
# No figure out of some hundred texts can claim more.
CERTAIN = 0.99
# Below this likeness a neighbour is no argument.
AKIN = 0.45


@dataclass(frozen=True, slots=True)
class Neighbour:
    likeness: float
    labels: Mapping[FieldName, FieldValue]
    title: str  # only of invented texts: a customer's words do not stand in another customer's reasons


class LocalEngine:
    """Weights put to use. `version` names the fit; reading is thread-safe."""

    def __init__(self, weights: Weights, version: str) -> None:
        self._weights = weights
        self._version = version
        self._rows = starter.rows() if weights.reference is not None else ()
        self._columns: dict[str, slice] = {}
        start = 0
        for head in weights.heads:
            self._columns[head.name] = slice(start, start + len(head.values))
            start += len(head.values)

    @property
    def version(self) -> str:
        return self._version

    @property
    def heads(self) -> tuple[Head, ...]:
        return self._weights.heads

    @property
    def suggested_only(self) -> frozenset[str]:
        return frozenset(head.name for head in self.heads if head.apply_from is None)

    def read(
        self, inquiry: Inquiry, vector: Vector, taxonomy: Taxonomy, examples: Sequence[Decided] = ()
    ) -> dict[FieldName, FieldReading]:
        """A reading of every field there was a fit for. Confidence falls where the text is like nothing known."""
        text = clean(inquiry.text)
        by_embedding, by_words, features = self._weights.scores(
            text, vector, inner(inquiry.text), signs(inquiry.text, inquiry.source)
        )
        neighbours = self._neighbours(vector, examples)
        familiar = familiarity(self._weights.novelty, neighbours[0].likeness if neighbours else 1.0)
        readings: dict[FieldName, FieldReading] = {}
        for head in self.heads:
            name = cast(FieldName, head.name)
            columns = self._columns[head.name]
            allowed = _allowed(head, taxonomy)
            if not any(allowed):
                continue
            probabilities = head.probabilities(by_embedding[columns], by_words[columns], allowed)
            best = int(probabilities.argmax())
            confidence = min(CERTAIN, dampened(float(probabilities[best]), familiar, len(head.values)))
            reason = self._reason(head, best, features, neighbours, familiar)
            applies = head.apply_from is not None and confidence >= head.apply_from
            readings[name] = FieldReading(
                head.values[best], confidence, reason, "local", "apply" if applies else "suggest"
            )
        likely = tag(text, neighbours, taxonomy)
        confidence = likely.probability * familiar
        if confidence >= tags.LIKELY:  # what is like nothing known has no texts like it to lend a tag
            readings["tags"] = FieldReading(likely.tags, confidence, "By its words and texts like it.", "local")
        return readings

    def _neighbours(self, vector: Vector, examples: Sequence[Decided]) -> list[Neighbour]:
        """The nearest known texts, nearest first: of the starter set and of what people decided here."""
        found = [Neighbour(example.similarity, example.labels, "") for example in examples]
        reference = self._weights.reference
        if reference is not None and len(self._rows) == len(reference):
            likeness = reference @ vector
            for row in likeness.argsort()[: -NEIGHBOURS - 1 : -1]:
                known = self._rows[int(row)]
                found.append(Neighbour(float(likeness[row]), known.labels, known.title))
        return sorted(found, key=lambda neighbour: -neighbour.likeness)[:NEIGHBOURS]

    def _reason(self, head: Head, best: int, features: Any, neighbours: Sequence[Neighbour], familiar: float) -> str:
        """The nearest invented example of this value, how many decided ones have it, the words that weighed most."""
        value, name = head.values[best], cast(FieldName, head.name)
        same = [one for one in neighbours if one.likeness >= AKIN and one.labels.get(name, _NOTHING) == value]
        parts = []
        titled = next((one for one in same if one.title), None)
        if titled is not None:
            parts.append(f"Like \u201c{titled.title}\u201d")
        decided = sum(1 for one in same if not one.title)
        if decided:
            parts.append(f"{'like' if parts else 'Like'} {decided} decided {'ticket' if decided == 1 else 'tickets'}")
        words = self._telling_words(head, best, features)
        if words:
            parts.append(f"{'words' if parts else 'Words'}: {', '.join(words)}")
        if familiar < 0.5:
            parts.append("little like anything known" if parts else "Little like anything known")
        return "; ".join(parts) + "." if parts else "By the text as a whole."

    def _telling_words(self, head: Head, best: int, features: Any) -> list[str]:
        indices, weights, coefficients = features
        vocabulary = self._weights.words.words
        own = int((indices < len(vocabulary)).sum())  # words come first
        columns = coefficients[:own, self._columns[head.name]]
        gain = weights[:own] * (columns[:, best] - columns.sum(axis=1) / len(head.values))
        chosen: list[str] = []
        for position in gain.argsort()[::-1]:
            word = vocabulary[int(indices[position])]
            if gain[position] <= 0 or len(chosen) == 3:
                break
            if word not in _FILLERS and not any(word in other.split() or other in word for other in chosen):
                chosen.append(word)
        return chosen


def tag(text: str, neighbours: Sequence[Neighbour], taxonomy: Taxonomy | None = None) -> Likely:
    """The likely tags of a cleaned text, given the texts nearest to it."""
    weight: dict[str, float] = defaultdict(float)
    total = 0.0
    for neighbour in neighbours:
        near = max(0.0, neighbour.likeness - AKIN / 2)
        total += near
        given = neighbour.labels.get("tags")
        for name in given if isinstance(given, tuple | list) else ():
            weight[str(name)] += near
    shares = {name: share / total for name, share in weight.items()} if total else {}
    return tags.load().likely(text, shares, taxonomy)


def familiarity(novelty: Novelty, nearest: float) -> float:
    """1 for a text as near to a known one as texts that belong are, falling to 0 for one that is like nothing known."""
    if nearest >= novelty.usual:
        return 1.0
    # Twice as far out as the strangest text of the training set, nothing is left.
    floor = novelty.strange - (novelty.usual - novelty.strange)
    return max(0.0, (nearest - floor) / max(novelty.usual - floor, 1e-6))


_NOTHING = object()
_FILLERS = frozenset(
    {
        "the",
        "and",
        "for",
        "that",
        "this",
        "with",
        "you",
        "your",
        "our",
        "are",
        "was",
        "has",
        "have",
        "had",
        "not",
        "but",
    }
    | {
        "all",
        "can",
        "will",
        "would",
        "from",
        "they",
        "them",
        "there",
        "then",
        "when",
        "been",
        "were",
        "its",
        "it",
        "is",
    }
    | {"in", "on", "to", "of", "my", "we", "me", "am", "as", "at", "be", "by", "do", "if", "or", "so", "an", "no", "up"}
)


def _allowed(head: Head, taxonomy: Taxonomy) -> list[bool]:
    known = taxonomy.values(cast(FieldName, head.name))
    if known is None:
        return [True] * len(head.values)
    return [value is None or value in known for value in head.values]


def dampened(confidence: float, familiar: float, values: int) -> float:
    """Towards what a guess would be worth, as familiarity falls."""
    guess = 1.0 / values
    return guess + (confidence - guess) * familiar if confidence > guess else confidence
