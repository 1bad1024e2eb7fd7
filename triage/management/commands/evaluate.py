from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from triage.learning import evaluate as evaluation
from triage.learning.evaluate import BadTable, evaluate, evaluate_groups, read_table, table_of


class Command(BaseCommand):
    help = (
        "Fit an engine on one CSV file and score it on another: accuracy, macro-F1, calibration error, and how much it "
        "would have applied at 90 and 95 % precision. Needs no database. The last line is one JSON object."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--train", required=True, type=Path, metavar="FILE", help="CSV file to fit on.")
        parser.add_argument("--test", required=True, type=Path, metavar="FILE", help="CSV file to score on.")
        parser.add_argument("--text", required=True, metavar="COL[,COL]", help="Text columns, the title first.")
        parser.add_argument("--label", required=True, metavar="COL", help="The column to predict.")
        parser.add_argument("--group", default="", metavar="COL", help="Fit once for each value of this column.")
        parser.add_argument("--engine", default="local", choices=["local"], help="Which engine to fit.")
        parser.add_argument("--json", action="store_true", help="Print the JSON object alone.")

    def handle(self, *args: Any, **options: Any) -> None:
        columns = [name.strip() for name in options["text"].split(",") if name.strip()]
        shape = {"text": columns, "label": options["label"], "group": options["group"]}
        try:
            train = read_table(options["train"], **shape)
            test = read_table(options["test"], **shape)
            result: dict[str, Any]
            if options["group"]:
                result, groups = evaluate_groups(train, test)
                result["groups"] = {name: report.as_json() for name, report in groups.items()}
            else:
                result = evaluate(train, test).as_json()
        except BadTable as problem:
            raise CommandError(str(problem)) from problem
        if not options["json"]:
            if not options["group"] and len(train) > evaluation.FIT_AT_MOST:
                part = f"{evaluation.FIT_AT_MOST} of {len(train)} training texts"
                self.stdout.write(f"Fitted on {part}, each label in proportion.")
            figures = {name: value for name, value in result.items() if name != "groups"}
            self.stdout.write(table_of(figures))
        self.stdout.write(json.dumps(result))
