from __future__ import annotations

import pytest
from django.test import Client

from tickets.models import FitRun
from triage.models import Artifact, Reign, User

pytestmark = pytest.mark.django_db
LIST = "/admin/triage/artifact/"


@pytest.fixture
def root(client: Client) -> User:
    user = User.objects.create_superuser("root", "root@example.org", "a long password")
    client.force_login(user)
    return user


def test_another_fit_is_put_in_force_by_a_named_person(client: Client, root: User) -> None:
    old = Artifact.objects.create(version="old", payload=b"", live=True)
    new = Artifact.objects.create(
        version="new",
        payload=b"",
        metrics={"decided_texts": 9, "fields": {"category": {"accuracy": 0.81}}},
        comparison={"verdict": "refused"},
    )
    page = client.get(LIST).content.decode()
    assert "81.0%" in page and "Refused" in page
    form = {"action": "put_in_force", "_selected_action": [new.pk]}
    client.post(LIST, form)
    assert Artifact.objects.get(live=True) == new
    assert (Reign.objects.get().by, Reign.objects.get().why) == (root, "Put in force by hand.")
    client.post(LIST, {**form, "_selected_action": [new.pk, old.pk]})
    assert Artifact.objects.get(live=True) == new


def test_the_fit_before_comes_back_from_the_admin(client: Client, root: User) -> None:
    fits = [Artifact.objects.create(version=version, payload=b"") for version in ("one", "two")]
    for fit in fits:
        fit.put_in_force(why="A test.")
    client.post(LIST, {"action": "roll_back", "_selected_action": [fits[1].pk]})
    assert Artifact.objects.get(live=True) == fits[0]
    assert Reign.objects.filter(rollback=True).get().by == root
    page = client.post(LIST, {"action": "roll_back", "_selected_action": [fits[0].pk]}, follow=True)
    assert "There is no earlier fit." in page.content.decode()


def test_a_fit_is_shown_without_its_bytes_and_cannot_be_changed(client: Client, root: User) -> None:
    artifact = Artifact.objects.create(version="one", payload=b"secret-bytes", live=True)
    page = client.get(f"{LIST}{artifact.pk}/change/")
    assert page.status_code == 200
    assert "secret-bytes" not in page.content.decode()
    assert client.post(f"{LIST}{artifact.pk}/change/", {"version": "x"}).status_code == 403


def test_a_fits_page_shows_threshold_audit_and_comparison_by_field(client: Client, root: User) -> None:
    figures = {"texts": 400, "decided": 90, "accuracy": 0.88, "calibration_error": 0.021, "apply_from": 0.83}
    measured = {"accuracy": 0.9, "calibration_error": 0.03, "applied": 0.5, "precision": 0.97}
    artifact = Artifact.objects.create(
        version="one",
        payload=b"",
        metrics={"fields": {"category": figures, "team": figures}},
        audit={"category": {"right": 38, "seen": 40}, "team": {"right": 30, "seen": 40}},
        stopped={"team": {"right": 30, "seen": 40}},
        comparison={
            "verdict": "refused",
            "reason": "Worse beyond noise.",
            "fields": {
                "category": {
                    "texts": 60,
                    "candidate": measured,
                    "live": {**measured, "accuracy": 0.95},
                    "at_most": -0.012,
                    "faults": ["90.0% right against 95.0%"],
                    "changed": {"texts": 17, "candidate": 0.71, "live": 0.24},
                }
            },
        },
    )
    page = client.get(f"{LIST}{artifact.pk}/change/").content.decode()
    for shown in ("0.83", "38 of 40", "Stopped", "Worse beyond noise.", "-0.012", "90.0% right against 95.0%"):
        assert shown in page
    for shown in ("<td>17</td><td>71 %</td><td>24 %</td>", "only accepted leans towards the fit that proposed it"):
        assert shown in page


def test_adding_a_run_asks_for_a_fit_in_the_persons_name(client: Client, root: User) -> None:
    client.post("/admin/tickets/fitrun/add/", {})
    run = FitRun.objects.get()
    assert (run.cause, run.by, run.state) == ("person", root, "queued")
    page = client.post("/admin/tickets/fitrun/add/", {}, follow=True)
    assert "A fit is being made already." in page.content.decode()
    assert FitRun.objects.count() == 1
