"""`make bench`: every benchmark in a process of its own, one Markdown table with what was reached.

    python -m bench [--only NAME] [--data DIR] [--write]

A module of this folder that has `run(data) -> list[Row]` is a benchmark. A Row is (name, value, target, unit); value
None means that it was not run, and the unit says why. With --write the table goes into bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.rows import Row

HERE = Path(__file__).resolve().parent
MODULES = (
    "engine",
    "stream",
    "day",
    "calls",
    "drain",
    "desk",
    "model",
    "bulk",
    "many",
    "promises",
    "mail",
    "github",
    "imports",
    "large",
    "open_desks",
    "webhooks",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--only", action="append", choices=MODULES)
    parser.add_argument("--data", default=os.environ.get("BENCH_DATA", ""))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--inside", choices=MODULES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    data = Path(options.data).resolve() if options.data else None
    if options.inside:
        rows = importlib.import_module(f"bench.{options.inside}").run(data)
        print(json.dumps([list(row) for row in rows]))
        return 0
    os.environ.setdefault("TRIAGE_FLOOD_TICKETS", "0")  # a few customers write all there is here
    tables, failed = [], 0
    for name in options.only or MODULES:
        command = [sys.executable, "-m", "bench", "--inside", name, *(["--data", str(data)] if data else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent, check=False)
        if done.returncode:
            failed += 1
            tables.append(f"### {name}\n\nfailed, see above\n")
            continue
        tables.append(_table(name, [Row(*row) for row in json.loads(done.stdout.splitlines()[-1])]))
    report = "\n".join([_machine(), *tables])
    print(report)
    if options.write:
        (HERE / "RESULTS.md").write_text(f"# Results\n\n{report}")
    return 1 if failed else 0


def _machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, "
        f"{platform.system()}; measured {datetime.now(UTC):%Y-%m-%d} at {commit.strip() or 'no commit'}. "
        "Client and server share the machine.\n"
    )


def _table(name: str, rows: list[Row]) -> str:
    lines = [f"### {name}\n", "| what | reached | wished |", "|---|---|---|"]
    for row in rows:
        reached = f"not run: {row.unit}" if row.value is None else f"{row.value:,.4g} {row.unit}"
        lines.append(f"| {row.name} | {reached} | {row.target} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
