"""What the fake server answers: an object that follows any schema, or prose, always the same for the same text."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

# Words that speak for a value, where its own name would not be found in a ticket.
SIGNS: dict[str, tuple[str, ...]] = {
    "bug": ("error", "crash", "broken", "fails", "failing", "exception", "wrong"),
    "feature_request": ("feature", "would be nice", "please add", "wish", "support for"),
    "question": ("how do", "how can", "is it possible", "what is", "?"),
    "documentation": ("docs", "documentation", "manual", "guide", "typo"),
    "billing": ("invoice", "charge", "refund", "payment", "paid", "subscription"),
    "account": ("profile", "username", "delete my account", "e-mail address"),
    "access": ("log in", "login", "sign in", "password", "locked", "permission"),
    "security": ("breach", "vulnerability", "phishing", "leak", "hacked"),
    "P1": ("outage", "down for everyone", "urgent", "data loss", "nobody can"),
    "P2": ("blocked", "cannot work", "deadline", "asap"),
    "P4": ("typo", "minor", "whenever", "thanks"),
    "negative": ("annoyed", "angry", "disappointed", "unacceptable", "terrible"),
    "positive": ("great", "love", "thank you"),
    "urgent": ("urgent", "immediately", "asap", "right now"),
}
# Without any sign: what most tickets are.
USUAL = ("other", "P3", "minor", "small", "neutral", 1, None)
_headings = re.compile(r"^(?:Subject: |\[(?:customer|agent)\]$|Priority the writer chose: .*$)", re.MULTILINE)
_fence = re.compile(
    r"=== (?:ticket|conversation) (\w{16}) ===\n(.*?)\n=== end of (?:ticket|conversation) \1 ===", re.DOTALL
)
_word = re.compile(r"[a-z][a-z-]{4,20}")


def subject_matter(prompt: str) -> str:
    """The text that the prompt is about: what stands in its last fence, or all of it."""
    fenced = _fence.findall(prompt)
    return _headings.sub("", str(fenced[-1][1])).strip() if fenced else prompt


def as_the_schema_says(schema: Mapping[str, Any], text: str, name: str = "") -> Any:
    """A value that follows the schema (one without references), chosen by what the text says."""
    if "const" in schema or "enum" in schema:
        return _chosen(schema.get("enum", [schema.get("const")]), text, name)
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return as_the_schema_says(schema[union][0], text, name)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        fields = schema.get("properties", {}).items()
        return {field: as_the_schema_says(inner, text, f"{name}.{field}" if name else field) for field, inner in fields}
    if kind == "array":
        return _tags(text) if name.endswith("tags") else [as_the_schema_says(schema.get("items", {}), text, name)]
    if kind == "boolean":
        return _drawn(text, name) % 2 == 0
    return None if kind == "null" else _number_or_words(str(kind), text, name)


def _number_or_words(kind: str, text: str, name: str) -> Any:
    if kind == "number":
        return 0.75 + _drawn(text, name) % 24 / 100
    if kind == "integer":
        return 1 + _drawn(text, name) % 3
    field = name.rpartition(".")[2]
    if field == "language":
        return "en"
    if field == "summary":
        return f"The writer asks about {', '.join(_tags(text)) or 'something'}."
    return "The text speaks of it."


def _chosen(values: list[Any], text: str, name: str) -> Any:
    lowered = text.lower()

    def said(value: Any) -> int:
        signs = (*SIGNS.get(str(value), ()), str(value).replace("_", " "))
        return sum(lowered.count(sign) for sign in signs) if isinstance(value, str) else 0

    best = max(values, key=said)
    usual = [value for value in values if value in USUAL and not isinstance(value, bool)]
    return best if said(best) else (usual or [values[_drawn(text, name) % len(values)]])[0]


def _tags(text: str) -> list[str]:
    return list(dict.fromkeys(_word.findall(text.lower())))[:3]


def _drawn(text: str, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{name}\n{text}".encode("utf-8", "replace")).digest()[:4])


def prose(text: str) -> str:
    """A reply as a support agent would begin one."""
    about = ", ".join(_tags(text)) or "your question"
    return (
        f"Hello,\n\nthank you for writing to us about {about}. We have looked at what you describe and understand that "
        "it gets in the way of your work.\n\nCould you tell us which version you use and what you did just before? "
        "With that, a colleague can look into it."
    )


def text_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """(system, user) of a request, whichever form they were sent in."""

    def flat(content: Any) -> str:
        if isinstance(content, str):
            return content
        return "\n".join(str(block.get("text", "")) for block in content or () if isinstance(block, dict))

    turns = body.get("messages") or []
    return flat(body.get("system")), "\n".join(flat(turn.get("content")) for turn in turns if isinstance(turn, dict))


def schema_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema asked for: in output_config, or at the end of the system prompt for servers that take none."""
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    if isinstance(schema, dict):
        return schema
    system, _ = text_of(body)
    at = system.rfind("JSON schema")
    start = system.find("{", at) if at >= 0 else -1
    if start < 0:
        return None
    found, _ = json.JSONDecoder().raw_decode(system, start)
    return found if isinstance(found, dict) else None


def tokens(text: str) -> int:
    """About as many as a tokenizer would make: 3.2 characters each."""
    return max(1, round(len(text) / 3.2)) if text else 0
