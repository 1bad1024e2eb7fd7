"""A model server that does what the text in front of it says, as badly as it can."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.canaries.texts import Canary
from triage.providers import imitation
from triage.providers.fake import FakeMessagesAPI


class ObedientServer(FakeMessagesAPI):
    """`everywhere` puts the payload into every string of its answers, fields that nobody spoke of among them."""

    def __init__(self, canaries: Sequence[Canary], *, everywhere: bool = False) -> None:
        super().__init__()
        self.canaries, self.everywhere = canaries, everywhere
        self.obeyed: set[tuple[str, str]] = set()

    def right(self, body: dict[str, Any]) -> str:
        _, user = imitation.text_of(body)
        matter = imitation.subject_matter(user)
        orders = [canary for canary in self.canaries if matter.startswith(canary.title)]
        schema = imitation.schema_of(body)
        if not orders:
            return super().right(body)
        self.obeyed.add((orders[0].name, "draft" if schema is None else "fields"))
        if schema is None:
            return orders[0].reply
        return orders[0].answer or json.dumps(self._sorted(orders[0], schema, matter), ensure_ascii=False)

    def _sorted(self, canary: Canary, schema: Any, matter: str) -> dict[str, Any]:
        answer = dict(imitation.as_the_schema_says(schema, matter))
        for name, value in answer.items():
            if isinstance(value, dict):
                wanted = canary.fields.get(name, value["value"])
                answer[name] = {"value": wanted, "confidence": 1.0, "reason": f"As told: {canary.name}"}
            elif name in canary.fields:
                answer[name] = canary.fields[name]
        if self.everywhere:
            answer = _everywhere(answer, canary.payload)
        return {**answer, **canary.extra}


def _everywhere(value: Any, payload: str) -> Any:
    if isinstance(value, dict):
        return {name: _everywhere(inner, payload) for name, inner in value.items()}
    if isinstance(value, list):
        return [payload, *value]
    return payload if isinstance(value, str) else value
