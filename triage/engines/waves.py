"""What lies between straight lines: waves over the embedding, so that a linear head can learn a curved border.

Random Fourier features of a Gaussian kernel (Rahimi and Recht, 2007), in place of whose dense random matrix stand
three fast transforms with random signs between them (Le, Sarlos and Smola, 2013; Yu and others, 2016): a hundredth of
the work, and nothing to store. They keep no text: they are the same for every fit.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from triage.embedding import DIMENSIONS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

INNER = 0.35  # weight of the inner layer beside the embedding
_WIDTH = 1024  # the power of two above the dimensions of both
COUNT = 2 * _WIDTH
_GAMMA = 1.0  # of the kernel exp(-gamma distance²) between texts whose two layers have unit length together
_ROUNDS = 3


def waves(both: Floats) -> Floats:
    """`COUNT` numbers, of unit length, for each row of embedding and inner layer side by side (or for one text)."""
    import numpy as np

    turned = np.zeros((*both.shape[:-1], _WIDTH), dtype=np.float32)
    turned[..., : both.shape[-1]] = both * _scale()
    for signs in _signs():
        turned = _transform(turned * signs)
    turned *= np.float32(np.sqrt(2 * _GAMMA * _WIDTH))
    return np.concatenate([np.cos(turned), np.sin(turned)], axis=-1) / np.float32(np.sqrt(_WIDTH))


def _transform(rows: Floats) -> Floats:
    """A rotation: the real and imaginary parts of the Fourier transform, side by side."""
    import numpy as np

    found = np.fft.rfft(rows, norm="ortho")
    parts = [found.real, found.imag[..., 1 : _WIDTH // 2]]
    turned: Floats = np.concatenate(parts, axis=-1, dtype=np.float32) * np.float32(np.sqrt(2))
    turned[..., [0, _WIDTH // 2]] /= np.float32(np.sqrt(2))
    return turned


@lru_cache(maxsize=1)
def _scale() -> Any:
    import numpy as np

    return (np.repeat([1.0, INNER], DIMENSIONS) / np.sqrt(1 + INNER**2)).astype(np.float32)


@lru_cache(maxsize=1)
def _signs() -> Any:
    """By hashes rather than a generator of numpy's: a stored fit relies on them for ever."""
    import numpy as np

    drawn = b"".join(hashlib.sha256(f"waves {block}".encode()).digest() for block in range(_ROUNDS * _WIDTH // 256))
    bits = np.unpackbits(np.frombuffer(drawn, dtype=np.uint8))
    return (2.0 * bits - 1.0).astype(np.float32).reshape(_ROUNDS, _WIDTH)
