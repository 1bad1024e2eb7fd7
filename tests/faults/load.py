"""People at work through the API: one sends tickets, one approves replies. Each knows what it was promised."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.running import RunningDesk

SUBJECT = "The invoice shows a wrong amount"


@dataclass
class Load:
    """Tickets that were acknowledged (number by idempotency key), and those whose reply was approved."""

    desk: RunningDesk
    name: str
    key: str
    tickets: dict[str, int] = field(default_factory=dict)
    approved: set[int] = field(default_factory=set)
    surprises: list[str] = field(default_factory=list)
    refusals: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._approve)]
        for thread in self._threads:
            thread.start()

    def ebb(self) -> None:
        """No new work from now on; what is under way is asked for until it is acknowledged."""
        self._stop.set()

    def stop(self) -> None:
        """Ebb, and wait until everything asked for is acknowledged."""
        self.ebb()
        for thread in self._threads:
            thread.join(60)

    def _insist(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Ask until somebody answers with sense: no connection and 5xx are asked again, like a client would."""
        while True:
            try:
                status, answer = self.desk.api(method, path, self.key, body, **headers)
                if status < 500:
                    return status, answer
            except (OSError, ValueError):  # refused, reset, or cut off in the middle of the answer
                pass
            self.refusals += 1
            threading.Event().wait(0.3)

    def _send(self) -> None:
        for number in count(1):
            if self._stop.wait(0.15):
                return
            key = f"{self.name}-{number:05}"
            body = {
                "title": f"{SUBJECT} ({number})",
                "description": "We were charged twice for one seat in March. Please correct the invoice.",
                "requester": {"email": f"{key}@example.com"},
            }
            status, stored = self._insist("POST", "/tickets", body, **{"Idempotency-Key": key})
            if status in (200, 201):
                self.tickets[key] = stored["number"]
            else:
                self.surprises.append(f"{key}: {status} {stored}")

    def _approve(self) -> None:
        done: set[int] = set()
        while not self._stop.wait(0.4):
            waiting = [number for number in list(self.tickets.values()) if number not in done]
            for number in waiting[:3]:
                status, ticket = self._insist("GET", f"/tickets/{number}")
                if status != 200 or ticket["triage_state"] != "triaged" or not ticket["draft"]:
                    continue
                done.add(number)
                # 409 to a request that was asked again: the first one was stored, only its answer got lost.
                status, answer = self._insist("POST", f"/tickets/{number}/approval", {"text": ticket["draft"]["text"]})
                if status in (201, 409):
                    self.approved.add(number)
                else:
                    self.surprises.append(f"approval of {number}: {status} {answer}")
