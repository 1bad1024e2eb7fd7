from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import triage.embedding
from triage.embedding import DIMENSIONS, embed, embed_both, inner, inner_all


@pytest.mark.parametrize(
    "text", ["The printer is on fire", "", " \n", "\x00", "😀😀😀", "لا أستطيع الدخول", "a" * 5000]
)
def test_a_vector_has_unit_length_whatever_the_text(text: str) -> None:
    vector = embed(text)
    assert vector.shape == (DIMENSIONS,)
    assert vector.dtype == np.float32
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-4)


def test_what_means_the_same_lies_near() -> None:
    asked, same, other = (
        embed("I forgot my password"),
        embed("cannot sign in any more"),
        embed("invoice shows wrong VAT"),
    )
    assert float(asked @ same) > float(asked @ other) + 0.1


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    texts = ["Printer jam", "Refund for March please", "How do I export tasks?"]
    both = embed_both(texts)
    triage.embedding.forget()
    for (vector, third), again, text in zip(both, inner_all(texts), texts, strict=True):
        assert np.array_equal(vector, embed(text))
        assert np.array_equal(third, inner(text)) and np.array_equal(third, again)


def test_the_inner_layer_comes_from_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    embed("Printer jam")
    monkeypatch.setattr(triage.embedding, "_model", None)  # another run would raise
    third = inner("Printer jam")
    assert third.shape == (DIMENSIONS,) and float(np.linalg.norm(third)) == pytest.approx(1.0, abs=1e-4)


def test_the_inner_layer_tells_how_a_text_is_put() -> None:
    """Two questions and two complaints about two things: the embedding pairs by thing, the inner layer less so."""
    asked, complained = "How can I export my board?", "The export of my board fails again and again!"
    asked_too = "How can I pay my invoice?"

    def lead(layer: Callable[[str], Any]) -> float:
        return float(layer(asked) @ layer(asked_too) - layer(asked) @ layer(complained))

    assert lead(inner) > lead(embed) + 0.2


def test_a_vector_that_many_share_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        embed("Printer jam")[0] = 1.0


def test_a_text_of_ten_megabytes_costs_no_more_than_a_long_mail() -> None:
    embed("warm")
    began = time.process_time()
    embed("the network is slow today " * 400_000)
    assert time.process_time() - began < 2.0


def test_the_model_is_the_one_its_provenance_names() -> None:
    folder = Path(triage.embedding.__file__).parent / "minilm"
    provenance = (folder / "PROVENANCE.md").read_text()
    for name in ("model-int8-inner.onnx", "tokenizer.json"):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() in provenance
    assert "Apache License" in (folder / "LICENSE").read_text()


def test_importing_the_pipeline_loads_nothing_heavy() -> None:
    code = (
        "import sys, triage.pipeline, triage.engines.local, triage.learning.fit, triage.learning.evaluate;"
        "print([name for name in ('onnxruntime', 'tokenizers', 'sklearn', 'scipy', 'numpy', 'py3langid', 'anthropic')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
