"""Word features: TF-IDF of words, word pairs, letter groups within words and signs of the text; no scikit-learn."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Indices = NDArray[np.int64]

# A feature that fewer texts hold would carry one customer's words into the artifact; and it teaches little.
MIN_TEXTS = 3
MAX_FEATURES = 60_000  # of each block
MAX_CHARACTERS = 2_500
# How much the signs of a text weigh beside its words and its letters, which weigh 1 each.
SIGNS_WEIGHT = 0.5
_LETTERS = (3, 4, 5)
_CACHED_WORDS = 20_000
_COUNTED = 3_000_000  # different features held while counting
_token = re.compile(r"\w\w+")
_chunk = re.compile(r"\S+")
_digits = re.compile(r"\d")


def pieces(text: str) -> tuple[Counter[str], Counter[str]]:
    """Words and word pairs of a text, and its whitespace-separated chunks, each with how often they stand there.

    Digits are all written 0: numbers tell customers apart, not topics.
    """
    plain = _digits.sub("0", text[:MAX_CHARACTERS].lower())
    words = _token.findall(plain)
    counted = Counter(words)
    counted.update(map(" ".join, pairwise(words)))
    return counted, Counter(chunk[:60] for chunk in _chunk.findall(plain))


def letter_groups(chunk: str) -> list[str]:
    """All runs of 3 to 5 letters of one chunk with a space on either side, as `char_wb` of scikit-learn makes them."""
    padded = f" {chunk} "
    groups: list[str] = []
    for size in _LETTERS:
        if len(padded) <= size:
            groups.append(padded)
            break
        groups.extend(padded[start : start + size] for start in range(len(padded) - size + 1))
    return groups


@dataclass(slots=True)
class Words:
    """A fitted vocabulary: `words` first, then `letters`, then `signs`; `idf` in the same order."""

    words: Sequence[str]
    letters: Sequence[str]
    idf: Floats
    signs: Sequence[str] = ()
    _word_index: dict[str, int] = field(init=False, repr=False)
    _letter_index: dict[str, int] = field(init=False, repr=False)
    _sign_index: dict[str, int] = field(init=False, repr=False)
    _chunks: dict[str, list[int]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._word_index = {word: index for index, word in enumerate(self.words)}
        offset = len(self.words)
        self._letter_index = {group: offset + index for index, group in enumerate(self.letters)}
        offset += len(self.letters)
        self._sign_index = {sign: offset + index for index, sign in enumerate(self.signs)}

    @property
    def size(self) -> int:
        return len(self.words) + len(self.letters) + len(self.signs)

    def transform(self, text: str, signs: Iterable[str] = ()) -> tuple[Indices, Floats]:
        """The features of one cleaned text and its signs: indices and weights.

        Words and letters have unit length each and signs `SIGNS_WEIGHT`, as far as there are any.
        """
        import numpy as np

        words, chunks = pieces(text)
        index = self._word_index
        counts = {index[word]: count for word, count in words.items() if word in index}
        letters_from = len(counts)
        for chunk, count in chunks.items():
            for position in self._groups_of(chunk):
                counts[position] = counts.get(position, 0) + count
        signs_from = len(counts)
        counts.update((self._sign_index[sign], 1) for sign in signs if sign in self._sign_index)
        # All blocks at once: a reading waits for each step of numpy longer than for its numbers.
        indices = np.fromiter(counts.keys(), dtype=np.int64, count=len(counts))
        found = np.fromiter(counts.values(), dtype=np.float32, count=len(counts))
        weights: Floats = (1 + np.log(found)) * self.idf[indices]
        bounds = ((0, letters_from, 1.0), (letters_from, signs_from, 1.0), (signs_from, len(counts), SIGNS_WEIGHT))
        for start, end, wished in bounds:
            block = weights[start:end]
            length = math.sqrt(float(block @ block))
            if length:
                weights[start:end] = block * (wished / length)
        return indices, weights

    def _groups_of(self, chunk: str) -> list[int]:
        known = self._chunks.get(chunk)
        if known is None:
            index = self._letter_index
            known = [index[group] for group in letter_groups(chunk) if group in index]
            if len(self._chunks) < _CACHED_WORDS:
                self._chunks[chunk] = known
        return known


def fit_words(texts: Iterable[str], signs: Iterable[Iterable[str]] = (), *, at_most: int = MAX_FEATURES) -> Words:
    """The vocabulary of cleaned texts and their signs: the features most texts hold, none of fewer than `MIN_TEXTS`.

    `at_most`: features of words, and as many of letters. The idf is smoothed.
    """
    import numpy as np

    total = 0
    word_texts: Counter[str] = Counter()
    letter_texts: Counter[str] = Counter()
    sign_texts: Counter[str] = Counter()
    for text in texts:
        total += 1
        words, chunks = pieces(text)
        word_texts.update(words.keys())
        letter_texts.update({group for chunk in chunks for group in letter_groups(chunk)})
        if len(letter_texts) > _COUNTED or len(word_texts) > _COUNTED:
            word_texts, letter_texts = _without_rare(word_texts), _without_rare(letter_texts)
    for found in signs:
        sign_texts.update(set(found))
    blocks = [(counts, _most_common(counts, at_most)) for counts in (word_texts, letter_texts, sign_texts)]
    held = [counts[feature] for counts, kept in blocks for feature in kept]
    idf = np.log((1 + total) / (1 + np.array(held, dtype=np.float64))) + 1
    return Words(blocks[0][1], blocks[1][1], idf.astype(np.float32), blocks[2][1])


def _without_rare(texts: Counter[str]) -> Counter[str]:
    """What was met once so far is dropped, so that counting many long texts does not fill the memory."""
    return Counter({feature: count for feature, count in texts.items() if count > 1})


def _most_common(texts: Counter[str], at_most: int) -> list[str]:
    frequent = [(count, feature) for feature, count in texts.items() if count >= MIN_TEXTS]
    frequent.sort(key=lambda pair: (-pair[0], pair[1]))
    return [feature for _, feature in frequent[:at_most]]
