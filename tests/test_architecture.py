"""What the linters do not hold: sizes, names, and that a text becomes a reply in one place alone."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ("triage", "tickets", "analytics")
SOURCES = [
    path
    for app in APPS
    for path in sorted((ROOT / app).rglob("*.py"))
    if "migrations" not in path.relative_to(ROOT).parts
]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
DRAWERS = re.compile(r"^(utils?|helpers?|common|core|misc|services?|constants|managers?)$")


def test_files_functions_and_templates_stay_small() -> None:
    long = [f"{path.relative_to(ROOT)} ({n})" for path in SOURCES if (n := len(path.read_text().splitlines())) > 400]
    long += [f"{path.relative_to(ROOT)} ({n})" for path in TEMPLATES if (n := len(path.read_text().splitlines())) > 150]
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                lines = node.end_lineno - node.lineno + 1
                if lines > 50:
                    long.append(f"{path.relative_to(ROOT)}:{node.name} ({lines})")
    assert long == []


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert [str(path.relative_to(ROOT)) for path in SOURCES if DRAWERS.match(path.stem)] == []


def test_nothing_but_an_approval_makes_a_delivery() -> None:
    makers = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if re.search(r"\bDelivery(\.objects\.(create|bulk_create|get_or_create|update_or_create))?\(", path.read_text())
    }
    makers -= {"tickets/models/delivery.py"}  # its definition
    assert makers == {"tickets/actions/replies.py", "tickets/actions/seeding.py"}


def test_pages_take_nothing_from_other_hosts_and_carry_no_inline_code() -> None:
    static = [*sorted((ROOT / "static").rglob("*.css")), *sorted((ROOT / "static").rglob("*.js"))]
    outside = re.compile(r"""(src|href)\s*=\s*["']https?://|@import|url\(\s*["']?https?://""")
    inline = re.compile(
        r"\son[a-z]+\s*=\s*[\"']|\sstyle\s*=\s*[\"']|hx-on|<script(?![^>]*(?:\bsrc=|application/json))[^>]*>",
        re.IGNORECASE,
    )
    guilty = [path.name for path in [*TEMPLATES, *static] if outside.search(path.read_text())]
    guilty += [str(path.relative_to(ROOT)) for path in TEMPLATES if inline.search(path.read_text())]
    assert guilty == []


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "triage" / "engines").glob("[a-z]*.py")))
def test_each_engine_can_be_imported_first(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import triage.engines.{module}"], cwd=ROOT, check=True)
