from __future__ import annotations

from collections import Counter

from triage.learning import starter
from triage.pipeline.types import EFFORTS, MAX_TAGS, PRIORITIES, SENTIMENTS, SEVERITIES, TIERS


def test_it_covers_every_kind_of_ticket() -> None:
    rows = starter.rows()
    assert len(rows) >= 300
    categories = Counter(row.labels["category"] for row in rows)
    assert min(categories.values()) >= 20
    assert len(categories) == 9


def test_its_labels_are_values_that_exist() -> None:
    closed = {"priority": PRIORITIES, "tier": TIERS, "severity": SEVERITIES, "effort": EFFORTS, "sentiment": SENTIMENTS}
    for row in starter.rows():
        for name, values in closed.items():
            assert row.labels[name] in values  # type: ignore[index]
        assert isinstance(row.labels["is_technical"], bool)
        tags = row.labels["tags"]
        assert isinstance(tags, tuple)
        assert len(tags) <= MAX_TAGS


def test_no_text_stands_there_twice() -> None:
    assert max(Counter(row.text for row in starter.rows()).values()) == 1
