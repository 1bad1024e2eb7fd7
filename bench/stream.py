"""A desk from its first ticket on: how much it applies by itself, and how much of that is right.

The Banking77 training texts in a shuffled order. What the engine may not apply, a person decides; of what it applies
the audit sample is decided as well, and nothing else is ever learned from. Fits are made when the product makes them.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.rows import Row
from triage.pipeline.types import Decided, Inquiry, Label, Taxonomy, Turn

if TYPE_CHECKING:
    from triage.engines.local import LocalEngine
    from triage.learning.evaluate import Row as Text
    from triage.learning.fit import Example
    from triage.pipeline.types import Vector

AUDIT_SHARE = 0.02  # as the desk has it unless told otherwise
UNDECIDED = 1_000  # as many as the desk looks at
BUDGET = 360.0  # seconds of fits; what has been read by then is what is reported
BLOCK = 1_000


@dataclass(slots=True)
class Desk:
    """What has been decided so far, and what became of each text: applied or not, and whether that was right."""

    taxonomy: Taxonomy
    decided: list[Example] = field(default_factory=list)
    decided_at: list[int] = field(default_factory=list)
    undecided: deque[tuple[int, Example]] = field(default_factory=lambda: deque(maxlen=UNDECIDED))
    outcomes: list[tuple[bool, bool]] = field(default_factory=list)
    engine: LocalEngine | None = None
    fitted_on: int = 0
    fits: int = 0
    seconds: float = 0.0

    def take(self, text: Text, number: int) -> None:
        from triage.embedding import embed, inner
        from triage.learning.fit import Example
        from triage.learning.gate import share_of

        vector = embed(text.text)
        applied, right = self._read(text, vector)
        self.outcomes.append((applied, right))
        if not applied or share_of("audit", number) < AUDIT_SHARE:
            labels = {"category": text.label}
            self.decided.append(Example(text.text, vector, labels, decided=True, inner=inner(text.text)))
            self.decided_at.append(number)
            self._fit_if_due()
        else:
            self.undecided.append((number, Example(text.text, vector, {}, inner=inner(text.text))))

    def _read(self, text: Text, vector: Vector) -> tuple[bool, bool]:
        if self.engine is None:
            return False, False
        nearest = max(float(one.vector @ vector) for one in self.decided)
        near = [Decided("", {}, nearest)]
        found = self.engine.read(Inquiry("", (Turn("customer", text.text),)), vector, self.taxonomy, near)["category"]
        return found.band == "apply", found.value == text.label

    def _fit_if_due(self) -> None:
        from triage.engines.local import LocalEngine
        from triage.learning.cadence import due
        from triage.learning.fit import fit

        if not due(new=len(self.decided) - self.fitted_on, used=self.fitted_on):
            return
        began = time.perf_counter()
        self.fitted_on, self.fits = len(self.decided), self.fits + 1
        fitted = fit(self.decided, ["category"], undecided=self._undecided())
        self.engine = LocalEngine(fitted.weights, str(self.fits))
        self.seconds += time.perf_counter() - began

    def _undecided(self) -> list[Example]:
        """As the desk has them: each stands for as many as came in beside the decided ones in the time they cover."""
        if not self.undecided:
            return []
        oldest = self.undecided[0][0] if len(self.undecided) == UNDECIDED else 0
        beside = sum(number >= oldest for number in self.decided_at)
        each = len(self.decided) / max(1, beside)
        return [replace(one, stands_for=each) for _, one in self.undecided]


def run(data: Path | None) -> list[Row]:
    from triage.learning.evaluate import read_table

    file = data / "banking77_train.csv" if data else None
    if file is None or not file.is_file():
        return [Row("stream, applied automatically", None, "≥ 0.75", "no banking77_train.csv in BENCH_DATA")]
    texts = read_table(file, text=["text"], label="category")
    random.Random(0).shuffle(texts)
    labels = sorted({text.label for text in texts})
    desk = Desk(Taxonomy(tuple(Label(key, key, "") for key in labels), (), ()))
    for number, text in enumerate(texts):
        if desk.seconds > BUDGET:
            break
        desk.take(text, number)
    return _rows(desk, len(texts))


def _rows(desk: Desk, texts: int) -> list[Row]:
    read = len(desk.outcomes)
    rows = [
        Row("stream, texts read", float(read), f"{texts:,}", "texts" if read == texts else "texts, then time was up"),
        Row("stream, fits", float(desk.fits), "", f"fits in {desk.seconds:.0f} s"),
        Row("stream, decided by people", float(len(desk.decided)), "", "texts"),
        *_shares("stream", desk.outcomes, ("≥ 0.75", "≥ 0.95")),
    ]
    for start in range(0, read, BLOCK):
        block = desk.outcomes[start : start + BLOCK]
        rows.extend(_shares(f"stream, texts {start + 1:,} to {start + len(block):,}", block))
    return rows


def _shares(name: str, outcomes: Sequence[tuple[bool, bool]], wished: tuple[str, str] = ("", "")) -> list[Row]:
    applied = [right for was_applied, right in outcomes if was_applied]
    share = sum(applied) / len(applied) if applied else None
    return [
        Row(f"{name}, applied automatically", len(applied) / len(outcomes), wished[0], ""),
        Row(f"{name}, right of those", share, wished[1], "" if applied else "nothing was applied"),
    ]
