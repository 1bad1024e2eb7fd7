"""The names of values as texts to learn from: what a category is called says a little of what belongs to it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from triage.embedding import embed_both
from triage.learning.fit import Example

_joints = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
_word = re.compile(r"[^\W\d_]{3}")
# A thousand names take two seconds to embed; with more values than that, names are ids.
_AT_MOST = 1_000


def named(field: str, values: Iterable[object]) -> list[Example]:
    """An example for each value that is called something: "card_arrival" reads "card arrival", "17" reads nothing."""
    spoken = {value: _joints.sub(" ", value).strip() for value in values if isinstance(value, str)}
    kept = {value: text for value, text in spoken.items() if _word.search(text)}
    if len(kept) > _AT_MOST:
        return []
    read = embed_both(list(kept.values()))
    return [
        Example(text, vector, {field: value}, inner=inner)
        for (value, text), (vector, inner) in zip(kept.items(), read, strict=True)
    ]
