from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from tests.tickets.conftest import MakeTicket
from tickets import context as context_module
from tickets.context import gather, remembered, taxonomy
from tickets.models import Category, Example, Message, Source, Status, Team, Ticket
from triage.models import User
from triage.pipeline.types import Inquiry, Turn


def _vector(*head: float) -> list[float]:
    return [*head, *([0.0] * (384 - len(head)))]


def test_an_old_answer_is_found_behind_a_hundred_open_tickets_that_are_nearer(
    make_ticket: MakeTicket, form: Source, agent: User
) -> None:
    answered = make_ticket(title="Answered long ago")
    answered.set_status(Status.RESOLVED)
    answered.embedding = _vector(0.9, 0.3)
    answered.save()
    Message.objects.create(
        ticket=answered, kind=Message.Kind.OUTBOUND, text="Update it.", author=agent, created_at=timezone.now()
    )
    Ticket.objects.bulk_create(
        Ticket(subject=f"Open {number}", source=form, embedding=_vector(1, number / 1000)) for number in range(100)
    )
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # as the planner does by itself when there are many tickets
        cursor.execute("SET LOCAL enable_sort = off")
    context = gather(Inquiry(subject="Again", turns=(Turn("customer", "It fails."),)), _vector(1))
    assert [answer.subject for answer in context.answers] == ["Answered long ago"]


def test_a_category_whose_usual_team_is_inactive_has_none(form: Source) -> None:
    Team.objects.filter(key="software").update(active=False)
    labels, _ = taxonomy()
    usual = {label.key: label.default_team for label in labels.categories}
    assert (usual["bug"], usual["billing"]) == (None, "billing")


def test_an_example_names_no_label_that_nobody_can_give_now(make_ticket: MakeTicket) -> None:
    labels = {"category": "bug", "team": "software", "component": None, "priority": "P2", "tags": ["csv"]}
    Example.objects.create(ticket=make_ticket(), text="It fails.", labels=labels, embedding=_vector(1))
    Category.objects.filter(key="bug").update(active=False)
    Team.objects.filter(key="software").update(active=False)

    def shown() -> dict[Any, Any]:
        context = gather(Inquiry(subject="Again", turns=(Turn("customer", "It fails."),)), _vector(1))
        return dict(context.examples[0].labels)

    assert shown() == {"component": None, "priority": "P2", "tags": ("csv",)}
    Category.objects.filter(key="bug").update(active=True, name="Defect")
    assert shown()["category"] == "bug"


def test_labels_are_remembered_for_seconds_and_not_longer(
    taxonomy: None,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr(context_module, "_cached", None)
    settings.TESTING = False
    assert remembered("category", "billing") is None
    context_module.taxonomy()
    billing = Category.objects.get(key="billing")
    with django_assert_num_queries(0):
        assert remembered("category", "billing") == billing
        assert remembered("category", "no such") is None
        context_module.taxonomy()
    monkeypatch.setattr(context_module, "TAXONOMY_SECONDS", 0.0)
    assert remembered("category", "billing") is None
