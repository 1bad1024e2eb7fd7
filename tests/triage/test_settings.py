"""The settings in processes of their own, each with another environment."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


def _settings(var: Path, *names: str, **environment: str) -> dict[str, Any]:
    asked = "import json; from triage import settings; " + (
        f"print(json.dumps({{name: str(getattr(settings, name)) for name in {names!r}}}))"
    )
    env = {"PATH": os.environ["PATH"], "TRIAGE_VAR": str(var), **environment}
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    answered: dict[str, Any] = json.loads(done.stdout)
    return answered


def test_it_runs_with_nothing_set(tmp_path: Path) -> None:
    found = _settings(tmp_path, "DATABASES", "EMAIL_BACKEND", "CHANNEL_LAYERS", "ANTHROPIC_API_KEY", "DEBUG")
    assert "triage.postgres" in found["DATABASES"]
    assert "NotifyChannelLayer" in found["CHANNEL_LAYERS"]
    assert (found["ANTHROPIC_API_KEY"], found["DEBUG"]) == ("", "False")


def test_the_secret_key_is_made_once_an_installation_and_is_nobody_elses(tmp_path: Path) -> None:
    first = _settings(tmp_path / "one", "SECRET_KEY")["SECRET_KEY"]
    assert len(first) >= 50
    assert _settings(tmp_path / "one", "SECRET_KEY")["SECRET_KEY"] == first
    assert _settings(tmp_path / "two", "SECRET_KEY")["SECRET_KEY"] != first
    assert stat.S_IMODE((tmp_path / "one" / "secret-key").stat().st_mode) == 0o600


def test_with_a_database_of_your_own_the_secret_key_has_no_default(tmp_path: Path) -> None:
    found = _settings(tmp_path, "SECRET_KEY", DATABASE_URL="postgres://desk@localhost/desk")
    assert found["SECRET_KEY"] == "" and not (tmp_path / "secret-key").exists()


def test_redis_carries_broker_layer_and_cache_when_it_is_named(tmp_path: Path) -> None:
    found = _settings(tmp_path, "Q_CLUSTER", "CHANNEL_LAYERS", "CACHES", REDIS_URL="redis://localhost:6379/3")
    assert all("redis://localhost:6379/3" in value for value in found.values())
    assert "'orm'" not in found["Q_CLUSTER"]


def test_cookies_are_secure_as_soon_as_the_address_is_https(tmp_path: Path) -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "ALLOWED_HOSTS")
    found = _settings(tmp_path, *names, BASE_URL="https://desk.example.org")
    assert [found[name] for name in names[:3]] == ["True"] * 3
    assert "desk.example.org" in found["ALLOWED_HOSTS"]


def test_the_web_process_alone_has_a_pool(tmp_path: Path) -> None:
    assert "pool" in _settings(tmp_path, "DATABASES", TRIAGE_ROLE="web")["DATABASES"]
    assert "pool" not in _settings(tmp_path, "DATABASES", TRIAGE_ROLE="worker")["DATABASES"]


def test_limits_are_given_by_operation_and_what_is_not_named_stays_as_usual(tmp_path: Path) -> None:
    names = ("TRIAGE_MAX_TOKENS", "TRIAGE_MAX_INPUT", "TRIAGE_CALLS_A_DAY", "TRIAGE_CALLS_A_MINUTE", "UNREADABLE")
    found = _settings(tmp_path, *names, TRIAGE_MAX_TOKENS="draft=600, classify=800", TRIAGE_CALLS_A_DAY="1000")
    assert found["TRIAGE_MAX_TOKENS"] == "{'classify': 800, 'draft': 600, 'summary': 1024, 'repair': 1024}"
    assert found["TRIAGE_MAX_INPUT"].startswith("{'classify': 20000")
    assert (found["TRIAGE_CALLS_A_DAY"], found["TRIAGE_CALLS_A_MINUTE"]) == ("1000", "None")
    assert found["UNREADABLE"] == "{}"


def test_limits_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    wrong = {"TRIAGE_MAX_TOKENS": "poem=5", "TRIAGE_MAX_INPUT": "draft=few", "TRIAGE_CALLS_A_DAY": "-1"}
    found = _settings(tmp_path, "UNREADABLE", "TRIAGE_MAX_TOKENS", **wrong)
    assert all(name in found["UNREADABLE"] for name in wrong)
    assert found["TRIAGE_MAX_TOKENS"].startswith("{'classify': 1024")
