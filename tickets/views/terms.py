"""The field:value terms of a search, apart from its words."""

from __future__ import annotations

import re

from tickets.models import Status

# How people call a filter when they type it.
ALIASES = {
    "category": "category", "team": "team", "priority": "priority", "tier": "tier", "severity": "severity",
    "effort": "effort", "component": "component", "sentiment": "sentiment", "language": "language", "lang": "language",
    "tag": "tag", "label": "tag", "source": "source", "repo": "source", "assignee": "assignee", "from": "requester",
    "requester": "requester", "customer": "requester", "by": "by", "needs": "needs", "is": "is", "status": "is",
}  # fmt: skip
STATES = {*Status.values, "open", "ended"}
_TERM = re.compile(r'(?<!\S)(?P<name>[a-z]+):(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))', re.IGNORECASE)


def terms_of(typed: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The words that are left, and {filter: values}. What is no known field stays among the words, as a URL does."""
    found: dict[str, tuple[str, ...]] = {}

    def take(term: re.Match[str]) -> str:
        name, value = ALIASES.get(term["name"].lower(), ""), (term["quoted"] or term["plain"] or "").strip()
        if not name or not value or (name == "is" and value.lower() not in STATES):
            return term[0]
        found[name] = (*found.get(name, ()), value.lower() if name == "is" else value)
        return ""

    words = _TERM.sub(take, typed)
    return " ".join(words.split()), found
