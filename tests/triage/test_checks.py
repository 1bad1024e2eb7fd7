from __future__ import annotations

import os
import socket
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
        ("SECRET_KEY", "x" * 31, "triage.E001"),
        ("BASE_URL", "desk.example.com", "triage.E002"),
        ("BASE_URL", "ftp://desk.example.com", "triage.E002"),
        ("BASE_URL", "https://desk:notaport", "triage.E002"),
        ("REDIS_URL", "http://localhost:6379", "triage.E003"),
        ("ANTHROPIC_BASE_URL", "localhost:11434", "triage.E005"),
        ("GITHUB_CLIENT_ID", "desk", "triage.E007"),
        ("OIDC_ISSUER", "https://id.example.com", "triage.E007"),
        ("GITHUB_URL", "http://git.example.com", "triage.E007"),
        ("CORS_ALLOWED_ORIGINS", ["*"], "triage.E008"),
        ("CORS_ALLOWED_ORIGINS", ["null"], "triage.E008"),
        ("CORS_ALLOWED_ORIGINS", ["shop.example.org"], "triage.E008"),
        ("CORS_ALLOWED_ORIGINS", ["https://shop.example.org/page"], "triage.E008"),
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
        ("CORS_ALLOWED_ORIGINS", ["https://shop.example.org", "http://localhost:3000"]),
    ],
)
def test_it_accepts_what_is_right(settings: Settings, name: str, value: object) -> None:
    setattr(settings, name, value)
    assert not ids() & {"triage.E002", "triage.E003", "triage.E008"}


def test_a_provider_that_is_wholly_set_passes(settings: Settings) -> None:
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = "https://id.example.com", "desk", "x"
    assert ids() == set()


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
    settings.SECRET_KEY, settings.BASE_URL, settings.REDIS_URL = "", "x", "x"
    assert all(message.hint for message in run_checks() if (message.id or "").startswith("triage."))


WRONG = {
    "TIME_ZONE": "Nowhere/Land",
    "LOG_LEVEL": "LOUD",
    "BASE_URL": "http://[half",
    "EMAIL_URL": "carrier://pigeon",
    "TRUSTED_PROXIES": "10.0.0.1/99",
    "PORT": "-1",
    "TRIAGE_CONCURRENCY": "0",
    "TRIAGE_WORKERS": "many",
    "TRIAGE_MODEL_TIMEOUT": "-3",
    "TRIAGE_ESCALATE_BELOW": "7",
    "TRIAGE_APPLY_PRECISION": "95",
    "TRIAGE_AUDIT_SHARE": "-0.02",
    "TRIAGE_REUSE_DAYS": "-1",
    "TRIAGE_SIMILAR_K": "0",
    "TRIAGE_SIMILAR_FROM": "45 %",
    "TRIAGE_MAX_TOKENS": "classify=0",
    "TRIAGE_MAX_INPUT": "everything=8000",
    "TRIAGE_CALLS_A_DAY": "-1",
    "TRIAGE_CALLS_A_MINUTE": "some",
    "TRIAGE_CLOSE_AFTER_DAYS": "-1",
    "TRIAGE_FORM_PER_MINUTE": "-10",
    "TRIAGE_FORM_PER_HOUR": "1.5",
}


def test_a_variable_that_cannot_be_read_is_a_check_and_no_traceback() -> None:
    done = manage("check", TRIAGE_VAR=str(configured.VAR), **WRONG)
    assert done.returncode == 1
    assert [name for name in WRONG if f"(triage.E000) {name} cannot be read: " not in done.stderr] == []
    assert done.stderr.count("HINT: ") == len(WRONG)
    assert "Traceback" not in done.stderr and Path(configured.VAR).is_dir()


SHARES = ("TRIAGE_APPLY_PRECISION", "TRIAGE_AUDIT_SHARE", "TRIAGE_ESCALATE_BELOW", "TRIAGE_SIMILAR_FROM")


@pytest.mark.parametrize("given", ["1.01", "-0.01", "95"])
def test_a_share_beyond_its_range_is_told_with_the_range(given: str) -> None:
    done = manage("check", TRIAGE_VAR=str(configured.VAR), **dict.fromkeys(SHARES, given))
    sentences = [f"{name} cannot be read: {given} is not between 0 and 1." for name in SHARES]
    assert [sentence for sentence in sentences if sentence not in done.stderr] == []


@pytest.mark.parametrize("given", ["0", "1"])
def test_the_ends_of_a_share_belong_to_its_range(given: str) -> None:
    done = manage("check", TRIAGE_VAR=str(configured.VAR), **dict.fromkeys(SHARES, given))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("given", ["nan", "inf", "-inf", "1e400"])
def test_what_is_no_number_to_work_with_is_refused(given: str) -> None:
    wrong = {"TRIAGE_ESCALATE_BELOW": given, "TRIAGE_MODEL_TIMEOUT": given}
    done = manage("check", TRIAGE_VAR=str(configured.VAR), **wrong)
    assert [name for name in wrong if f"{name} cannot be read" not in done.stderr] == []


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # root may write anywhere but below a file
    done = manage("check", TRIAGE_VAR=str(tmp_path / "file" / "var"))
    assert "TRIAGE_VAR cannot be read" in done.stderr and "Not a directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_redis_that_does_not_answer_is_told_only_where_it_is_asked(settings: Settings) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        assert "triage.E006" not in ids()
        assert ids(tags=["settings"], databases=["default"]) == {"triage.E006"}


def test_a_bucket_without_its_packages_is_told_and_with_them_is_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.S3_BUCKET = "attachments"
    monkeypatch.setattr("triage.checks.find_spec", lambda name: None)
    assert "triage.E009" in ids()
    monkeypatch.setattr("triage.checks.find_spec", lambda name: object())
    assert "triage.E009" not in ids()


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=configured.BASE_DIR,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
