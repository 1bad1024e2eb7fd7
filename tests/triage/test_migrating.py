"""New databases are made in one step; the steps before it must lead to the same."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

OURS = ("analytics", "tickets", "triage")


def states() -> tuple[ProjectState, ProjectState]:
    """After all steps one by one, and after those in one."""
    return tuple(MigrationLoader(None, replace_migrations=shorter).project_state() for shorter in (False, True))  # type: ignore[return-value]


def test_one_step_and_many_lead_to_the_same_models_indexes_constraints_and_triggers() -> None:
    one_by_one, at_once = states()
    loader = MigrationLoader(None)
    assert {("tickets", "0001_squashed_0049"), ("triage", "0001_squashed_0010")} <= set(loader.graph.nodes)
    assert MigrationAutodetector(one_by_one, at_once).changes(loader.graph) == {}
    assert MigrationAutodetector(at_once, ProjectState.from_apps(apps)).changes(loader.graph) == {}


@pytest.mark.django_db
def test_what_the_one_step_promises_is_in_the_database() -> None:
    wanted = {
        ("index", name.lower()): model
        for (app, model), state in states()[1].models.items()
        if app in OURS
        for name in [index.name for index in state.options.get("indexes", ())]
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
        there = {("index", name) for (name,) in cursor.fetchall()}
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'pgtrigger_%'")
        triggers = cursor.fetchone()[0]
    assert wanted and set(wanted) <= there, set(wanted) - there
    assert triggers == sum(len(state.options.get("triggers", ())) for state in states()[1].models.values())
