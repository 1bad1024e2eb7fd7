from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from triage.learning import starter
from triage.learning.evaluate import BadTable, Row, evaluate, evaluate_groups, macro_f1, read_table


def _write(path: Path, rows: list[dict[str, str]], encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


ROWS = [{"title": "Printer jam", "body": "again", "kind": "a"}, {"title": "Invoice", "body": "wrong", "kind": "b"}]


def test_text_columns_are_joined_in_order(tmp_path: Path) -> None:
    rows = read_table(_write(tmp_path / "t.csv", ROWS), text=["title", "body"], label="kind")
    assert rows[0].text.split("\f")[0].strip() == "Printer jam"
    assert [row.label for row in rows] == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_tables_in_other_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    rows = [{"text": "Drücker", "kind": "ä"}]
    assert read_table(_write(tmp_path / "t.csv", rows, encoding), text=["text"], label="kind")[0] == Row("Drücker", "ä")


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    rows = [*ROWS, {"title": "x", "body": "y", "kind": " "}]
    assert len(read_table(_write(tmp_path / "t.csv", rows), text=["title"], label="kind")) == 2


def test_what_cannot_be_used_is_said_plainly(tmp_path: Path) -> None:
    path = _write(tmp_path / "t.csv", ROWS)
    with pytest.raises(BadTable, match="no column body2"):
        read_table(path, text=["body2"], label="kind")
    with pytest.raises(BadTable, match="cannot be read"):
        read_table(tmp_path / "absent.csv", text=["title"], label="kind")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(BadTable, match="Its columns are: none"):
        read_table(empty, text=["title"], label="kind")


def _starter(name: str) -> list[Row]:
    return [Row(row.text, str(row.labels[name]), str(row.labels["is_technical"])) for row in starter.rows()]  # type: ignore[index]


def test_it_reports_what_it_reached_on_texts_it_has_not_seen() -> None:
    rows = _starter("team")
    report = evaluate(rows[::2], rows[1::2])
    assert report.accuracy > 0.6
    assert 0 < report.macro_f1 <= 1
    assert report.ece < 0.15
    assert (report.n_train, report.n_test) == (len(rows[::2]), len(rows[1::2]))
    assert report.coverage_95 <= report.coverage_90
    assert report.us_per_text > 0


def test_one_class_is_answered_with_it() -> None:
    train, test = [Row("a b c", "x")] * 60, [Row("a", "x"), Row("b", "y")]
    report = evaluate(train, test)
    assert report.accuracy == 0.5
    assert report.coverage_95 == 1.0
    assert evaluate(train[:3], test).coverage_95 == 0.0


def test_a_class_that_training_never_saw_counts_as_wrong() -> None:
    train = [Row("printer jam", "a"), Row("printer toner", "a"), Row("invoice wrong", "b"), Row("refund", "b")]
    report = evaluate(train, [Row("the lift is stuck", "c")])
    assert (report.accuracy, report.macro_f1) == (0.0, 0.0)


def test_groups_are_fitted_apart_and_averaged() -> None:
    rows = _starter("priority")
    means, reports = evaluate_groups(rows[::4], rows[1::4])
    assert set(reports) == {"True", "False"}
    assert means["accuracy"] == pytest.approx(sum(one.accuracy for one in reports.values()) / 2, abs=1e-5)
    assert means["n_test"] == sum(one.n_test for one in reports.values())
    with pytest.raises(BadTable, match="in common"):
        evaluate_groups([Row("a", "x", "one")], [Row("a", "x", "two")])


def test_macro_f1_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    truth, predicted = list("aabbccdd"), list("aabcccab")
    assert macro_f1(truth, predicted) == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))


def test_the_command_prints_one_object_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from django.core.management import CommandError, call_command

    rows = [
        {"subject": row.title, "text": row.text.split("\f")[1], "team": str(row.labels["team"])}
        for row in starter.rows()
    ]
    train, test = _write(tmp_path / "train.csv", rows[::3]), _write(tmp_path / "test.csv", rows[1::6])
    shared = {"train": train, "test": test, "text": "subject,text"}
    call_command("evaluate", **shared, label="team")
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(report) == [
        "accuracy",
        "macro_f1",
        "ece",
        "coverage_90",
        "precision_90",
        "coverage_95",
        "precision_95",
        "n_train",
        "n_test",
        "fit_seconds",
        "us_per_text",
    ]
    with pytest.raises(CommandError, match="no column"):
        call_command("evaluate", **shared, label="nobody")
