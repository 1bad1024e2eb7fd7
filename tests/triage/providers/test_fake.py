"""The server that stands in for the Messages API: the tests of everything else lean on what it says."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from triage.providers.fake import FakeMessagesAPI

SCHEMA = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "bug"]},
        "component": {"enum": ["api", None]},
        "urgent": {"type": "boolean"},
        "nested": {"type": "object", "properties": {"confidence": {"type": "number"}}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "language": {"type": "string"},
    },
}


def ask(server: FakeMessagesAPI, text: str, **more: Any) -> httpx2.Response:
    body = {"model": "claude-haiku-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": text}], **more}
    return httpx2.post(f"{server.base_url}/v1/messages", json=body)


def structured(server: FakeMessagesAPI, text: str) -> Any:
    answer = ask(server, text, output_config={"format": {"type": "json_schema", "schema": SCHEMA}}).json()
    return json.loads(answer["content"][0]["text"])


def test_it_answers_by_the_schema_and_by_the_text() -> None:
    with FakeMessagesAPI() as server:
        billing = structured(server, "There is a second charge on my invoice.")
        bug = structured(server, "The page shows an error, then a crash.")
        assert (billing["category"], bug["category"]) == ("billing", "bug")
        assert isinstance(bug["urgent"], bool) and bug["language"] == "en" and bug["tags"]
        assert 0.75 <= bug["nested"]["confidence"] < 1
        assert structured(server, "The page shows an error, then a crash.") == bug


def test_it_reads_the_fenced_ticket_and_not_the_instructions_around_it() -> None:
    mark = "0123456789abcdef"
    with FakeMessagesAPI() as server:
        prompt = f"An invoice is billing.\n=== ticket {mark} ===\nIt has an error.\n=== end of ticket {mark} ==="
        assert structured(server, prompt)["category"] == "bug"


def test_it_writes_prose_without_a_schema() -> None:
    with FakeMessagesAPI() as server:
        answer = ask(server, "The printer smokes").json()
        assert answer["content"][0]["text"].startswith("Hello,") and answer["usage"]["output_tokens"] > 20


def test_it_follows_its_script_and_then_its_habit() -> None:
    with FakeMessagesAPI() as server:
        server.script("overloaded", "ok")
        server.always("unpaid")
        assert [ask(server, "x").status_code for _ in range(4)] == [529, 200, 402, 402]
        with pytest.raises(ValueError, match="no fault"):
            server.script("nonsense")


def test_it_counts_what_is_in_flight_and_keeps_what_was_sent() -> None:
    with FakeMessagesAPI(latency=0.3) as server, ThreadPoolExecutor(4) as crowd:
        list(crowd.map(lambda number: ask(server, str(number)), range(4)))
        assert server.most_in_flight == 4 and server.in_flight == 0
        assert sorted(body["messages"][0]["content"] for body in server.bodies) == ["0", "1", "2", "3"]


def test_it_ends_at_once_although_a_request_hangs() -> None:
    with ThreadPoolExecutor(1) as crowd:
        with FakeMessagesAPI() as server:
            server.always("hang")
            hanging = crowd.submit(ask, server, "x")
            while not server.bodies:
                time.sleep(0.01)
        with pytest.raises(httpx2.HTTPError):
            hanging.result(5)


def test_it_runs_as_a_command_and_takes_its_script_over_http() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "triage.providers.fake", "--port", str(port), "--always", "refusal"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
            assert httpx2.post(f"{url}/v1/messages", json=body).json()["stop_reason"] == "refusal"
            httpx2.post(f"{url}/script", json={"faults": ["error"], "always": "ok", "latency": 0})
            assert httpx2.post(f"{url}/v1/messages", json=body).status_code == 500
            assert httpx2.post(f"{url}/v1/messages", json=body).status_code == 200
            assert httpx2.get(f"{url}/stat").json()["requests"] == 3
        finally:
            process.terminate()
