"""The form of a rule: rows of conditions and deeds that are added and taken away, with JavaScript or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from django.http import QueryDict

from tickets.actions.decided import CHOICES as CLOSED
from tickets.actions.deeds import DEEDS, TOLD
from tickets.actions.review import DECIDED_BY_PEOPLE
from tickets.models import Macro, Priority, Rule, Status, Tier, Webhook
from tickets.rules.facts import FACTS, Fact
from tickets.rules.spec import CHANGEABLE, MOST_CONDITIONS, MOST_DEEDS, OPS, WHEN, WITHOUT_VALUE
from tickets.views.choices import Choices

SETTABLE = tuple(name for name in DECIDED_BY_PEOPLE if name not in ("summary", "tags"))
UNITS = (("1", "minutes"), ("60", "hours"), ("1440", "days"))
TYPED = ("text", "address", "number", "tags")  # kinds whose values are written rather than chosen
Option = tuple[str, str, bool]  # key, word, whether it is set


@dataclass
class Line:
    """One condition or one deed as it stands in the form: `what` is its fact, or what it does."""

    what: str
    how: str = ""  # the comparison, or the field that is set
    values: list[str] = field(default_factory=list)
    text: str = ""


@dataclass
class RuleForm:
    """A rule while it is written: what is not understood yet stays as it was typed."""

    name: str = ""
    when: str = "triaged"
    idle: str = "60"
    unit: str = "60"
    match: str = "all"
    conditions: list[Line] = field(default_factory=list)
    deeds: list[Line] = field(default_factory=list)
    version: int | None = None

    @classmethod
    def empty(cls) -> Self:
        return cls(conditions=[Line("category", "is")], deeds=[Line("set", "priority")])

    @classmethod
    def of_rule(cls, rule: Rule) -> Self:
        said = rule.spec
        minutes = rule.idle_minutes or 3600
        unit = next(size for size in (1440, 60, 1) if minutes % size == 0)
        return cls(
            name=rule.name,
            when=said.get("when", "triaged"),
            idle=str(minutes // unit),
            unit=str(unit),
            match=said.get("match", "all"),
            conditions=[Line(one["fact"], one["op"], list(one["values"])) for one in said.get("conditions", ())],
            deeds=[Line(one["do"], one["field"], list(one["values"]), one["text"]) for one in said.get("deeds", ())],
            version=rule.version,
        )

    @classmethod
    def of(cls, form: QueryDict) -> Self:
        """As it was sent, with the row that `step` adds or takes away."""
        written = cls(
            name=_word(form, "name")[:80],
            when=_word(form, "when"),
            idle=_word(form, "idle"),
            unit=_word(form, "unit"),
            match=_word(form, "match"),
            conditions=_lines(form, "c", MOST_CONDITIONS),
            deeds=_lines(form, "d", MOST_DEEDS),
            version=int(given) if (given := _word(form, "version")).isdigit() and len(given) < 9 else None,
        )
        step, _, place = _word(form, "step").partition(":")
        lines = written.conditions if place.startswith("c") else written.deeds
        if step == "add":
            lines.append(Line("category", "is") if place == "c" else Line("tag"))
        elif step == "remove" and place[1:].isdigit() and int(place[1:]) < len(lines):
            del lines[int(place[1:])]
        return written

    @property
    def said(self) -> dict[str, Any]:
        """As tickets.actions.rules takes it."""
        idle = {}
        if self.when == "idle":
            whole = self.idle.isascii() and self.idle.isdigit() and len(self.idle) < 7
            idle = {"idle_minutes": int(self.idle) * int(self.unit) if whole and self.unit in dict(UNITS) else 0}
        return {
            "when": self.when,
            "match": self.match,
            **idle,
            "conditions": [{"fact": one.what, "op": one.how, "values": one.values} for one in self.conditions],
            "deeds": [{"do": one.what, "field": one.how, "values": one.values, "text": one.text} for one in self.deeds],
        }


def _word(form: QueryDict, name: str) -> str:
    return form.get(name, "").replace("\x00", "").strip()[:200]


def _lines(form: QueryDict, kind: str, most: int) -> list[Line]:
    lines = []
    for place in range(most + 1):
        what = _word(form, f"{kind}{place}-what")
        if not what:
            continue
        how = _word(form, f"{kind}{place}-how")
        given = [one.replace("\x00", "").strip()[:500] for one in form.getlist(f"{kind}{place}-value")]
        typed = form.get(f"{kind}{place}-typed", "").replace("\x00", "")[:2000]
        if typed.strip():
            # An expression may hold a comma; words are several.
            given = [typed.strip()] if how == "matches" else [one.strip() for one in typed.split(",")]
        text = form.get(f"{kind}{place}-text", "").replace("\x00", "").strip()[:1000]
        lines.append(Line(what, how, [one for one in given if one], text))
    return lines


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A row of the form with everything that its fields can be set to."""

    place: str
    what: str
    whats: list[Option]
    hows: list[Option]
    values: list[Option] = field(default_factory=list)
    typed: str | None = None
    hint: str = ""
    text: str | None = None
    text_word: str = ""
    one: bool = False  # only one value may be chosen
    wrong: bool = False


