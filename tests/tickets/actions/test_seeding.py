from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

from tickets.actions.seeding import plant_demo, plant_taxonomy
from tickets.models import Category, Delivery, Example, Message, SlaPolicy, Team, Ticket, TriageState


def test_the_starter_taxonomy_has_its_categories_teams_and_clock(taxonomy: None) -> None:
    expected = "bug feature_request question documentation billing account access security other"
    assert set(Category.objects.values_list("key", flat=True)) == set(expected.split())
    assert Team.objects.filter(key="manual_review").exists()
    hours = {policy.priority: policy.hours for policy in SlaPolicy.objects.all()}
    assert hours == {"P1": 1, "P2": 4, "P3": 24, "P4": 72}


def test_planting_again_keeps_what_people_changed(taxonomy: None) -> None:
    Category.objects.filter(key="bug").update(name="Fault")
    SlaPolicy.objects.filter(priority="P1").update(response_minutes=15)
    plant_taxonomy()
    assert Category.objects.get(key="bug").name == "Fault"
    assert SlaPolicy.objects.get(priority="P1").response_minutes == 15


def test_demo_tickets_wait_for_the_machine_and_old_ones_hold_their_approved_replies(taxonomy: None) -> None:
    made = plant_demo()
    assert made == Ticket.objects.count() >= 40
    assert not Ticket.objects.exclude(triage_state=TriageState.SUBMITTED).exists()
    answered = Message.objects.filter(kind="outbound")
    assert answered.count() == Delivery.objects.filter(state="sent", review__decision="approved").count() >= 10
    assert Example.objects.exists()


def test_a_desk_that_has_tickets_gets_no_demo(
    taxonomy: None, make_ticket: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_ticket()
    call_command("seed")
    assert Ticket.objects.count() == 1
