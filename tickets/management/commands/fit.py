from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tickets.models import Example as Row
from triage.embedding import clean, embed
from triage.learning.fit import Example
from triage.learning.live import store
from triage.learning.payload import fit_payload


class Command(BaseCommand):
    help = "Fit the local engine from the starter set and every decision made here, and put it in force."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Measure only; keep what is in force.")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        payload, metrics = fit_payload(decided_examples())
        self.stdout.write(
            f"{'field':<14}{'texts':>7}{'decided':>9}{'accuracy':>10}{'calibration':>13}{'applies from':>14}"
        )
        for name, figures in metrics["fields"].items():
            applies = "-" if figures["apply_from"] is None else f"{figures['apply_from']:.2f}"
            self.stdout.write(
                f"{name:<14}{figures['texts']:>7}{figures['decided']:>9}{figures['accuracy']:>10.3f}"
                f"{figures['calibration_error']:>13.3f}{applies:>14}"
            )
        if dry_run:
            self.stdout.write(f"Measured in {metrics['seconds']} s; nothing was changed.")
            return
        artifact = store(payload, metrics)
        self.stdout.write(f"{artifact.version} is in force, after {metrics['seconds']} s.")


def decided_examples() -> list[Example]:
    """What people decided here, as the fit wants it."""
    examples = []
    for row in Row.objects.all().iterator():
        vector = embed(row.text) if row.embedding is None else row.embedding
        labels = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in row.labels.items()
            if value is not None or name == "component"  # none of the components is a decision; no category is not
        }
        examples.append(Example(clean(row.text), _plain(vector), labels, decided=True))
    return examples


def _plain(vector: Any) -> Any:
    import numpy as np

    return np.asarray(vector.to_list() if hasattr(vector, "to_list") else vector, dtype=np.float32)
