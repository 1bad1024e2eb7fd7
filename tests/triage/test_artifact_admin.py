from __future__ import annotations

import pytest
from django.test import Client

from triage.models import Artifact, User

pytestmark = pytest.mark.django_db


def test_another_fit_is_put_in_force_from_the_admin(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root", "root@example.org", "a long password"))
    old = Artifact.objects.create(version="old", payload=b"", live=True)
    new = Artifact.objects.create(
        version="new", payload=b"", metrics={"decided_texts": 9, "fields": {"category": {"accuracy": 0.81}}}
    )
    page = client.get("/admin/triage/artifact/")
    assert "81.0%" in page.content.decode()
    form = {"action": "put_in_force", "_selected_action": [new.pk]}
    client.post("/admin/triage/artifact/", form)
    assert Artifact.objects.get(live=True) == new
    client.post("/admin/triage/artifact/", {**form, "_selected_action": [new.pk, old.pk]})
    assert Artifact.objects.get(live=True) == new


def test_a_fit_is_shown_without_its_bytes_and_cannot_be_changed(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root", "root@example.org", "a long password"))
    artifact = Artifact.objects.create(version="one", payload=b"secret-bytes", live=True)
    page = client.get(f"/admin/triage/artifact/{artifact.pk}/change/")
    assert page.status_code == 200
    assert "secret-bytes" not in page.content.decode()
    assert client.post(f"/admin/triage/artifact/{artifact.pk}/change/", {"version": "x"}).status_code == 403
