"""What the repository promises beside its code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


def test_the_licence_is_mit_and_the_embedding_keeps_its_own() -> None:
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert 'license = "MIT"' in (ROOT / "pyproject.toml").read_text()
    notices = " ".join(
        path.read_text() for path in (ROOT / "triage/embedding/minilm").glob("*") if path.suffix != ".onnx"
    )
    assert "Apache" in notices


def test_decisions_are_numbered_without_a_gap_and_short() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 4
    assert [path.name for path in DECISIONS if len(path.read_text().split()) > 300] == []


def test_every_setting_that_is_read_stands_in_the_example() -> None:
    read = set(re.findall(r'(?:env\.\w+|_read)\(\s*"([A-Z0-9_]+)"', (ROOT / "triage/settings.py").read_text()))
    inner = {"TRIAGE_ROLE"}  # set by the commands that start a process, never by an operator
    named = set(re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert sorted(read - inner - named) == []


def test_the_example_gives_no_secret_a_value() -> None:
    secrets = re.findall(
        r"^#?(\w*(?:KEY(?!LESS)|PASSWORD)\w*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE
    )
    assert secrets and all(value == "" for _, value in secrets)


def test_ci_runs_what_the_readme_says_and_nothing_else() -> None:
    steps = [line.strip() for line in (ROOT / ".ci/run").read_text().splitlines()]
    assert [step for step in steps if step.startswith("make ")] == ["make check", "make test"]


TARGETS = "setup up stop test check bench status health metrics demo logs trace db-shell db-reset backup restore"


@pytest.mark.parametrize("target", TARGETS.split())
def test_make_has_the_target_and_says_what_it_does(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_containers_keep_files_beyond_their_life_and_share_them() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    dockerfile = (ROOT / "Dockerfile").read_text()
    place = re.search(r"TRIAGE_VAR=(\S+)", dockerfile)
    assert place and f"install -d -o triage -g triage {place[1]}" in dockerfile and "\nUSER triage\n" in dockerfile
    mounts = {name: compose["services"][name].get("volumes") for name in ("migrate", "web", "worker")}
    assert all(mount == [f"files:{place[1]}"] for mount in mounts.values()) and "files" in compose["volumes"]


def test_requirements_are_hashed_and_name_no_address() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        packages = re.findall(r"^[a-z0-9][\w.-]*==", text, re.MULTILINE)
        assert len(packages) > 10 and text.count("--hash=sha256:") >= len(packages)
