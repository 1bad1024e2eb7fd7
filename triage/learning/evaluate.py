"""How well the local engine does on texts it has not seen: fit on one table, score on another. No database."""

from __future__ import annotations

import csv
import io
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triage.embedding import TURN, clean, embed, embed_both, inner
from triage.engines.signs import signs
from triage.learning.calibrate import calibration_error, lower_bound, threshold
from triage.learning.fit import Example, Fitted, fit
from triage.learning.names import named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LABEL = "label"
PRECISIONS = (0.90, 0.95)
# A fit learns little from more texts than this, and its time and memory stay those of an evening's coffee break.
FIT_AT_MOST = 20_000
_TIMED = 500  # texts read one by one, to say what one costs; the rest are read on every core


class BadTable(ValueError):
    """The file cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    text: str
    label: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Shares are 0 to 1. `precision_*` is None where nothing was confident enough to be applied."""

    accuracy: float
    macro_f1: float
    ece: float
    coverage_90: float
    precision_90: float | None
    coverage_95: float
    precision_95: float | None
    n_train: int
    n_test: int
    fit_seconds: float
    us_per_text: float

    def as_json(self) -> dict[str, Any]:
        rounded = {name: getattr(self, name) for name in self.__slots__}
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in rounded.items()}


def read_table(path: Path, *, text: Sequence[str], label: str, group: str = "") -> list[Row]:
    """The rows of a CSV file that carry a label; text columns are joined in the order given. Raises BadTable."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.DictReader(io.StringIO(_decoded(path), newline=""))
    wanted = [*text, label, *([group] if group else [])]
    missing = [name for name in wanted if name not in (reader.fieldnames or ())]
    if missing:
        found = ", ".join(reader.fieldnames or ()) or "none"
        raise BadTable(f"{path} has no column {', '.join(missing)}. Its columns are: {found}.")
    rows = []
    for record in reader:
        value = (record[label] or "").strip()
        if value:
            joined = f"\n{TURN}\n".join((record[name] or "") for name in text)
            rows.append(Row(joined, value, (record[group] or "").strip() if group else ""))
    if not rows:
        raise BadTable(f"{path} has no row with a value in the column {label}.")
    return rows


def evaluate(train: Sequence[Row], test: Sequence[Row]) -> Report:
    """Fit on `train`, with thresholds from its out-of-fold predictions alone; score `test` once.

    Of more than `FIT_AT_MOST` training texts, so many are fitted on, each label in proportion and none left out.
    """
    began = time.perf_counter()
    labels = {row.label for row in train}
    if len(labels) < 2:
        return _constant(train, test, time.perf_counter() - began)
    fitted_on = thinned(train, FIT_AT_MOST)
    read = embed_both([row.text for row in fitted_on])
    examples = [
        Example(row.text, vector, {LABEL: row.label}, decided=True, inner=third)
        for row, (vector, third) in zip(fitted_on, read, strict=True)
    ]
    fitted = fit(examples, [LABEL], named(LABEL, sorted(labels)))
    seconds = time.perf_counter() - began
    predicted, confidence, each = _predict(fitted, test)
    return _report(
        fitted, n_train=len(train), test=test, predicted=predicted, confidence=confidence, seconds=seconds, each=each
    )


def thinned(rows: Sequence[Row], at_most: int) -> Sequence[Row]:
    """So many rows, evenly over each label in the order given, and at least one of each label."""
    if len(rows) <= at_most:
        return rows
    by_label: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        by_label[row.label].append(place)
    kept: list[int] = []
    for places in by_label.values():
        wanted = max(1, len(places) * at_most // len(rows))
        kept.extend(places[step * len(places) // wanted] for step in range(wanted))
    return [rows[place] for place in sorted(kept)]


def evaluate_groups(train: Sequence[Row], test: Sequence[Row]) -> tuple[dict[str, Any], dict[str, Report]]:
    """One fit for each group that both tables know: the means (sums of counts and seconds), and each group's report."""
    by_group: tuple[dict[str, list[Row]], dict[str, list[Row]]] = (defaultdict(list), defaultdict(list))
    for rows, table in zip((train, test), by_group, strict=True):
        for row in rows:
            table[row.group].append(row)
    shared = sorted(set(by_group[0]) & set(by_group[1]))
    if not shared:
        raise BadTable("The two files have no group in common.")
    reports = {group: evaluate(by_group[0][group], by_group[1][group]) for group in shared}
    return _means(list(reports.values())), reports


