"""The reading of a text: what it costs a text, and how right it is on texts it has not seen.

Times are processor time of one process with one thread, medians. Accuracy on the starter set is by ten folds; on
public sets as `manage.py evaluate` measures it, thresholds from the training file alone.
"""

from __future__ import annotations

import random
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.rows import Row
from triage.pipeline.types import FieldName, Inquiry, Label, Taxonomy, Turn

if TYPE_CHECKING:
    from triage.engines.weights import Weights
    from triage.learning.evaluate import Row as Text
    from triage.learning.fit import Example

SHORT = "My card payment was declined yesterday in the shop, what can I do?"
LONG = " ".join(
    f"Since the update of last night the export of board {n} stops half way with an error." for n in range(20)
)


ALIKE = 0.80
STARTER_FOLDS = 10


def run(data: Path | None) -> list[Row]:
    return [*_speed(), *_starter_set(), *_banking(data), *_issues(data)]


def _speed() -> list[Row]:
    from triage.embedding import embed, forget
    from triage.engines.local import LocalEngine
    from triage.engines.weights import from_bytes, version_of
    from triage.learning.payload import starter_fit

    began = time.perf_counter()
    payload, _ = starter_fit()
    fitted = time.perf_counter() - began
    engine = LocalEngine(from_bytes(payload), version_of(payload))
    taxonomy = _taxonomy()
    rows = [Row("starter set embedded and fitted, nine fields", fitted, "seconds, once a desk", "s")]
    for name, text in (("short text", SHORT), ("256 tokens", LONG)):
        inquiry = Inquiry("", (Turn("customer", text),))

        def alone(text: str = inquiry.text) -> None:
            forget()
            embed(text)

        def whole(inquiry: Inquiry = inquiry) -> None:
            forget()
            engine.read(inquiry, embed(inquiry.text), taxonomy)

        embedding, reading = _median(alone), _median(whole)
        rows.append(Row(f"embedding, {name}", embedding * 1e6, "", "µs"))
        rows.append(Row(f"all fields with reasons, {name}, embedding included", reading * 1e6, "", "µs"))
        rows.append(Row(f"times the embedding's own time, {name}", reading / embedding, "≤ 1.25", ""))
    rows.append(Row("artifact", len(payload) / 1e6, "", "MB"))
    return rows


