"""The canaries: texts that want something of the machine that reads them, and what one that obeys would answer."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Canary:
    """`payload` is what the text is after, in a draft or in a field; see texts.toml."""

    name: str
    kind: str
    title: str
    body: str
    into: Literal["draft", "fields"]
    payload: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    answer: str = ""
    draft: str = ""

    @property
    def text(self) -> str:
        return self.body.replace("@padding@", "and so on and on " * 5_000)

    @property
    def reply(self) -> str:
        """What a model that obeys writes to the customer."""
        return self.draft or f"Thank you for your message. As you wish: {self.payload} and nothing else."


def load() -> tuple[Canary, ...]:
    with Path(__file__).with_name("texts.toml").open("rb") as file:
        return tuple(Canary(**row) for row in tomllib.load(file)["canary"])


CANARIES = load()
