"""Each field, read from texts that the fit has not seen: well above giving any value blindly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from triage.engines.local import LocalEngine
from triage.learning import starter
from triage.learning.fit import fit
from triage.learning.payload import FIELDS, starter_examples
from triage.pipeline.types import Inquiry, Taxonomy, Turn

Ahead = Callable[[str], float]


@pytest.fixture(scope="module")
def ahead(taxonomy: Taxonomy) -> Ahead:
    """Of a field: the mean recall of its values on a quarter that was not fitted on, less what one blind value gets."""
    examples, rows = starter_examples(), starter.rows()
    order = np.random.default_rng(23).permutation(len(rows))
    held, known = order[: len(order) // 4], order[len(order) // 4 :]
    engine = LocalEngine(fit([examples[row] for row in known], FIELDS).weights, "three quarters")
    readings = []
    for row in held:
        title, text = rows[row].text.split("\f")
        readings.append(engine.read(Inquiry(title, (Turn("customer", text),)), examples[row].vector, taxonomy))

    def of(name: str) -> float:
        truth: list[Any] = [rows[row].labels[name] for row in held]
        right: dict[Any, list[bool]] = defaultdict(list)
        for reading, value in zip(readings, truth, strict=True):
            right[value].append(reading[name].value == value)  # type: ignore[index]
        return float(np.mean([np.mean(hits) for hits in right.values()])) - 1 / len(right)

    return of


def test_the_category_is_read(ahead: Ahead) -> None:
    assert ahead("category") > 0.5


def test_the_priority_is_read(ahead: Ahead) -> None:
    assert ahead("priority") > 0.15


def test_the_team_is_read(ahead: Ahead) -> None:
    assert ahead("team") > 0.4


def test_the_tier_is_read(ahead: Ahead) -> None:
    assert ahead("tier") > 0.25


def test_the_severity_is_read(ahead: Ahead) -> None:
    assert ahead("severity") > 0.2


def test_the_component_is_read(ahead: Ahead) -> None:
    assert ahead("component") > 0.4


def test_the_sentiment_is_read(ahead: Ahead) -> None:
    assert ahead("sentiment") > 0.1


def test_the_effort_is_read(ahead: Ahead) -> None:
    assert ahead("effort") > 0.1


def test_whether_it_is_technical_is_read(ahead: Ahead) -> None:
    assert ahead("is_technical") > 0.2
