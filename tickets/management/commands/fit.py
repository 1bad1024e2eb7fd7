from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tickets.actions import fitting
from tickets.actions.deliveries import Claimed
from tickets.actions.errors import Conflict
from tickets.actions.learning import decisions
from tickets.models import FitRun
from triage.checks import BEFORE_COMMANDS
from triage.correlation import acting
from triage.learning.calibrate import lower_bound
from triage.learning.payload import fit_payload
from triage.models import Artifact


class Command(BaseCommand):
    help = (
        "Fit the local engine from the starter set and every decision made here, measure it against the one in force "
        "on decisions that neither has seen, and put it in force unless it is worse."
    )
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Fit and show; keep nothing, change nothing.")
        parser.add_argument("--claimed", nargs=2, type=int, metavar=("RUN", "CLAIM"), help="For the worker alone.")

    def handle(self, *args: Any, dry_run: bool, claimed: list[int] | None, **options: Any) -> None:
        if dry_run:
            found = decisions()
            _, metrics = fit_payload(found.fitting, found.undecided, precision=settings.APPLY_PRECISION)
            self._show(metrics)
            self.stdout.write(f"Fitted in {metrics['seconds']} s; nothing was changed.")
            return
        with acting("command:fit"):
            run = fitting.carry_out(Claimed(*claimed) if claimed else self._claim())
        if run.state != FitRun.State.DONE or run.artifact is None:
            raise CommandError(run.error or "Another process has taken this fit over.")
        self._show(run.artifact.metrics)
        self._show_comparison(run.artifact)
        self._show_audits()
        self.stdout.write(f"{run.artifact.version}, after {run.artifact.metrics['seconds']} s. {run.outcome}")

    def _claim(self) -> Claimed:
        try:
            fitting.ask_for_fit(cause=FitRun.Cause.PERSON)
        except Conflict as taken:
            raise CommandError(taken.sentence) from taken
        claimed = fitting.claim()
        if claimed is None:
            raise CommandError("The worker was quicker and makes the fit now.")
        return claimed

    def _show(self, metrics: dict[str, Any]) -> None:
        self.stdout.write(
            f"{'field':<14}{'texts':>7}{'decided':>9}{'accuracy':>10}{'calibration':>13}{'applies from':>14}"
        )
        for name, figures in metrics["fields"].items():
            applies = "-" if figures["apply_from"] is None else f"{figures['apply_from']:.2f}"
            self.stdout.write(
                f"{name:<14}{figures['texts']:>7}{figures['decided']:>9}{figures['accuracy']:>10.3f}"
                f"{figures['calibration_error']:>13.3f}{applies:>14}"
            )

    def _show_audits(self) -> None:
        for artifact in Artifact.objects.exclude(audit={}).defer("payload")[:3]:
            for name, found in artifact.audit.items():
                bound = lower_bound(found["right"], found["seen"])
                stopped = ", applied no more" if name in artifact.stopped_fields else ""
                self.stdout.write(
                    f"Audited of {artifact.version}: {name} {found['right']} of {found['seen']} right, "
                    f"at least {bound:.1%}{stopped}."
                )

    def _show_comparison(self, artifact: Artifact) -> None:
        fields = artifact.comparison.get("fields", {})
        if fields:
            self.stdout.write(f"On held-out decisions, against {artifact.comparison['live']}:")
        for name, figures in fields.items():
            new, old = figures["candidate"], figures["live"]
            self.stdout.write(
                f"{name:<14}{figures['texts']:>7} texts  accuracy {new['accuracy']:.3f} ({old['accuracy']:.3f})  "
                f"calibration {new['calibration_error']:.3f} ({old['calibration_error']:.3f})  "
                f"applied {new['applied']:.1%} ({old['applied']:.1%})"
            )
