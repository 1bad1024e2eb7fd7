from __future__ import annotations

import numpy as np

from triage.embedding import embed, inner
from triage.learning import names
from triage.learning.fit import Example, fit
from triage.learning.names import named


def test_a_value_that_is_called_something_becomes_a_text() -> None:
    found = named("category", ["card_arrival", "CardArrival", "17", "P1", None, True])
    assert [(one.text, dict(one.labels)) for one in found] == [
        ("card arrival", {"category": "card_arrival"}),
        ("Card Arrival", {"category": "CardArrival"}),
    ]
    assert np.allclose(found[0].vector, embed("card arrival"))


def test_thousands_of_values_are_ids_and_not_names() -> None:
    assert named("customer", [f"customer {number}" for number in range(names._AT_MOST + 1)]) == []


def _few() -> list[Example]:
    """Two values, known by one text each that says little."""
    texts = {"password_reset": "it does not let me in", "late_delivery": "nothing has come so far"}
    return [Example(text, embed(text), {"kind": kind}) for kind, text in texts.items() for _ in range(2)]


def test_names_are_learned_from_where_texts_are_few() -> None:
    def lead(known: list[Example]) -> float:
        weights = fit(_few(), ["kind"], known).weights
        (head,) = weights.heads
        text = "please reset my password"
        scores = dict(zip(head.values, weights.scores(text, embed(text), inner(text))[0], strict=True))
        return float(scores["password_reset"] - scores["late_delivery"])

    assert lead(named("kind", ["password_reset", "late_delivery"])) > 1.5 * lead([])


def test_nothing_is_measured_on_names_and_no_word_comes_from_them() -> None:
    examples = [*_few(), *_few()]
    fitted = fit(examples, ["kind"], named("kind", ["password_reset", "late_delivery"]))
    (head,) = fitted.weights.heads
    assert (head.texts, len(fitted.held_out["kind"].truth)) == (len(examples), len(examples))
    assert not {"password", "reset", "late", "delivery"} & set(fitted.weights.words.words)


def test_the_name_of_a_value_that_nothing_has_teaches_nothing() -> None:
    (head,) = fit(_few(), ["kind"], named("kind", ["password_reset", "telescope"])).weights.heads
    assert head.values == ("late_delivery", "password_reset")