class Shower:
    """Draws the rows, with labels and people as there are now."""

    def __init__(self) -> None:
        self.known: dict[str, Mapping[str, str]] = dict(Choices.now().known)
        people = {key: word for key, word in self.known["assignee"].items() if key not in ("me", "nobody")}
        self.known["assignee"] = people

    def conditions(self, form: RuleForm, wrong: str = "") -> list[ShownLine]:
        return [self._condition(place, one, form.when, wrong) for place, one in enumerate(form.conditions)]

    def deeds(self, form: RuleForm, wrong: str = "") -> list[ShownLine]:
        return [self._deed(place, one, wrong) for place, one in enumerate(form.deeds)]

    def names(self) -> dict[tuple[str, str], str]:
        return {(fact, key): word for fact, values in self.known.items() for key, word in values.items()}

    def _condition(self, place: int, line: Line, when: str, wrong: str) -> ShownLine:
        fact = FACTS.get(line.what) or FACTS["category"]
        hows = OPS[fact.kind]
        how = line.how if line.how in hows else next(iter(hows))
        facts = [(key, one.word) for key, one in FACTS.items() if when == "changed" or key not in ("changed", "by")]
        values = [] if how in WITHOUT_VALUE else _options(self._choices(line.what, fact), line.values)
        typed = ", ".join(line.values) if fact.kind in TYPED and how not in WITHOUT_VALUE else None
        return ShownLine(
            place=f"c{place}",
            what=line.what,
            whats=_options(dict(facts), [line.what]),
            hows=_options(hows, [how]),
            values=values,
            typed=typed,
            hint=_hint(fact, how),
            wrong=wrong == f"conditions.{place}",
        )

    def _choices(self, name: str, fact: Fact) -> Mapping[str, str]:
        if fact.kind == "changed":
            return {key: key.replace("_", " ").removeprefix("is ").capitalize() for key in CHANGEABLE}
        return fact.choices or self.known.get(fact.label or name, {})

    def _deed(self, place: int, line: Line, wrong: str) -> ShownLine:
        shown: dict[str, Any] = {}
        if line.what == "set":
            how = line.how if line.how in SETTABLE else "priority"
            shown["hows"] = _options({name: _field_word(name) for name in SETTABLE}, [how])
            choices = self._settable(how)
            shown |= {"values": _options(choices, line.values)} if choices else {"typed": ", ".join(line.values)}
            shown |= {"one": True, "hint": "en" if how == "language" else ""}
        elif line.what in ("tag", "untag"):
            shown |= {"typed": ", ".join(line.values), "hint": "refund, invoice"}
        elif line.what == "assign":
            shown |= {"values": _options(self.known["assignee"], line.values), "one": True}
        elif line.what == "status":
            statuses = {key: str(word) for key, word in Status.choices if key not in ("new", "escalated")}
            shown |= {"values": _options(statuses, line.values), "one": True}
        elif line.what == "notify":
            told = {key: word.capitalize() for key, word in TOLD.items()}
            shown |= {"values": _options({**told, **self.known["assignee"]}, line.values)}
            shown |= {"text": line.text, "text_word": "What they are told"}
        elif line.what == "escalate":
            shown |= {"text": line.text, "text_word": "Why"}
        elif line.what == "webhook":
            hooks = {str(pk): name for pk, name in Webhook.objects.filter(active=True).values_list("pk", "name")}
            shown |= {"values": _options(hooks, line.values), "one": True, "hint": "" if hooks else "none"}
        elif line.what == "macro":
            shared = Macro.objects.active().exclude(scope=Macro.Scope.OWN).values_list("pk", "name")
            shown |= {"values": _options({str(pk): name for pk, name in shared}, line.values), "one": True}
            shown |= {"hint": "" if shown["values"] else "none"}
        whats = _options({key: one.word for key, one in DEEDS.items()}, [line.what])
        at = f"deeds.{place}"
        return ShownLine(
            place=f"d{place}", what=line.what, whats=whats, **{"hows": [], **shown}, wrong=wrong in (at, "deeds")
        )

    def _settable(self, name: str) -> Mapping[str, str]:
        if name in self.known:
            return self.known[name]
        if name == "priority":
            return {key: f"{key} {word}" for key, word in Priority.choices}
        if name == "is_technical":
            return {"true": "Yes", "false": "No"}
        closed = {"tier": Tier, **CLOSED}.get(name)
        return {str(key): str(word) for key, word in closed.choices} if closed else {}


def _options(choices: Mapping[str, str], chosen: Sequence[str]) -> list[Option]:
    """With what is set and not known any more, so that it can be seen and taken out."""
    gone = {one: f"{one} (gone)" for one in chosen if one not in choices} if choices else {}
    return [(key, word, key in chosen) for key, word in {**choices, **gone}.items()]


def _hint(fact: Fact, how: str) -> str:
    if how == "matches":
        return r"invoice\s+\d+"
    return {"text": "refund, charged twice", "tags": "vip, refund", "number": "48"}.get(fact.kind, "example.com")


def _field_word(name: str) -> str:
    return "Technical" if name == "is_technical" else name.capitalize()


def choices_of(form: RuleForm) -> dict[str, Any]:
    return {"whens": _options(WHEN, [form.when]), "units": [(key, word, key == form.unit) for key, word in UNITS]}
