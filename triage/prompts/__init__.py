"""Prompts as text files, versioned with the code: the version of a prompt is the hash of its file."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Template

_DIRECTORY = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Prompt:
    name: str
    text: str
    version: str

    def fill(self, **values: str) -> str:
        """The text with `$names` replaced. Raises KeyError when one is missing."""
        return Template(self.text).substitute(values).strip()


@lru_cache
def load(name: str) -> Prompt:
    """The prompt of `<name>.md`."""
    text = (_DIRECTORY / f"{name}.md").read_text(encoding="utf-8")
    return Prompt(name, text, f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}")


def fenced(kind: str, text: str) -> str:
    """`text` between two lines that it cannot contain, for they carry a mark drawn by lot."""
    mark = secrets.token_hex(8)
    return f"=== {kind} {mark} ===\n{text}\n=== end of {kind} {mark} ==="
