from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection, models
from django.test.utils import isolate_apps
from pytest_django import Settings

from tickets.sealed import SealedField, Secret
from triage.vault import VaultError


@pytest.fixture
def boxes() -> Iterator[Any]:
    """A model of a door with a password, which nothing but these tests ever hears of."""
    with isolate_apps("tickets"):

        class Strongbox(models.Model):
            name = models.CharField(max_length=20)
            password = SealedField()

            class Meta:
                app_label = "tickets"

            def __str__(self) -> str:
                return self.name

        yield Strongbox


@pytest.fixture
def table(db: None, boxes: Any) -> None:
    with connection.schema_editor() as editor:
        editor.create_model(boxes)


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM tickets_strongbox")
        return str(cursor.fetchone()[0])


@pytest.mark.usefixtures("table")
def test_the_database_holds_no_readable_secret_and_the_field_opens_it(boxes: Any) -> None:
    boxes.objects.create(name="support", password="hunter2")
    assert "hunter2" not in stored()
    assert boxes.objects.get().password.open() == "hunter2"


def test_no_secret_is_shown_by_printing_or_formatting(boxes: Any) -> None:
    box = boxes(name="support", password="hunter2")
    said = f"{box.password!r} {box.password} {vars(box)} {[box.password]} {box.password:>20}"
    assert "hunter2" not in said and "•••" in said
    assert repr(Secret()) == "Secret()"


@pytest.mark.usefixtures("table")
def test_it_opens_after_the_key_was_changed_and_can_be_locked_anew(boxes: Any, settings: Settings) -> None:
    settings.SECRET_KEY = "the old key"
    boxes.objects.create(name="support", password="hunter2")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new key", ["the old key"]
    box = boxes.objects.get()
    assert box.password.open() == "hunter2"
    box.password = box.password.anew()
    box.save()
    settings.SECRET_KEY_FALLBACKS = []
    assert boxes.objects.get().password.open() == "hunter2"


@pytest.mark.usefixtures("table")
def test_what_cannot_be_opened_says_so_and_spoils_no_list(boxes: Any, settings: Settings) -> None:
    settings.SECRET_KEY = "the old key"
    boxes.objects.create(name="support", password="hunter2")
    settings.SECRET_KEY = "another key"
    (box,) = boxes.objects.all()
    assert box.password
    with pytest.raises(VaultError, match="enter it again"):
        box.password.open()


@pytest.mark.usefixtures("table")
def test_an_empty_secret_is_none_and_can_be_looked_for(boxes: Any) -> None:
    boxes.objects.create(name="none")
    boxes.objects.create(name="some", password="hunter2")
    assert boxes.objects.get(password="").name == "none"
    assert not boxes.objects.get(name="none").password
    with pytest.raises(FieldError):
        boxes.objects.filter(password__contains="hunter")


@pytest.mark.usefixtures("table")
def test_saving_a_row_again_keeps_its_secret_and_a_dump_holds_it_locked(boxes: Any) -> None:
    box = boxes.objects.create(name="support", password="hunter2")
    again = boxes.objects.get()
    again.name = "sales"
    again.save()
    assert boxes.objects.get().password.open() == "hunter2"
    dump = serializers.serialize("json", [box])
    assert "hunter2" not in dump
    (kept,) = json.loads(dump)
    assert (
        boxes(password=boxes._meta.get_field("password").to_python(kept["fields"]["password"])).password.open()
        == "hunter2"
    )
