"""The reading of a text: what it costs a text, and how right it is on texts it has not seen.

Times are processor time of one process with one thread, medians. Accuracy on the starter set is by five folds; on
public sets as `manage.py evaluate` measures it, thresholds from the training file alone.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.rows import Row

SHORT = "My card payment was declined yesterday in the shop, what can I do?"
LONG = " ".join(
    f"Since the update of last night the export of board {n} stops half way with an error." for n in range(20)
)


def run(data: Path | None) -> list[Row]:
    return [*_speed(), *_starter_set(), *_banking(data), *_issues(data)]


def _speed() -> list[Row]:
    from triage.embedding import embed
    from triage.engines.local import LocalEngine
    from triage.engines.weights import from_bytes, version_of
    from triage.learning.payload import starter_fit
    from triage.pipeline.types import Inquiry, Taxonomy, Turn

    began = time.perf_counter()
    payload, _ = starter_fit()
    fitted = time.perf_counter() - began
    engine = LocalEngine(from_bytes(payload), version_of(payload))
    taxonomy = _taxonomy()
    assert isinstance(taxonomy, Taxonomy)
    rows = [Row("starter set embedded and fitted, nine fields", fitted, "seconds, once a desk", "s")]
    for name, text in (("short text", SHORT), ("256 tokens", LONG)):
        inquiry = Inquiry("", (Turn("customer", text),))
        vector = embed(inquiry.text)
        embedding = _median(lambda text=inquiry.text: embed(text))  # type: ignore[misc]
        reading = _median(lambda inquiry=inquiry, vector=vector: engine.read(inquiry, vector, taxonomy))  # type: ignore[misc]
        rows.append(Row(f"embedding, {name}", embedding * 1e6, "", "µs"))
        rows.append(Row(f"all fields with reasons, {name}", reading * 1e6, "", "µs"))
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


def _taxonomy() -> object:
    from triage.learning import starter
    from triage.pipeline.types import FieldName, Label, Taxonomy

    def labels(name: FieldName) -> tuple[Label, ...]:
        return tuple(Label(str(key), str(key), "") for key in {row.labels[name] for row in starter.rows()} if key)

    return Taxonomy(labels("category"), labels("team"), labels("component"))


def _starter_set() -> list[Row]:
    """Five folds, predictions out of fold, calibrated on the same folds: what `manage.py fit` shows at a new desk."""
    from triage.engines.weights import from_bytes
    from triage.learning.payload import starter_fit

    heads = {head.name: head for head in from_bytes(starter_fit()[0]).heads}
    rows = [Row("starter set", float(heads["category"].texts), "≥ 300", "texts")]
    for name in ("category", "team", "priority"):
        rows.append(Row(f"starter set, {name}, five folds, accuracy", heads[name].accuracy, "", ""))
        rows.append(Row(f"starter set, {name}, five folds, ECE", heads[name].calibration_error, "", ""))
    return rows


def _banking(data: Path | None) -> list[Row]:
    from triage.learning.evaluate import Row as Text
    from triage.learning.evaluate import evaluate, read_table

    files = [data / f"banking77_{part}.csv" for part in ("train", "test")] if data else []
    if not files or not all(file.is_file() for file in files):
        return [Row("Banking77", None, "0.945", "no banking77_train.csv and banking77_test.csv in BENCH_DATA")]
    train, test = (read_table(file, text=["text"], label="category") for file in files)
    rows = []
    for count in (5, 10):
        few: dict[str, list[Text]] = defaultdict(list)
        for row in train:
            if len(few[row.label]) < count:
                few[row.label].append(row)
        report = evaluate([row for members in few.values() for row in members], test)
        target = {5: "0.80", 10: "0.865"}[count]
        rows.append(Row(f"Banking77, {count} texts a class, accuracy", report.accuracy, target, ""))
    report = evaluate(train, test)
    rows += [
        Row("Banking77, all training texts, accuracy", report.accuracy, "0.945", ""),
        Row("Banking77, ECE", report.ece, "≤ 0.015", ""),
        Row("Banking77, coverage at the 95 % threshold", report.coverage_95, "0.95", ""),
        Row("Banking77, real precision there", report.precision_95, "0.95", ""),
        Row("Banking77, fit, out-of-fold included", report.fit_seconds, "≤ 120", "s"),
        Row("Banking77, a text read", report.us_per_text, "", "µs"),
    ]
    return rows


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
