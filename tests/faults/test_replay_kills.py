"""A comparison whose workers are killed under it: every ticket is compared once, and nothing stays behind."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.processes import find
from tests.running import running_desk, wait_for
from triage.providers.fake_batches import FakeBatchesAPI


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_every_ticket_is_compared_once_whoever_is_killed(open_folder_factory: Callable[[], Path]) -> None:
    chance = random.Random(7)
    with (
        FakeBatchesAPI() as model,
        running_desk(open_folder_factory(), ANTHROPIC_BASE_URL=model.base_url, ANTHROPIC_API_KEY="test-key") as desk,
    ):

        def one(query: str) -> Any:
            return desk.rows(query)[0][0]

        waiting = "SELECT count(*) FROM tickets_ticket WHERE triage_state IN ('submitted', 'processing')"
        wait_for(lambda: one(waiting) == 0, seconds=240, what="the demo tickets are read")
        suggestions = one("SELECT count(*) FROM tickets_suggestion")
        model.latency = 3.0
        desk.manage("reprocess", "--shadow", "--engine", "model", "--no-wait", "--limit", "30", "--yes")
        reading = "SELECT count(*) FROM tickets_replayticket WHERE state = 'reading'"
        for _ in range(3):
            wait_for(lambda: one(reading) > 0, seconds=60, what="a worker compares")
            time.sleep(chance.uniform(0.2, 2))
            for _ in range(4):  # two clusters, two workers each: whichever compares is among them
                if (victim := find(desk, "worker", chance)) is not None:
                    victim.kill()
        model.latency = 0.1
        open_rows = "SELECT count(*) FROM tickets_replayticket WHERE state NOT IN ('done', 'failed', 'skipped')"
        wait_for(lambda: one(open_rows) == 0, seconds=240, what="every row is settled")
        assert desk.rows("SELECT state, count(*) FROM tickets_replayticket GROUP BY state") == [("done", 30)]
        compared = "SELECT count(*), count(DISTINCT row_id) FROM tickets_comparison WHERE field = 'category'"
        assert desk.rows(compared) == [(30, 30)]
        assert one("SELECT count(*) FROM tickets_suggestion") == suggestions
        wait_for(lambda: one("SELECT state FROM tickets_replay") == "done", seconds=30, what="the replay is done")
