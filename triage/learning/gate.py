"""Whether a new fit may take over: measured against the one in force on decisions that neither was fitted on.

Both read the same held-out texts as the desk would. The candidate is refused only where it is worse beyond noise; the
noise is that of the differences text by text (a paired bootstrap), shared out over the fields that are compared, so
that nine fields do not make nine chances of a false alarm.

A label that was only accepted leans towards the fit that proposed it, and one that was changed speaks against that fit.
Neither alone would be fair: both are counted, and the changed ones are shown apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from triage.embedding.clean import TURN
from triage.learning.calibrate import calibration_error, stands_for, upper_bound
from triage.pipeline.types import Decided, FieldReading, FieldValue, Inquiry, LocalReader, Taxonomy, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triage.pipeline.types import Vector

    Floats = NDArray[np.float64]

# One decided ticket in ten is never fitted on: it is what fits are measured by.
HELD_OUT = 0.10
# Decisions of a field below which a comparison says nothing: one text is then worth more than three points.
AT_LEAST = 30
# The newest are most like what comes next, and two engines read a thousand in seconds.
AT_MOST = 1_000
CALIBRATION_TOLERANCE = 0.02  # of calibration error that a candidate may add
COVERAGE_TOLERANCE = 0.05  # of tickets that it may apply less of
_ALPHA = 0.05
_REPEATS = 2_000
_NEAREST = 5


@dataclass(frozen=True, slots=True)
class Unseen:
    """A text as `Inquiry.text` has it that no fit has seen, the door it came by, and what people decided about it."""

    text: str
    vector: Vector
    labels: Mapping[str, FieldValue]
    source: str = ""
    accepted: frozenset[str] = frozenset()  # the fields whose value a person only accepted, as it was proposed

    @property
    def inquiry(self) -> Inquiry:
        subject, *texts = (part.strip("\n") for part in self.text.split(TURN))
        return Inquiry(subject, tuple(Turn("customer", text) for text in texts), source=self.source)


@dataclass(frozen=True, slots=True)
class Measured:
    """One engine on one field's held-out texts. `applied` is a share, `precision` None where nothing was applied."""

    accuracy: float
    calibration_error: float
    applied: float
    precision: float | None


@dataclass(frozen=True, slots=True)
class OnChanged:
    """The shares that both have right of the labels that people changed or set. None where there is none."""

    texts: int
    candidate: float | None
    live: float | None


