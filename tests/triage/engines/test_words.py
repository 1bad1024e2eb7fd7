from __future__ import annotations

import numpy as np
import pytest

from triage.engines.words import fit_words, letter_groups, pieces

TEXTS = [
    "The printer on floor 3 is broken again",
    "the printer is out of toner",
    "A printer in Room 12 eats paper, paper, paper",
    "My invoice for May is wrong",
    "Please correct the invoice: the total is wrong",
    "Invoice 2231 has the wrong address",
]


def test_letter_groups_are_those_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    theirs = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).build_analyzer()
    for chunk in ("a", "is", "printer", "out-of-order!"):
        assert sorted(letter_groups(chunk)) == sorted(theirs(chunk))


def test_weights_are_those_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    theirs = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True, token_pattern=r"\w\w+")
    matrix = theirs.fit_transform(TEXTS).toarray()
    ours = fit_words(TEXTS)
    assert sorted(ours.words) == sorted(theirs.vocabulary_)
    for row, text in enumerate(TEXTS):
        found = dict(zip(*ours.transform(text), strict=True))
        for word, column in theirs.vocabulary_.items():
            assert found.get(ours.words.index(word), 0.0) == pytest.approx(matrix[row, column], abs=1e-6)


def test_no_feature_comes_from_fewer_than_three_texts() -> None:
    words = fit_words([*TEXTS, "Petronella Vandersteen owes us", "says Petronella Vandersteen"])
    kept = " ".join([*words.words, *words.letters])
    assert "printer" in kept
    assert "petronella" not in kept
    assert "vande" not in kept


def test_numbers_are_alike() -> None:
    assert pieces("order 4711")[0] == pieces("order 9999")[0]


@pytest.mark.parametrize("text", ["", "\n", "😀", "zzzz qqqq", "x" * 100_000])
def test_a_text_without_known_features_is_no_error(text: str) -> None:
    indices, weights = fit_words(TEXTS).transform(text)
    assert len(indices) == len(weights)
    assert np.isfinite(weights).all()
