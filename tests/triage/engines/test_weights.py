from __future__ import annotations

import io
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest

from triage.embedding import embed, inner
from triage.engines.weights import Unreadable, from_bytes, version_of
from triage.learning import starter


def test_weights_survive_the_way_through_bytes(payload: bytes) -> None:
    weights = from_bytes(payload)
    again = from_bytes(weights.to_bytes())
    vector = embed("The printer is broken")
    text = "the printer is broken"
    for one, other in zip(
        weights.scores(text, vector, inner(text)), again.scores(text, vector, inner(text)), strict=True
    ):
        assert np.allclose(np.asarray(one[0]), np.asarray(other[0]))
    assert again.heads == weights.heads
    assert again.novelty == weights.novelty
    assert again.about == weights.about


def test_the_version_is_the_hash_of_the_bytes(payload: bytes) -> None:
    assert version_of(payload) == version_of(bytes(payload))
    assert version_of(payload) != version_of(payload + b"x")


def test_there_is_no_pickle_inside(payload: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        for name in archive.namelist():
            header = archive.read(name)[:128]
            assert header.startswith(b"\x93NUMPY")
            assert b"'|O'" not in header


class Trap:
    """A pickle that would leave a mark when it is loaded."""

    sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Trap, "sprung", True))


def test_a_pickle_in_its_place_is_refused_and_does_not_run() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, header=np.array([Trap()], dtype=object))
    for poisoned in (pickle.dumps(Trap()), buffer.getvalue()):
        with pytest.raises(Unreadable):
            from_bytes(poisoned)
    assert not Trap.sprung


@pytest.mark.parametrize("damage", [b"", b"no zip", lambda payload: payload[: len(payload) // 2]])
def test_damaged_bytes_are_unreadable(payload: bytes, damage: Any) -> None:
    with pytest.raises(Unreadable):
        from_bytes(damage(payload) if callable(damage) else damage)


def test_arrays_that_do_not_fit_together_are_unreadable(payload: bytes) -> None:
    weights = from_bytes(payload)
    weights.embedding_bias = weights.embedding_bias[:-1]
    with pytest.raises(Unreadable):
        from_bytes(weights.to_bytes())


def test_an_artifact_holds_no_words_of_fewer_than_three_texts(payload: bytes) -> None:
    weights = from_bytes(payload)
    lowered = [row.text.lower() for row in starter.rows()]
    for word in weights.words.words[-50:]:
        if word.isalpha():
            assert sum(word in text for text in lowered) >= 3


def test_an_artifact_holds_no_vector_of_a_text_that_somebody_wrote() -> None:
    """Only the invented texts lie in it as vectors; what was decided has become coefficients."""
    from triage.learning.fit import Example
    from triage.learning.payload import fit_payload, starter_examples

    texts = [f"{word} is what Petronella Vandersteen asks about" for word in ("rowing", "sailing", "diving", "golf")]
    decided = [Example(text, embed(text), {"category": "bug"}, decided=True) for text in texts]
    with np.load(io.BytesIO(fit_payload(decided)[0]), allow_pickle=False) as stored:
        assert len(stored["reference"]) == len(starter_examples())
        rows = [stored[name] for name in stored.files if stored[name].ndim == 2]
    for matrix in (*rows, *(row.T for row in rows)):
        for layer in (embed, inner):
            if matrix.shape[1] == len(layer(texts[0])):
                known = matrix / np.maximum(np.linalg.norm(matrix.astype(np.float32), axis=1, keepdims=True), 1e-6)
                assert max(float((known @ layer(text)).max()) for text in texts) < 0.95