def _predict(fitted: Fitted, test: Sequence[Row]) -> tuple[list[str], Floats, float]:
    """The label and confidence of each text, and the seconds that one took."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    (head,) = fitted.weights.heads

    def read(row: Row) -> tuple[str, float]:
        by_embedding, by_words, _ = fitted.weights.scores(
            clean(row.text), embed(row.text), inner(row.text), signs(row.text)
        )
        probabilities = head.probabilities(by_embedding, by_words)
        best = int(probabilities.argmax())
        return str(head.values[best]), float(probabilities[best])

    began = time.perf_counter()
    answers = [read(row) for row in test[:_TIMED]]
    each = (time.perf_counter() - began) / len(answers)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        answers.extend(pool.map(read, test[_TIMED:]))
    return [label for label, _ in answers], np.array([sure for _, sure in answers]), each


def _report(
    fitted: Fitted,
    *,
    n_train: int,
    test: Sequence[Row],
    predicted: Sequence[str],
    confidence: Floats,
    seconds: float,
    each: float,
) -> Report:
    import numpy as np

    correct = np.array([guess == row.label for guess, row in zip(predicted, test, strict=True)], dtype=np.float64)
    held_out = fitted.held_out[LABEL]
    least = [threshold(held_out.confidence, held_out.correct, precision) for precision in PRECISIONS]
    applied = [_applied(from_, confidence, correct) for from_ in least]
    return Report(
        accuracy=float(correct.mean()),
        macro_f1=macro_f1([row.label for row in test], predicted),
        ece=calibration_error(confidence, correct),
        coverage_90=applied[0][0],
        precision_90=applied[0][1],
        coverage_95=applied[1][0],
        precision_95=applied[1][1],
        n_train=n_train,
        n_test=len(test),
        fit_seconds=seconds,
        us_per_text=each * 1e6,
    )


def _applied(from_: float | None, confidence: Floats, correct: Floats) -> tuple[float, float | None]:
    if from_ is None:
        return 0.0, None
    chosen = confidence >= from_
    return float(chosen.mean()), float(correct[chosen].mean()) if chosen.any() else None


def _constant(train: Sequence[Row], test: Sequence[Row], seconds: float) -> Report:
    """With one label there is nothing to fit: it is the answer, as sure as the number of texts allows."""
    import numpy as np

    predicted = [train[0].label] * len(test)
    correct = np.array([row.label == train[0].label for row in test], dtype=np.float64)
    sure = lower_bound(len(train), len(train))
    applied = [(1.0, float(correct.mean())) if sure >= precision else (0.0, None) for precision in PRECISIONS]
    return Report(
        accuracy=float(correct.mean()),
        macro_f1=macro_f1([row.label for row in test], predicted),
        ece=calibration_error(np.full(len(test), sure), correct),
        coverage_90=applied[0][0],
        precision_90=applied[0][1],
        coverage_95=applied[1][0],
        precision_95=applied[1][1],
        n_train=len(train),
        n_test=len(test),
        fit_seconds=seconds,
        us_per_text=0.0,
    )


def macro_f1(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """The mean of F1 over all labels that are true or predicted somewhere."""
    hits: dict[str, int] = defaultdict(int)
    shown: dict[str, int] = defaultdict(int)
    for actual, guess in zip(truth, predicted, strict=True):
        shown[actual] += 1
        shown[guess] += 1
        hits[actual] += actual == guess
    return sum(2 * hits[label] / shown[label] for label in shown) / len(shown)


def _means(reports: Sequence[Report]) -> dict[str, Any]:
    def of(name: str) -> Iterable[Any]:
        return [value for report in reports if (value := getattr(report, name)) is not None]

    means: dict[str, Any] = {}
    for name in Report.__slots__:
        values = list(of(name))
        total = sum(values)
        summed = name in ("n_train", "n_test", "fit_seconds")
        means[name] = None if not values else total if summed else total / len(values)
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in means.items()}


def _decoded(path: Path) -> str:
    """The text of a file in UTF-8 (with or without a mark), UTF-16 with a mark, or by line in Windows' Western."""
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise BadTable(f"{path} cannot be read: {problem.strerror}.") from problem
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = "".join(map(_decoded_line, raw.splitlines(keepends=True)))
    return text.replace("\x00", "")


def _decoded_line(line: bytes) -> str:
    """Two exports glued together may be of two encodings: each line is read by itself."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


def table_of(report: Mapping[str, Any]) -> str:
    """A report for people, a line a figure."""
    return "\n".join(f"{name:<14} {'-' if value is None else value}" for name, value in report.items())
