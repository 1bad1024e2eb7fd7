"""A text as 384 numbers: all-MiniLM-L6-v2, ONNX int8, which ships in `minilm/` with its provenance."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from triage.embedding.clean import MAX_CLEAN, MAX_RAW, TURN, clean

if TYPE_CHECKING:
    from triage.pipeline.types import Vector

__all__ = [
    "DIMENSIONS",
    "MAX_CLEAN",
    "MAX_RAW",
    "TURN",
    "VERSION",
    "clean",
    "embed",
    "embed_both",
    "inner",
    "inner_all",
]

Found = TypeVar("Found")
DIMENSIONS = 384  # of either
MAX_TOKENS = 256
# Vectors of two versions do not compare: a change of model or cleaning must change this.
VERSION = "minilm-l6-v2-int8-1"
_DIRECTORY = Path(__file__).parent / "minilm"
# 256 word pieces are seldom more than this; tokenising costs by length.
_MAX_TOKENISED = 2_500

_lock = threading.Lock()
_loaded: tuple[Any, Any] | None = None


def embed(text: str) -> Vector:
    """The embedding of `clean(text)`: 384 float32 of unit length, for an empty text too (all empty texts are alike).

    One text a call: int8 activations are scaled over a batch, so neighbours would shift the vector (cosine 0.98).
    """
    return _outputs(clean(text)[:_MAX_TOKENISED])[0]


def inner(text: str) -> Vector:
    """What the third of the six layers made of `clean(text)`: 384 float32 of unit length, the usual mean taken off.

    The last layer knows what a text is about; this one still knows how it is put. Free where `embed` was asked just
    before: both come from one run.
    """
    return _outputs(clean(text)[:_MAX_TOKENISED])[1]


def forget() -> None:
    """Keep no text's vectors, as a process that has read nothing yet."""
    _outputs.cache_clear()


@lru_cache(maxsize=64)  # a reading asks for both, and tickets are read a few at a time
def _outputs(words: str) -> tuple[Vector, Vector]:
    import numpy as np

    tokenizer, session = _model()
    encoded = tokenizer.encode(words)
    inputs = {
        "input_ids": np.array([encoded.ids], dtype=np.int64),
        "attention_mask": np.array([encoded.attention_mask], dtype=np.int64),
        "token_type_ids": np.array([encoded.type_ids], dtype=np.int64),
    }
    last, third = session.run(["embedding", "inner"], inputs)
    return _kept(last[0]), _kept(third[0])


def _kept(vector: Vector) -> Vector:
    vector.flags.writeable = False  # many callers share it
    return vector


def inner_all(texts: Sequence[str]) -> list[Vector]:
    """The inner layer of many texts."""
    return _all(inner, texts)


def embed_both(texts: Sequence[str]) -> list[tuple[Vector, Vector]]:
    """Embedding and inner layer of many texts, for a fit: one text a call all the same, on every core."""
    return _all(lambda text: (embed(text), inner(text)), texts)


def _all(work: Callable[[str], Found], texts: Sequence[str]) -> list[Found]:
    from concurrent.futures import ThreadPoolExecutor

    _model()
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(work, texts))


def _model() -> tuple[Any, Any]:
    """Tokeniser and session, loaded once a process (about 0.2 s, 116 MB) when first needed."""
    global _loaded  # noqa: PLW0603 - one model a process is the point
    if _loaded is None:
        with _lock:
            if _loaded is None:
                _loaded = _load()
    return _loaded


def _load() -> tuple[Any, Any]:
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(_DIRECTORY / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    options = onnxruntime.SessionOptions()
    # Processes are the unit of parallelism; threads of one session would fight the other worker for the cores.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    session = onnxruntime.InferenceSession(
        str(_DIRECTORY / "model-int8-inner.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return tokenizer, session
