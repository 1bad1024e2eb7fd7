from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.core.checks import run_checks
from pytest_django import Settings


def ids(**options: object) -> set[str]:
    return {message.id for message in run_checks(**options) if message.id and message.id.startswith("triage.")}  # type: ignore[arg-type]


def test_a_desk_with_nothing_set_passes() -> None:
    assert ids() == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY", "", "triage.E001"),
        ("BASE_URL", "desk.example.com", "triage.E002"),
        ("BASE_URL", "ftp://desk.example.com", "triage.E002"),
        ("BASE_URL", "https://desk:notaport", "triage.E002"),
        ("REDIS_URL", "http://localhost:6379", "triage.E003"),
        ("TRIAGE_CONCURRENCY", 0, "triage.E004"),
        ("ANTHROPIC_BASE_URL", "localhost:11434", "triage.E005"),
        ("UNREADABLE", {"PORT": "no number"}, "triage.E000"),
    ],
)
def test_it_names_what_is_wrong(settings: Settings, name: str, value: object, expected: str) -> None:
    setattr(settings, name, value)
    assert expected in ids()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "rediss://cache:6379/0"),
        ("REDIS_URL", "unix:///run/redis.sock"),
        ("BASE_URL", "https://desk.example.com"),
    ],
)
def test_it_accepts_what_is_right(settings: Settings, name: str, value: str) -> None:
    setattr(settings, name, value)
    assert not ids() & {"triage.E002", "triage.E003"}


def test_any_host_and_plain_http_are_warned_of_before_a_deployment(settings: Settings) -> None:
    settings.ALLOWED_HOSTS, settings.BASE_URL = ["*"], "http://desk.example.com"
    assert ids() == set()
    assert ids(include_deployment_checks=True) >= {"triage.W001", "triage.W003"}


@pytest.mark.django_db
def test_a_model_without_a_price_is_warned_of_when_models_are_in_use(settings: Settings) -> None:
    settings.TRIAGE_MODEL, settings.ANTHROPIC_API_KEY, settings.ANTHROPIC_BASE_URL = "llama-5", "", ""
    assert ids(databases=["default"]) == set()
    settings.ANTHROPIC_API_KEY = "test-key"
    assert ids(databases=["default"]) == {"triage.W002"}
    settings.TRIAGE_MODEL = "claude-haiku-4-5-20251001"
    assert ids(databases=["default"]) == set()
    settings.TRIAGE_FALLBACK_MODEL = "llama-5"
    assert ids(databases=["default"]) == {"triage.W002"}


def test_every_message_has_a_hint(settings: Settings) -> None:
    settings.SECRET_KEY, settings.BASE_URL, settings.REDIS_URL, settings.TRIAGE_CONCURRENCY = "", "x", "x", 0
    assert all(message.hint for message in run_checks() if (message.id or "").startswith("triage."))


def test_a_variable_that_cannot_be_read_is_a_check_and_no_traceback() -> None:
    wrong = {"EMAIL_URL": "carrier://pigeon", "TRIAGE_CONCURRENCY": "many", "BASE_URL": "http://[half"}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=configured.BASE_DIR,
        env={**os.environ, **wrong, "TRIAGE_VAR": str(configured.VAR)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert all(f"{name} cannot be read" in done.stderr for name in wrong)
    assert "Traceback" not in done.stderr and Path(configured.VAR).is_dir()
