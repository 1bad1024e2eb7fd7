from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tickets.models import ApiKey
from triage.models import User


def create(*args: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("create_api_key", *args, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


def test_the_key_stands_alone_on_the_last_line(taxonomy: None) -> None:
    key = create("shop", scopes="read,write").splitlines()[-1]
    row = ApiKey.objects.get()
    assert ApiKey.digest_of(key) == row.digest
    assert (row.scopes, row.source.name, row.user) == (["read", "write"], "API", None)


def test_a_source_is_made_when_it_is_new(taxonomy: None) -> None:
    create("shop", source="Web shop")
    source = ApiKey.objects.get().source
    assert (source.name, source.kind) == ("Web shop", "api")


def test_a_key_that_approves_names_its_person(taxonomy: None, agent: User) -> None:
    with pytest.raises(CommandError, match="--user"):
        create("shop", scopes="read,approve")
    create("shop", scopes="approve", user="ada")
    assert ApiKey.objects.get().user == agent


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"scopes": "read,delete"}, "Scopes are"), ({"scopes": ""}, "Scopes are"), ({"user": "nobody"}, "no active user")],
)
def test_it_refuses_what_makes_no_sense(taxonomy: None, options: dict[str, str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        create("shop", **options)
    assert ApiKey.objects.count() == 0


def test_an_auditor_gets_no_key_to_approve_with(auditor: User) -> None:
    with pytest.raises(CommandError, match="read tickets, not change"):
        create("shop", scopes="approve", user="otto")
