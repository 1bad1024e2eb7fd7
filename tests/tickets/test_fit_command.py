from __future__ import annotations

import pytest
from django.core.management import call_command

from tests.tickets.conftest import MakeTicket
from tickets.models import Example
from triage.models import Artifact

pytestmark = pytest.mark.django_db


def test_it_fits_from_decisions_and_puts_the_fit_in_force(
    make_ticket: MakeTicket, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        Example.objects.create(
            ticket=make_ticket(), text=f"Tortoise {number}", labels={"category": "other", "team": "hr"}
        )
    call_command("fit", "--dry-run")
    assert not Artifact.objects.exists()
    call_command("fit")
    artifact = Artifact.objects.get(live=True)
    assert artifact.metrics["decided_texts"] == 3
    assert artifact.metrics["fields"]["category"]["decided"] == 3
    assert artifact.version in capsys.readouterr().out
