from __future__ import annotations

from typing import Any

from triage.engines.cascade import MODEL_CAP, best, joined_tags, needs_model, needs_rules, unsure_fields
from triage.pipeline.types import FIELDS, Band, EngineName, FieldName, FieldReading


def reading(value: Any, confidence: float, engine: EngineName = "local", band: Band = "suggest") -> FieldReading:
    return FieldReading(value, confidence, f"{engine} says so.", engine, band)


Fields = dict[FieldName, FieldReading]
DECISIVE: tuple[FieldName, ...] = ("category", "priority", "team")
SURE: Fields = {name: reading("x", 0.97, band="apply") for name in DECISIVE}


def test_the_model_is_asked_unless_local_may_apply_every_decisive_field() -> None:
    assert not needs_model(SURE)
    assert needs_model({**SURE, "team": reading("x", 0.97)})
    assert needs_model({name: one for name, one in SURE.items() if name != "team"})
    assert needs_model({})


def test_a_call_asks_for_what_local_may_not_apply_and_nothing_else() -> None:
    local: Fields = {**SURE, "team": reading("x", 0.6), "tier": reading(2, 0.5)}
    asked = unsure_fields(local, language_confidence=0.99)
    assert not {"category", "priority", "language"} & set(asked)
    assert {"team", "tier", "severity", "tags", "summary"} <= set(asked)
    assert unsure_fields({}, language_confidence=0.2) == FIELDS


def test_rules_are_asked_where_nothing_is_better_than_a_guess() -> None:
    assert not needs_rules(SURE)
    assert needs_rules({**SURE, "category": reading("x", 0.3)})
    assert needs_rules({})


def test_local_keeps_what_it_may_apply() -> None:
    chosen = best(local=SURE, model={"category": reading("y", 0.99, "model")}, rules={})
    assert chosen["category"] == SURE["category"]


def test_the_model_takes_what_local_is_unsure_of_and_never_applies() -> None:
    said: Fields = {"category": reading("y", 1.0, "model", "apply")}
    chosen = best(local={"category": reading("x", 0.6)}, model=said, rules={})["category"]
    assert (chosen.value, chosen.engine, chosen.band, chosen.confidence) == ("y", "model", "suggest", MODEL_CAP)


def test_agreement_is_said_and_counts() -> None:
    chosen = best(local={"category": reading("x", 0.8)}, model={"category": reading("x", 0.5, "model")}, rules={})
    assert chosen["category"].confidence == 0.8
    assert chosen["category"].reason == "model says so. The local engine agrees."


def test_rules_are_last() -> None:
    rules: Fields = {"category": reading("r", 0.8, "rules"), "team": reading("r", 0.7, "rules")}
    local: Fields = {"category": reading("x", 0.5), "team": reading("x", 0.2)}
    chosen = best(local=local, model={}, rules=rules)
    assert (chosen["category"].engine, chosen["team"].engine) == ("local", "rules")
    assert best(local={}, model={}, rules=rules) == rules
    weak: Fields = {"team": reading("r", 0.3, "rules")}
    assert best(local={"team": reading("x", 0.2)}, model={}, rules=weak)["team"].engine == "local"


def test_tags_of_words_come_before_tags_of_likeness() -> None:
    words = reading(("vpn", "outage"), 0.4, "rules")
    like = reading(("outage", "wifi", "cable", "switch", "router"), 0.6)
    joined = joined_tags(words, like)
    assert joined.value == ("vpn", "outage", "wifi", "cable", "switch")
    assert joined.confidence == 0.4
    assert joined_tags(words, None) == words
