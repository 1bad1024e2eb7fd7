"""The local engine: fitted on decided texts, calibrated, free, and able to say why. Reads without scikit-learn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from triage.embedding import clean, inner
from triage.engines import tags
from triage.engines.signs import signs
from triage.engines.tags import Likely
from triage.engines.weights import Head, Weights
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
STOPPED = "Only suggested: of what was applied lately, too little was right."


@dataclass(frozen=True, slots=True)
class Neighbour:
    likeness: float
    labels: Mapping[FieldName, FieldValue]
    title: str  # only of invented texts: a customer's words do not stand in another customer's reasons


class LocalEngine:
    """Weights put to use. `version` names the fit; reading is thread-safe.

    Fields that are `stopped` are suggested at most, with the reason, and marked where they would have been applied.
    """

    def __init__(self, weights: Weights, version: str, stopped: frozenset[str] = frozenset()) -> None:
        import numpy as np

        self._weights = weights
        self._stopped = stopped
        self._version = version
        self._rows = starter.rows() if weights.reference is not None else ()
        self._sizes = np.array([len(head.values) for head in weights.heads])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._columns = [
            slice(start, start + size) for start, size in zip(self._starts.tolist(), self._sizes.tolist(), strict=True)
        ]
        own = weights.letters[: len(weights.words.words)]  # words come first
        usual = np.add.reduceat(own, self._starts, axis=1, dtype=np.float32) / self._sizes
        # How much more each word speaks for a value than for the others of its field.
        self._gains = (own - np.repeat(usual, self._sizes, axis=1)).astype(np.float16)
        # What each column's two scores count, as its head mixes and cools them.
        shares = [(head.mix / head.temperature, (1 - head.mix) / head.temperature) for head in weights.heads]
        self._of_embedding, self._of_words = np.repeat(np.array(shares, dtype=np.float32), self._sizes, axis=0).T
        self._allowed_by: tuple[Taxonomy, NDArray[np.bool_] | None] | None = None

    @property
    def version(self) -> str:
        return self._version

    @property
    def heads(self) -> tuple[Head, ...]:
        return self._weights.heads

    @property
    def suggested_only(self) -> frozenset[str]:
        return self._stopped | {head.name for head in self.heads if head.apply_from is None}

    def read(
        self, inquiry: Inquiry, vector: Vector, taxonomy: Taxonomy, examples: Sequence[Decided] = ()
    ) -> dict[FieldName, FieldReading]:
        """A reading of every field there was a fit for. Confidence falls where the text is like nothing known."""
        text = clean(inquiry.text)
        by_embedding, by_words, features = self._weights.scores(
            text, vector, inner(inquiry.text), signs(inquiry.text, inquiry.source)
        )
        neighbours = self._neighbours(vector, examples)
        familiar = self._weights.novelty.familiarity(neighbours[0].likeness if neighbours else 1.0)
        chosen, probability = self._likeliest(by_embedding, by_words, self._allowed(taxonomy))
        akin = [one for one in neighbours if one.likeness >= AKIN]
        readings: dict[FieldName, FieldReading] = {}
        for (place, best), words, likely in zip(
            chosen, self._telling_words(chosen, features), probability, strict=True
        ):
            head = self.heads[place]
            confidence = head.confidence(likely, familiar)
            reason = _reason(head, best, words, akin, familiar)
            applies = head.apply_from is not None and confidence >= head.apply_from
            withheld = applies and head.name in self._stopped
            readings[cast(FieldName, head.name)] = FieldReading(
                head.values[best],
                min(CERTAIN, confidence),
                f"{reason} {STOPPED}" if withheld else reason,
                "local",
                "apply" if applies and not withheld else "suggest",
                withheld=withheld,
            )
        tagged = tag(text, neighbours, taxonomy)
        confidence = tagged.probability * familiar
        if confidence >= tags.LIKELY:  # what is like nothing known has no texts like it to lend a tag
            readings["tags"] = FieldReading(tagged.tags, confidence, "By its words and texts like it.", "local")
        return readings

    def _likeliest(
        self, by_embedding: Floats, by_words: Floats, allowed: NDArray[np.bool_] | None
    ) -> tuple[list[tuple[int, int]], list[float]]:
        """The likeliest value of each head that may give any, as the place of the head and its own there; and how
        likely it is. As `Head.probabilities` has it, for all heads at once.
        """
        import numpy as np

        scaled = self._of_embedding * by_embedding + self._of_words * by_words
        if allowed is not None:
            scaled[~allowed] = -np.inf
        best = [int(scaled[columns].argmax()) for columns in self._columns]
        top = scaled[self._starts + best]
        spread = np.exp(scaled - np.repeat(np.where(np.isfinite(top), top, 0.0), self._sizes))
        likely = (1 / np.maximum(np.add.reduceat(spread, self._starts), 1e-30)).tolist()
        given = [place for place, score in enumerate(top.tolist()) if score > -np.inf]
        return [(place, best[place]) for place in given], [likely[place] for place in given]

    def _neighbours(self, vector: Vector, examples: Sequence[Decided]) -> list[Neighbour]:
        """The nearest known texts, nearest first: of the starter set and of what people decided here."""
        found = [Neighbour(example.similarity, example.labels, "") for example in examples]
        reference = self._weights.reference
        if reference is not None and len(self._rows) == len(reference):
            likeness = reference @ vector
            for row in likeness.argsort()[: -NEIGHBOURS - 1 : -1].tolist():
                known = self._rows[row]
                found.append(Neighbour(float(likeness[row]), known.labels, known.title))
        return sorted(found, key=lambda neighbour: -neighbour.likeness)[:NEIGHBOURS]

    def _allowed(self, taxonomy: Taxonomy) -> NDArray[np.bool_] | None:
        """By column, whether its value may be given; None: all of them. The same taxonomy comes with many texts."""
        import numpy as np

        remembered = self._allowed_by  # looked at once: another thread may come with another taxonomy
        if remembered is None or remembered[0] is not taxonomy:
            allowed = np.array([one for head in self.heads for one in _allowed(head, taxonomy)])
            remembered = self._allowed_by = (taxonomy, None if allowed.all() else allowed)
        return remembered[1]

    def _telling_words(self, chosen: Sequence[tuple[int, int]], features: Any) -> list[list[str]]:
        """The words that spoke most for each of these values, given as the place of its head, and its own there."""
        import numpy as np

        indices, weights, _ = features
        vocabulary = self._weights.words.words
        own = int((indices < len(vocabulary)).sum())
        indices, weights = indices[:own], weights[:own]
        found = [vocabulary[index] for index in indices.tolist()]
        heads, best = np.array(chosen).reshape(-1, 2).T
        gains = self._gains[indices, (self._starts[heads] + best)[:, None]] * weights
        ranked = gains.argsort(axis=1)[:, ::-1].tolist()
        return [
            _most(found[place] for place in places if gain[place] > 0)
            for places, gain in zip(ranked, gains.tolist(), strict=True)
        ]


def _most(words: Iterable[str]) -> list[str]:
    """The first three that are no fillers and say nothing twice."""
    chosen: list[str] = []
    for word in words:
        if word in _FILLERS:
            continue
        for other in chosen:
            if other in word or word in other.split():
                break
        else:
            chosen.append(word)
            if len(chosen) == 3:
                break
    return chosen


def _reason(head: Head, best: int, words: Sequence[str], akin: Sequence[Neighbour], familiar: float) -> str:
    """The nearest invented example of this value, how many decided ones have it, the words that weighed most."""
    value, name = head.values[best], cast(FieldName, head.name)
    same = [one for one in akin if one.labels.get(name, _NOTHING) == value]
    parts = []
    titled = next((one for one in same if one.title), None)
    if titled is not None:
        parts.append(f"Like \u201c{titled.title}\u201d")
    decided = sum(1 for one in same if not one.title)
    if decided:
        parts.append(f"{'like' if parts else 'Like'} {decided} decided {'ticket' if decided == 1 else 'tickets'}")
    if words:
        parts.append(f"{'words' if parts else 'Words'}: {', '.join(words)}")
    if familiar < 0.5:
        parts.append("little like anything known" if parts else "Little like anything known")
    return "; ".join(parts) + "." if parts else "By the text as a whole."


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
    return [known is None or value is None or value in known for value in head.values]
