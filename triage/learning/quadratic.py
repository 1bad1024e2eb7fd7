"""Ridge regression on an embedding and on the products of its main coordinates.

A value is often told by two things together, which no weighted sum of coordinates can say. With u the text's distance
from the mean text and z its first principal coordinates, two texts count as alike by u·u' + b (z·z')² + 1: the same as
a weighted sum of u and of every product of two of z, but solved by the texts (Saunders, Gammerman and Vovk, 1998). So
it costs a matrix of texts by texts, and no more than that sum for whoever reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triage.engines.weights import Curve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Indices = NDArray[np.int64]

DIRECTIONS = 128  # of 64 they lose what they gain
PRODUCTS = 1.0  # b
RIDGE = 0.1
_AT_ONCE = 1_000  # texts


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Texts as `around` (texts by features, less `origin`) and `main` (texts by `directions`' columns)."""

    origin: Floats
    directions: Floats
    around: Floats
    main: Floats

    @classmethod
    def of(cls, rows: Floats) -> Coordinates:
        import numpy as np

        origin = rows.mean(axis=0)
        around = rows - origin
        _, found = np.linalg.eigh((around.T @ around).astype(np.float64))
        directions = np.ascontiguousarray(found[:, ::-1][:, : min(DIRECTIONS, len(rows))], dtype=np.float32)
        return cls(origin, directions, around, around @ directions)

    def at(self, rows: Indices) -> Coordinates:
        """Of these texts alone."""
        return Coordinates(self.origin, self.directions, self.around[rows], self.main[rows])

    def likeness(self) -> Floats:
        """Texts by texts."""
        like = self.main @ self.main.T
        like *= like
        like *= PRODUCTS
        like += self.around @ self.around.T
        like += 1
        return like

    def coefficients(self, shares: Floats) -> tuple[Floats, Floats, Floats]:
        """What the texts' `shares` (texts by classes) come to: of features, of `products`, and the constant."""
        import numpy as np

        of_products = np.zeros((products(self.main[:1]).shape[1], shares.shape[1]), dtype=np.float32)
        for start in range(0, len(shares), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            of_products += products(self.main[part]).T @ shares[part]
        first, second = np.triu_indices(self.main.shape[1])
        of_products *= np.where(first == second, PRODUCTS, 2 * PRODUCTS).astype(np.float32)[:, None]
        of_features = self.around.T @ shares
        return of_features, of_products, shares.sum(axis=0) - self.origin @ of_features

    def curve(self, weights: NDArray[np.float64], found: Sequence[tuple[int, Floats]]) -> Curve:
        """What is kept to read with: `found` are the first column and the coefficients of products of each field.

        `weights` are what embedding and inner layer were multiplied by to make these texts' features.
        """
        import numpy as np

        return Curve(
            directions=(self.directions * weights[:, None]).astype(np.float32),
            origin=self.origin @ self.directions,
            coefficients=np.concatenate([of_products for _, of_products in found], axis=1),
            columns=np.concatenate([start + np.arange(of_products.shape[1]) for start, of_products in found]),
        )


def products(main: Floats) -> Floats:
    """Each coordinate times itself and times every later one: texts by pairs, row by row of the upper triangle."""
    import numpy as np

    first, second = np.triu_indices(main.shape[1])
    found: Floats = main[:, first] * main[:, second]
    return found


def solve(like: Floats, truth: Indices, classes: int) -> tuple[Floats, Floats]:
    """The shares of texts (texts by classes) that bring their scores to 1 for their own class and 0 for the others.

    Also what each text would score by the shares of all others without it: exact, from the one solution (Rifkin and
    Lippert, 2007). `like` is used up. Scores are the likeness to the texts times their shares, and near 0 for a text
    like none of them.
    """
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve, get_lapack_funcs

    like[np.diag_indices_from(like)] += RIDGE
    wanted = np.zeros((len(truth), classes), dtype=np.float32)
    wanted[np.arange(len(truth)), truth] = 1
    # Turned it is the same matrix in the order that LAPACK works in: no copy.
    factor, lower = cho_factor(like.T, lower=True, overwrite_a=True, check_finite=False)
    shares: Floats = cho_solve((factor, lower), wanted, check_finite=False)
    (invert,) = get_lapack_funcs(("potri",), (factor,))
    inverse, _ = invert(factor, lower=lower, overwrite_c=True)
    return shares, wanted - shares / inverse.diagonal()[:, None]
