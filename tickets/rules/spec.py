"""What a rule says, as it is stored: checked when it is made, and again whenever it is loaded."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tickets.models.event import TRACKED
from tickets.rules import patterns
from tickets.rules.facts import FACTS, Kind

When = Literal["created", "triaged", "changed", "idle"]
WHEN: dict[str, str] = {
    "created": "A ticket came in",
    "triaged": "It was read",
    "changed": "It was changed",
    "idle": "Nothing happened for a while",
}
OPS: dict[Kind, dict[str, str]] = {
    "choice": {"is": "is", "is_not": "is not", "set": "is known", "unset": "is not known"},
    "person": {"is": "is", "is_not": "is not", "set": "is somebody", "unset": "is nobody"},
    "tags": {"has": "have", "has_not": "have not", "unset": "are none"},
    "text": {"contains": "contains", "contains_not": "does not contain", "matches": "matches the expression"},
    "address": {
        "is": "is",
        "is_not": "is not",
        "contains": "contains",
        "matches": "matches the expression",
        "unset": "is not known",
    },
    "number": {"over": "is over", "under": "is under"},
    "yes_no": {"yes": "is yes", "no": "is no"},
    "changed": {"has": "is among"},
}
WITHOUT_VALUE = ("set", "unset", "yes", "no")
_NOT_ASKED = ("number", "error", "deleted_at", "merged_into", "spam")
CHANGEABLE = tuple(name for name in TRACKED if name not in _NOT_ASKED)
MOST_CONDITIONS, MOST_DEEDS, MOST_VALUES = 20, 10, 50


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_max_length=2_000)


class Condition(_Frozen):
    """`values` are alternatives: one of them is enough."""

    fact: str
    op: str
    values: tuple[str, ...] = Field(default=(), max_length=MOST_VALUES)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        fact = FACTS.get(self.fact)
        if fact is None:
            raise ValueError(f"A rule cannot ask for \u201c{self.fact}\u201d")
        if self.op not in OPS[fact.kind]:
            raise ValueError(f"{fact.word} cannot be compared so")
        if self.op in WITHOUT_VALUE:
            return self
        if not self.values:
            raise ValueError(f"{fact.word}: say with what it is compared")
        for value in self.values:
            _check(fact.word, fact.kind, self.op, value, fact.choices)
        return self


def _check(word: str, kind: Kind, op: str, value: str, choices: Any) -> None:
    if op == "matches":
        try:
            patterns.compiled(value)
        except patterns.BadPattern as wrong:
            raise ValueError(f"{word}: {wrong}") from wrong
    if kind == "number":
        try:
            float(value)
        except ValueError:
            raise ValueError(f"{word}: {value!r} is not a number") from None
    if choices is not None and value not in choices:
        raise ValueError(f"{word} cannot be \u201c{value}\u201d")
    if kind == "changed" and value not in CHANGEABLE:
        raise ValueError(f"\u201c{value}\u201d does not change")


class Deed(_Frozen):
    """One thing that a rule does: a key of tickets.actions.deeds.DEEDS, with what it needs."""

    do: str
    field: str = ""
    values: tuple[str, ...] = Field(default=(), max_length=MOST_VALUES)
    text: str = Field(default="", max_length=1_000)


class RuleSpec(_Frozen):
    when: When
    idle_minutes: int | None = Field(default=None, ge=1, le=525_600)
    match: Literal["all", "any"] = "all"
    conditions: tuple[Condition, ...] = Field(default=(), max_length=MOST_CONDITIONS)
    deeds: tuple[Deed, ...] = Field(min_length=1, max_length=MOST_DEEDS)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if (self.when == "idle") != (self.idle_minutes is not None):
            raise ValueError("A rule for idle tickets says after how many minutes, and no other does")
        if self.when != "changed" and any(one.fact in ("changed", "by") for one in self.conditions):
            raise ValueError("What changed, and by whom, is known only to a rule for changes")
        return self