def _median(work: Callable[[], object], times: int = 60) -> float:
    taken = []
    work()
    for _ in range(times):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def _peak() -> float:
    """The most memory this process has held, in GB (Linux counts it in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def _taxonomy() -> Taxonomy:
    from triage.learning import starter

    def labels(name: FieldName) -> tuple[Label, ...]:
        return tuple(Label(str(key), str(key), "") for key in {row.labels[name] for row in starter.rows()} if key)

    return Taxonomy(labels("category"), labels("team"), labels("component"))


def _starter_set() -> list[Row]:
    """Ten folds, each text read by a fit that saw none of cosine 0.80 or more to it: leave-one-out is hours."""
    import numpy as np

    from triage.learning.fit import fit
    from triage.learning.payload import starter_examples

    examples = starter_examples()
    vectors = np.array([one.vector for one in examples])
    near = vectors @ vectors.T >= ALIKE
    fold = np.random.default_rng(0).permutation(len(examples)) % STARTER_FOLDS
    right: dict[str, int] = defaultdict(int)
    for held in range(STARTER_FOLDS):
        asked = np.flatnonzero(fold == held)
        hidden = near[asked].any(axis=0) | (fold == held)
        weights = fit([examples[row] for row in np.flatnonzero(~hidden)], ["team", "category"]).weights
        for row in asked:
            for name, value in _answers(weights, examples[row]).items():
                right[name] += value == examples[row].labels[name]
    return [
        Row("starter set", float(len(examples)), "≥ 300", "texts"),
        Row("starter set, team, ten folds, none of cosine ≥ 0.80", right["team"] / len(examples), "0.85", ""),
        Row("starter set, category, ten folds, none of cosine ≥ 0.80", right["category"] / len(examples), "0.80", ""),
    ]


def _answers(weights: Weights, example: Example) -> dict[str, object]:
    """The best value of each field."""
    from triage.embedding import clean, inner
    from triage.engines.signs import signs

    by_embedding, by_words, _ = weights.scores(
        clean(example.text), example.vector, inner(example.text), signs(example.text)
    )
    answers: dict[str, object] = {}
    start = 0
    for head in weights.heads:
        columns = slice(start, start + len(head.values))
        answers[head.name] = head.values[int(head.probabilities(by_embedding[columns], by_words[columns]).argmax())]
        start += len(head.values)
    return answers


def _banking(data: Path | None) -> list[Row]:
    from triage.learning.evaluate import evaluate, read_table

    files = [data / f"banking77_{part}.csv" for part in ("train", "test")] if data else []
    if not files or not all(file.is_file() for file in files):
        return [Row("Banking77", None, "0.945", "no banking77_train.csv and banking77_test.csv in BENCH_DATA")]
    train, test = (read_table(file, text=["text"], label="category") for file in files)
    rows = []
    for count in (5, 10):
        report = evaluate(_first(train, count), test)
        target = {5: "0.80", 10: "0.865"}[count]
        rows.append(Row(f"Banking77, {count} texts a class, accuracy", report.accuracy, target, ""))
    report = evaluate(train, test)
    rows += [
        Row("Banking77, all training texts, accuracy", report.accuracy, "0.945", ""),
        Row("Banking77, ECE", report.ece, "≤ 0.015", ""),
        Row("Banking77, coverage at the 95 % threshold", report.coverage_95, "0.95", ""),
        Row("Banking77, real precision there", report.precision_95, "0.95", ""),
        Row("Banking77, fit, out-of-fold included", report.fit_seconds, "≤ 120", "s"),
        Row("Banking77, most memory of this process so far", _peak(), "≤ 1.5", "GB"),
        Row("Banking77, a text read", report.us_per_text, "", "µs"),
    ]
    return [*rows, *_novelty(train, test)]


def _novelty(train: Sequence[Text], test: Sequence[Text]) -> list[Row]:
    """Ten classes that the fit never met: what it would apply of them at the 95 % threshold, 20 texts a known class."""
    from triage.learning.calibrate import threshold
    from triage.learning.fit import fit

    strange = set(random.Random(0).sample(sorted({row.label for row in train}), 10))
    known = [_example(row) for row in _first(train, 20) if row.label not in strange]
    fitted = fit(known, ["label"])
    (head,), held_out = fitted.weights.heads, fitted.held_out["label"]
    least = threshold(held_out.confidence, held_out.correct, 0.95) or 1.0
    applied: dict[tuple[bool, bool], list[bool]] = defaultdict(list)
    for row in test[::2]:
        asked = _example(row)
        sure = _sureness(fitted.weights, asked)
        near = fitted.weights.novelty.familiarity(max(float(asked.vector @ one.vector) for one in known))
        applied[row.label in strange, False].append(sure >= least)
        applied[row.label in strange, True].append(head.confidence(sure, near) >= least)
    share = {which: statistics.mean(found) for which, found in applied.items()}
    return [
        Row("Banking77, ten classes it never met, applied without the novelty signal", share[True, False], "", ""),
        Row("Banking77, ten classes it never met, applied with it", share[True, True], "", ""),
        Row("Banking77, known classes, applied without it", share[False, False], "", ""),
        Row("Banking77, known classes, applied with it", share[False, True], "", ""),
    ]


def _first(rows: Sequence[Text], count: int) -> list[Text]:
    """The first so many of each class, by file order."""
    few: dict[str, list[Text]] = defaultdict(list)
    for row in rows:
        if len(few[row.label]) < count:
            few[row.label].append(row)
    return [row for members in few.values() for row in members]


def _example(row: Text) -> Example:
    from triage.embedding import embed, inner
    from triage.learning.fit import Example

    return Example(row.text, embed(row.text), {"label": row.label}, decided=True, inner=inner(row.text))


def _sureness(weights: Weights, example: Example) -> float:
    """The confidence of the only head in its best value."""
    from triage.embedding import clean, inner
    from triage.engines.signs import signs

    by_embedding, by_words, _ = weights.scores(
        clean(example.text), example.vector, inner(example.text), signs(example.text)
    )
    return float(weights.heads[0].probabilities(by_embedding, by_words).max())


def _issues(data: Path | None) -> list[Row]:
    """Each repository by itself, five folds."""
    from triage.learning.evaluate import evaluate_groups, read_table

    file = data / "github_issues.csv" if data else None
    if file is None or not file.is_file():
        return [Row("GitHub issues, macro-F1", None, "0.775", "no github_issues.csv in BENCH_DATA")]
    rows = read_table(file, text=["title", "body"], label="label", group="repo")
    random.Random(0).shuffle(rows)
    scores: list[dict[str, float]] = []
    for fold in range(5):
        train = [row for index, row in enumerate(rows) if index % 5 != fold]
        scores.append(evaluate_groups(train, rows[fold::5])[0])
    return [
        Row("GitHub issues, a repository, five folds, macro-F1", _mean(scores, "macro_f1"), "0.775", ""),
        Row("GitHub issues, accuracy", _mean(scores, "accuracy"), "", ""),
        Row("GitHub issues, a text read", _mean(scores, "us_per_text"), "", "µs"),
    ]


def _mean(scores: Sequence[dict[str, float]], name: str) -> float:
    return statistics.mean(score[name] for score in scores)
