from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.triage.conftest import Write
from triage.embedding import clean
from triage.engines.rules import _PRIOR, DATA, Rules, _measure, _plain, load
from triage.learning import starter
from triage.learning.calibrate import calibration_error
from triage.pipeline.types import SEVERITIES, TIERS, FieldName, Taxonomy


@pytest.fixture
def small() -> Rules:
    return Rules(
        {
            "category": [
                {"value": "billing", "any": ["refund", "invoice*"], "weight": 2.0},
                {"value": "bug", "any": ["does not work", "crash"]},
            ],
            "tags": [{"value": "invoice", "any": ["invoice", "invoices"]}],
            "policy": [{"any": ["lawyer"], "reason": "Mentions a lawyer."}],
            "asked_for_human": {"any": ["real person"], "reason": "Asks for a person."},
        }
    )


def test_a_keyword_counts_as_a_whole_word_only(small: Rules) -> None:
    assert small.match("category", "the refunding was prefunded") is None
    assert small.match("category", "a refund, please") is not None


def test_a_term_with_a_star_begins_longer_words(small: Rules) -> None:
    match = small.match("category", "two invoices")
    assert match is not None
    assert match.words == ("invoices",)


def test_words_of_a_term_may_stand_on_two_lines(small: Rules) -> None:
    match = small.match("category", "it does\nnot   work")
    assert match is not None
    assert match.value == "bug"


def test_the_heavier_side_wins(small: Rules) -> None:
    match = small.match("category", "refund, for the app does not work")
    assert match is not None
    assert match.value == "billing"


def test_the_reason_names_the_words(write: Write, taxonomy: Taxonomy) -> None:
    readings = load().read(write("Refund", "I was charged twice, please refund invoice 12"), taxonomy)
    assert readings["category"].value == "billing"
    assert "“refund”" in readings["category"].reason
    assert readings["category"].engine == "rules"


def test_confidence_is_what_the_rules_achieved_on_the_starter_set(write: Write, taxonomy: Taxonomy) -> None:
    strong = load().read(write("Locked out", "password reset mail never comes, I am locked out"), taxonomy)["category"]
    weak = load().read(write("Thing", "can i get an error on my invoice or how do i install the docs"), taxonomy)
    assert 0.5 < strong.confidence < 1
    assert all(0 < reading.confidence < strong.confidence for name, reading in weak.items() if name == "category")


def test_a_team_without_words_is_the_usual_one_of_its_category(write: Write, taxonomy: Taxonomy) -> None:
    rules = Rules({"category": [{"value": "access", "any": ["shut out"]}]})
    readings = rules.read(write("Help", "I am shut out"), taxonomy)
    assert readings["team"].value == "security"
    assert readings["team"].confidence <= readings["category"].confidence


def test_policy_words_and_the_wish_for_a_person_give_their_reasons(small: Rules) -> None:
    assert small.policy("My LAWYER wants a real person") == (
        "Asks for a person. (Words: “real person”.)",
        "Mentions a lawyer. (Words: “lawyer”.)",
    )
    assert small.policy("nothing of the kind") == ()


def test_typographic_apostrophes_match_plain_ones() -> None:
    rules = Rules({"category": [{"value": "bug", "any": ["doesn't work"]}]})
    assert rules.match("category", "it doesn't work") is not None
    assert Rules({"policy": [{"any": ["doesn't"], "reason": "No."}]}).policy("it doesn’t") != ()


def test_the_rules_that_ship_hold_only_values_that_exist(taxonomy: Taxonomy) -> None:
    data = json.loads(DATA.read_text())
    closed: dict[FieldName, tuple[object, ...]] = {"severity": SEVERITIES, "tier": TIERS}
    for name in ("category", "team", "priority", "sentiment", "is_technical"):
        values = taxonomy.values(name)
        assert values is not None
        closed[name] = values
    for name, values in closed.items():
        assert {row["value"] for row in data[name]} <= set(values)


def test_tags_are_those_whose_words_stand_there(small: Rules) -> None:
    reading = small.tags("Both invoices are wrong")
    assert reading is not None
    assert reading.value == ("invoice",)
    assert small.tags("nothing") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Ich verlange eine Rückerstattung.", "money back"),
        ("Je demande un remboursement immédiat", "money back"),
        ("Quiero que me devuelvan: ¡reembolso ya!", "money back"),
        ("我要退款", "money back"),
        ("Mein Anwalt wird sich melden", "legal action"),
        ("Nous préparons une mise en demeure", "legal action"),
        ("Nadie puede trabajar desde las nueve", "unable to work"),
        ("Nach der DSGVO bitte ich um Auskunft", "Data protection"),
        ("担当者と話したいです", "asked for a person"),
        ("Vorrei parlare con una persona", "asked for a person"),
    ],
)
def test_policy_words_are_known_in_several_languages(text: str, reason: str) -> None:
    assert any(reason in found for found in load().policy(text))


@pytest.mark.parametrize(
    "text", ["The nonrefundable ticket", "Die Klagenfurter Anwaltschaftsliste", "prefundable", "an exploitation plan"]
)
def test_a_policy_word_inside_another_word_is_none(text: str) -> None:
    assert load().policy(text) == ()


def test_confidence_can_be_believed_on_texts_that_it_was_not_measured_on() -> None:
    """Five folds of the starter set: the precision of four against the hits in the fifth."""
    rules, rows = Rules(json.loads(DATA.read_text())), starter.rows()
    order = np.random.default_rng(3).permutation(len(rows))
    found: dict[Any, list[tuple[float, float]]] = {name: [] for name in rules.fields}
    for fold in range(5):
        precision = _measure(rules, [rows[row] for at, row in enumerate(order) if at % 5 != fold])
        for row in order[fold::5]:
            words = _plain(clean(rows[row].text))
            for name in rules.fields:
                match = rules.match(name, words)
                if match is not None and name in rows[row].labels:
                    right = float(rows[row].labels[name] == match.value)
                    found[name].append((precision.get((name, match.strength), _PRIOR), right))
    everything = np.array([pair for pairs in found.values() for pair in pairs])
    assert len(everything) > 2_000
    assert calibration_error(*everything.T) < 0.04
    for name in ("category", "team"):
        assert calibration_error(*np.array(found[name]).T) < 0.06
