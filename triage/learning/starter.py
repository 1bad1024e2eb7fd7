"""The starter set: invented tickets with labels, which the engines stand on before anybody has decided anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from triage.embedding.clean import TURN
from triage.pipeline.types import FieldName, FieldValue

DATA = Path(__file__).with_name("starter.jsonl")
LABELLED: tuple[FieldName, ...] = (
    "category",
    "priority",
    "team",
    "tier",
    "severity",
    "effort",
    "component",
    "sentiment",
    "is_technical",
    "tags",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One text with its labels. `title` may be shown to anybody: the text is invented."""

    title: str
    text: str
    labels: Mapping[FieldName, FieldValue]


@lru_cache(maxsize=1)
def rows() -> tuple[Row, ...]:
    """All of it, read once a process. A component of None means that no part of the product is meant."""
    return tuple(_row(line) for line in DATA.read_text(encoding="utf-8").splitlines() if line.strip())


def _row(line: str) -> Row:
    given = json.loads(line)
    labels: dict[FieldName, FieldValue] = {name: given[name] for name in LABELLED if name in given}
    labels["tags"] = tuple(given.get("tags", ()))
    return Row(given["subject"], f"{given['subject']}\n{TURN}\n{given['text']}", labels)