@dataclass(frozen=True, slots=True)
class FieldComparison:
    """`difference` is the candidate's accuracy minus the live one's; `at_most` what it is at most, one-sided."""

    texts: int
    candidate: Measured
    live: Measured
    difference: float
    at_most: float
    faults: tuple[str, ...]
    changed: OnChanged = OnChanged(0, None, None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`verdict`: better or no worse ("passed"), worse beyond noise ("refused"), or too little to tell ("untested")."""

    verdict: str
    reason: str
    live: str
    texts: int
    fields: Mapping[str, FieldComparison]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def is_held_out(number: int) -> bool:
    """Whether a ticket is kept for measuring. By a hash of its number: the same for every fit, for ever."""
    return share_of("held out", number) < HELD_OUT


def share_of(purpose: str, number: int) -> float:
    """A place between 0 and 1 that depends on nothing but the purpose and the number."""
    digest = hashlib.sha256(f"{purpose} {number}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def compare(
    *,
    candidate: LocalReader,
    live: LocalReader,
    unseen: Sequence[Unseen],
    known: Sequence[Vector],
    taxonomy: Taxonomy,
    precision: float,
    undecided: Sequence[Unseen] = (),
) -> Comparison:
    """Read every text by both. `known` are vectors of decided texts, which tell what is not new to the desk.

    `undecided` came in as well, and nobody decided them: the candidate reads them, too, for what it applies is to be
    right in `precision` of all tickets, and people decide the hard ones.
    """
    engines = (candidate, live)
    read = [[_read(engine, one, near, taxonomy) for engine in engines] for one, near in _with_nearest(unseen, known)]
    others = [_read(candidate, one, near, taxonomy) for one, near in _with_nearest(undecided, known)]
    names = dict.fromkeys(name for one in unseen for name in one.labels)
    by_field = {name: _outcomes(name, unseen, read) for name in names}
    enough = {name: outcomes for name, outcomes in by_field.items() if outcomes[0].shape[1] >= AT_LEAST}
    alpha = _ALPHA / max(1, len(enough))
    fields = {
        name: replace(
            _compare_field(outcomes, alpha, precision, _sure(name, others)),
            changed=_on_changed(name, unseen, outcomes[0]),
        )
        for name, outcomes in enough.items()
    }
    verdict, reason = _verdict(fields, by_field, len(unseen))
    return Comparison(verdict, reason, live.version, len(unseen), fields)


def _verdict(
    fields: Mapping[str, FieldComparison], by_field: Mapping[str, tuple[Floats, ...]], texts: int
) -> tuple[str, str]:
    if not fields:
        most = max((outcomes[0].shape[1] for outcomes in by_field.values()), default=0)
        return "untested", (
            f"Only {most} of the {AT_LEAST} held-out decisions that a comparison needs; it knows more decisions than "
            "the fit in force, made the same way, and so takes over."
        )
    faults = [f"{name}: {fault}" for name, field in fields.items() for fault in field.faults]
    if faults:
        return "refused", f"Worse beyond noise on decisions that neither has seen. {'; '.join(faults)}."
    return "passed", f"Not worse beyond noise on {texts} decided tickets that neither has seen."


def _with_nearest(unseen: Sequence[Unseen], known: Sequence[Vector]) -> list[tuple[Unseen, list[Decided]]]:
    import numpy as np

    if not known:
        return [(one, []) for one in unseen]
    matrix = np.array(known, dtype=np.float32)
    return [
        (one, [Decided("", {}, float(likeness)) for likeness in np.sort(matrix @ one.vector)[: -_NEAREST - 1 : -1]])
        for one in unseen
    ]


def _read(engine: LocalReader, one: Unseen, near: Sequence[Decided], taxonomy: Taxonomy) -> Mapping[Any, FieldReading]:
    return engine.read(one.inquiry, one.vector, taxonomy, near)


def _outcomes(
    name: str, unseen: Sequence[Unseen], read: Sequence[Sequence[Mapping[Any, FieldReading]]]
) -> tuple[Floats, ...]:
    """Right, confidence and applied, each of two rows (candidate, live) by the texts that have a label."""
    import numpy as np

    rows = [row for row, one in enumerate(unseen) if name in one.labels]
    found = np.zeros((3, 2, len(rows)))
    for column, row in enumerate(rows):
        for engine in range(2):
            reading = read[row][engine].get(name)
            if reading is not None:
                right = reading.value == unseen[row].labels[name]
                found[:, engine, column] = right, reading.confidence, reading.band == "apply"
    return found[0], found[1], found[2]


def _sure(name: str, read: Sequence[Mapping[Any, FieldReading]]) -> Floats:
    import numpy as np

    return np.array([one[name].confidence for one in read if name in one])


def _compare_field(outcomes: tuple[Floats, ...], alpha: float, wished: float, others: Floats) -> FieldComparison:
    import numpy as np

    right, confidence, applied = outcomes
    texts = right.shape[1]
    candidate, live = (_measure(right[row], confidence[row], applied[row]) for row in (0, 1))
    random = np.random.default_rng(0)
    drawn = [_differences(*(of[:, random.integers(0, texts, texts)] for of in outcomes)) for _ in range(_REPEATS)]
    accuracy, calibration, coverage = np.array(drawn).T
    faults = []
    if (at_most := float(np.quantile(accuracy, 1 - alpha))) < 0:
        faults.append(f"{candidate.accuracy:.1%} right against {live.accuracy:.1%}")
    if np.quantile(calibration, alpha) > CALIBRATION_TOLERANCE:
        faults.append(f"calibration error {candidate.calibration_error:.3f} against {live.calibration_error:.3f}")
    # What the live one applied wrongly is no loss.
    kept = live.precision is not None and live.precision >= wished
    if kept and np.quantile(coverage, 1 - alpha) < -COVERAGE_TOLERANCE:
        faults.append(f"applies {candidate.applied:.1%} against {live.applied:.1%}")
    if _breaks_promise(right[0], applied[0], wished, stands_for(confidence[0], others)) and (
        candidate.precision or 0
    ) < (live.precision or 1):
        faults.append(f"{candidate.precision:.1%} of what it applies is right, and {wished:.0%} is wished")
    return FieldComparison(texts, candidate, live, candidate.accuracy - live.accuracy, at_most, tuple(faults))


def _on_changed(name: str, unseen: Sequence[Unseen], right: Floats) -> OnChanged:
    import numpy as np

    changed = np.array([name not in one.accepted for one in unseen if name in one.labels])
    if not changed.any():
        return OnChanged(0, None, None)
    candidate, live = right[:, changed].mean(axis=1)
    return OnChanged(int(changed.sum()), float(candidate), float(live))


def _measure(right: Floats, confidence: Floats, applied: Floats) -> Measured:
    chosen = applied > 0
    return Measured(
        accuracy=float(right.mean()),
        calibration_error=calibration_error(confidence, right),
        applied=float(applied.mean()),
        precision=float(right[chosen].mean()) if chosen.any() else None,
    )


def _differences(right: Floats, confidence: Floats, applied: Floats) -> tuple[float, float, float]:
    """Candidate minus live: accuracy, calibration error, share applied."""
    calibration = calibration_error(confidence[0], right[0]) - calibration_error(confidence[1], right[1])
    return float(right[0].mean() - right[1].mean()), calibration, float(applied[0].mean() - applied[1].mean())


def _breaks_promise(right: Floats, applied: Floats, wished: float, stands_for: Floats) -> bool:
    """Whether even the upper bound of the precision of what it applies lies under the wished one.

    `stands_for`: for how many tickets each text stands.
    """
    weight = stands_for[applied > 0]
    if not len(weight):
        return False
    worth = weight.sum() ** 2 / (weight**2).sum()  # as many texts of one weight would tell as much (Kish)
    share = (weight * right[applied > 0]).sum() / weight.sum()
    return upper_bound(share * worth, worth) < wished
