"""Attachments in a bucket, against a server on loopback, with the options that the settings give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from pytest_django import Settings

from tests.s3_server import S3Server, s3_server
from tests.tickets.conftest import MakeTicket
from tickets.actions import attaching
from tickets.actions.errors import Unavailable
from tickets.models import Attachment, LeftFile, Ticket
from triage import settings as as_read
from triage.models import User

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0" * 20


@pytest.fixture
def bucket(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-test")
    with s3_server() as server:
        options: dict[str, Any] = {**as_read._s3, "bucket_name": "desk", "endpoint_url": server.url}
        there = {"BACKEND": "triage.bucket.Bucket", "OPTIONS": {**options, "region_name": "eu-central-1"}}
        settings.STORAGES = {**settings.STORAGES, "default": there}
        yield server


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


@pytest.fixture
def ticket(make_ticket: MakeTicket) -> Ticket:
    return make_ticket()


def attach(ticket: Ticket) -> Attachment:
    return attaching.attach(message=ticket.messages.get(), name="screen.png", content=PNG)


def test_a_file_lies_in_the_bucket_and_is_handed_out_by_the_desk(
    bucket: S3Server, ticket: Ticket, desk: Client
) -> None:
    kept = attach(ticket)
    assert bucket.objects == {f"/desk/{kept.file.name}": PNG} and not bucket.unsigned
    answer = desk.get(kept.get_absolute_url())
    assert (answer.status_code, answer.content, answer["X-Content-Type-Options"]) == (200, PNG, "nosniff")
    bucket.objects.clear()
    assert desk.get(kept.get_absolute_url()).status_code == 404


def test_the_object_goes_with_its_row_and_where_the_bucket_is_down_later(bucket: S3Server, ticket: Ticket) -> None:
    path = str(attach(ticket).file.name)
    Attachment.objects.all().delete()
    bucket.broken = True
    assert attaching.sweep() == 0
    bucket.broken = False
    assert attaching.sweep() == 1
    assert not bucket.objects and not default_storage.exists(path) and not LeftFile.objects.exists()


def test_a_bucket_that_is_down_refuses_the_file_and_leaves_no_row(
    bucket: S3Server, ticket: Ticket, desk: Client
) -> None:
    kept = attach(ticket)
    bucket.broken = True
    with pytest.raises(Unavailable, match="just now"):
        attach(ticket)
    assert list(Attachment.objects.all()) == [kept]
    answer = desk.get(kept.get_absolute_url())
    assert (answer.status_code, answer["Content-Type"]) == (503, "text/plain")
