from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from triage.learning import starter
from triage.learning.evaluate import BadTable, Row, evaluate, evaluate_groups, macro_f1, read_table, thinned


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


def test_a_class_with_one_text_is_kept_and_hurts_nobody() -> None:
    rows = _starter("team")
    lone = Row("The telescope on the roof points the wrong way", "astronomy")
    report = evaluate([*rows[::2], lone], [*rows[1::4], Row("The telescope points the wrong way again", "astronomy")])
    assert report.accuracy > 0.6
    assert report.n_train == len(rows[::2]) + 1


def test_empty_texts_are_texts_like_others() -> None:
    rows = _starter("team")[::3]
    report = evaluate([Row("", "software"), Row(" \n ", "billing"), *rows], [Row("", "software"), rows[0]])
    assert report.n_test == 2 and 0 <= report.ece <= 1
    nothing = evaluate([Row("", "a"), Row("", "b"), Row(" ", "a")], [Row("", "a")])
    assert (nothing.coverage_95, nothing.precision_95) == (0.0, None)


def test_rows_of_different_length_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("text,kind\nPrinter jam,a\nInvoice\nRefund,b,too much\n\n")
    assert read_table(path, text=["text"], label="kind") == [Row("Printer jam", "a"), Row("Refund", "b")]


def test_a_byte_that_is_no_utf_8_leaves_the_rest_readable(tmp_path: Path) -> None:
    """Two exports glued together: most of it UTF-8, one line of it Western Windows."""
    path = tmp_path / "mixed.csv"
    path.write_bytes("text,kind\nDr\u00fccker,a\n".encode() + "Gr\u00fc\u00dfe,b\n".encode("cp1252"))
    assert read_table(path, text=["text"], label="kind") == [Row("Dr\u00fccker", "a"), Row("Gr\u00fc\u00dfe", "b")]


def test_a_file_without_a_single_label_says_so(tmp_path: Path) -> None:
    path = _write(tmp_path / "t.csv", [{"text": "Printer jam", "kind": ""}])
    with pytest.raises(BadTable, match="no row with a value in the column kind"):
        read_table(path, text=["text"], label="kind")


def test_of_too_many_rows_each_label_keeps_its_share() -> None:
    rows = [*[Row(f"many {number}", "many") for number in range(900)], *[Row(f"few {n}", "few") for n in range(99)]]
    rows.append(Row("one", "one"))
    kept = thinned(rows, 100)
    count = {label: sum(row.label == label for row in kept) for label in ("many", "few", "one")}
    assert count == {"many": 90, "few": 9, "one": 1}
    assert len({row.text for row in kept}) == len(kept) and thinned(rows, 1_000) == rows


def test_the_command_says_when_it_fitted_on_a_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.management import call_command

    rows = [{"text": row.text, "team": row.label} for row in _starter("team")]
    train, test = _write(tmp_path / "train.csv", rows[::4]), _write(tmp_path / "test.csv", rows[1::40])
    monkeypatch.setattr("triage.learning.evaluate.FIT_AT_MOST", 100)
    call_command("evaluate", train=train, test=test, text="text", label="team")
    told = capsys.readouterr()
    assert "Fitted on 100 of 199 training texts" in told.out
    assert json.loads(told.out.splitlines()[-1])["n_train"] == 199
