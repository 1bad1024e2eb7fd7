"""Message Batches on this machine: the fake Messages API, with its batch endpoints.

    with FakeBatchesAPI() as server:
        ...                        # POST /v1/messages/batches
        server.finish()            # every batch ends; until then they are in progress
        server.becomes["odd"] = "expired"   # what becomes of requests whose text holds a word

A fault scripted by `server.batch_script("reset_after", …)` meets the next creations: `reset_after` keeps the batch and
ends the connection before it says so.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from triage.providers import imitation
from triage.providers.fake import FAULTS, Exchange, FakeMessagesAPI

PATH = "/v1/messages/batches"


class FakeBatchesAPI(FakeMessagesAPI):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.batches: dict[str, dict[str, Any]] = {}
        self.requests: dict[str, list[dict[str, Any]]] = {}
        self.becomes: dict[str, str] = {}
        self.says: dict[str, str] = {}
        self._batch_numbers = itertools.count(1)
        self._batch_faults: deque[str] = deque()

    def batch_script(self, *faults: str) -> None:
        """What the next creations of a batch meet, one each: a fault of the Messages API, or `reset_after`."""
        self._batch_faults.extend(faults)

    def finish(self) -> None:
        """All batches end: those being cancelled unanswered, the others as `becomes` and `says` have it."""
        for name, batch in self.batches.items():
            if batch["processing_status"] == "ended":
                continue
            kinds = [self._fate(request, batch) for request in self.requests[name]]
            counted = {kind: kinds.count(kind) for kind in ("succeeded", "errored", "canceled", "expired")}
            batch |= {
                "processing_status": "ended",
                "ended_at": _now(),
                "request_counts": {"processing": 0, **counted},
                "results_url": f"{self.base_url}{PATH}/{name}/results",
            }

    async def _answer(self, method: str, path: str, headers: Any, body: dict[str, Any], writer: Any) -> None:
        bare, _, query = path.partition("?")
        if not bare.startswith(PATH):
            await super()._answer(method, path, headers, body, writer)
            return
        exchange = Exchange(self, writer, body)
        parts = bare.removeprefix(PATH).strip("/").split("/")
        if parts == [""]:
            await (self._create(exchange) if method == "POST" else self._list(exchange, query))
        elif parts[0] not in self.batches:
            await exchange.refuse(404, "not_found_error", f"no batch {parts[0]}")
        elif parts[1:] == ["results"]:
            await self._results(exchange, parts[0])
        else:
            batch = self.batches[parts[0]]
            if parts[1:] == ["cancel"] and batch["processing_status"] == "in_progress":
                batch |= {"processing_status": "canceling", "cancel_initiated_at": _now()}
            await exchange.send(200, batch)

    async def _create(self, exchange: Exchange) -> None:
        fault = self._batch_faults.popleft() if self._batch_faults else "ok"
        if fault not in ("ok", "reset_after"):
            await FAULTS[fault](exchange, "")
            return
        batch = self.add(exchange.body["requests"])
        if fault == "reset_after":
            await FAULTS["reset"](exchange, "")
        else:
            await exchange.send(200, batch)

    def add(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        """Keep a batch of these, as if somebody had sent it."""
        name = f"msgbatch_{next(self._batch_numbers)}"
        self.requests[name] = requests
        self.batches[name] = {
            "id": name,
            "type": "message_batch",
            "processing_status": "in_progress",
            "created_at": _now(),
            "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
            "request_counts": {"processing": len(requests), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
            "ended_at": None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": None,
        }
        return self.batches[name]

    async def _list(self, exchange: Exchange, query: str) -> None:
        given = dict(part.split("=", 1) for part in query.split("&") if "=" in part)
        newest = list(reversed(self.batches.values()))
        names = [batch["id"] for batch in newest]
        begin = names.index(given["after_id"]) + 1 if given.get("after_id") in names else 0
        page = newest[begin : begin + int(given.get("limit", 20))]
        await exchange.send(
            200,
            {
                "data": page,
                "has_more": begin + len(page) < len(newest),
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
            },
        )

    async def _results(self, exchange: Exchange, name: str) -> None:
        lines = [self._line(request, self.batches[name]) for request in reversed(self.requests[name])]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        await exchange.send(200, text.encode(), {"content-type": "application/x-jsonl"})

    def _fate(self, request: dict[str, Any], batch: dict[str, Any]) -> str:
        if batch.get("cancel_initiated_at"):
            return "canceled"
        _, user = imitation.text_of(request["params"])
        return next((fate for word, fate in self.becomes.items() if word in user), "succeeded")

    def _line(self, request: dict[str, Any], batch: dict[str, Any]) -> dict[str, Any]:
        fate = self._fate(request, batch)
        result: dict[str, Any] = {"type": fate}
        if fate == "errored":
            error = {"type": "invalid_request_error", "message": "no such thing"}
            result["error"] = {"type": "error", "error": error, "request_id": None}
        elif fate == "succeeded":
            result["message"] = self._message_of(request["params"])
        return {"custom_id": request["custom_id"], "result": result}

    def _message_of(self, params: dict[str, Any]) -> dict[str, Any]:
        _, user = imitation.text_of(params)
        text = next((said for word, said in self.says.items() if word in user), None) or self.right(params)
        return {
            "id": f"msg_{next(self.numbers)}",
            "type": "message",
            "role": "assistant",
            "model": params["model"],
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {**self._usage(params), "output_tokens": imitation.tokens(text)},
        }


def _now() -> str:
    return datetime.now(UTC).isoformat()
