from __future__ import annotations

from typing import cast

import pytest

from triage.embedding.clean import clean
from triage.engines import rules, tags
from triage.engines.local import LocalEngine, Neighbour, tag
from triage.engines.tags import Known, phrase, sensible
from triage.learning import starter
from triage.pipeline.types import MAX_TAGS, Label, Taxonomy

BILLING = Taxonomy((Label("billing", "Billing", ""), Label("feature_request", "Feature request", "")), (), ())


@pytest.fixture
def known() -> Known:
    """Where "vpn" stands it is meant; where "report" stands it mostly is not."""
    texts = [("VPN drops", ["vpn"]), ("No VPN at home", ["vpn"]), ("VPN client", ["vpn"])]
    return Known.of([*texts, *[("A report", ["other"])] * 8, ("Report", ["report"])], {"printer": ["copiers"]})


def test_a_telling_word_in_the_subject_is_a_tag(known: Known) -> None:
    assert known.likely("The VPN again\nIt fell over.", {}).tags == ("vpn",)


def test_a_word_that_is_only_mentioned_is_none(known: Known) -> None:
    assert known.likely("No sound\nI tried it over the VPN, too.", {}).tags == ()


def test_a_word_that_seldom_means_its_tag_is_none(known: Known) -> None:
    assert known.likely("A report for you\nRead it.", {}).tags == ()
    assert known.likely("A report for you\nRead it.", {"report": 0.6}).tags == ("report",)


def test_texts_like_it_lend_a_tag_only_when_most_of_them_have_it(known: Known) -> None:
    assert known.likely("It drops\nAll the time.", {"vpn": 0.8, "wifi": 0.3}).tags == ("vpn",)


def test_other_words_for_a_tag_in_singular_and_plural_count(known: Known) -> None:
    assert known.standing_in("Both copiers") == known.standing_in("The copier") == {"printer"}
    assert phrase("Wi-Fi policies, e-mail class") == ("wifi", "policy", "email", "class")


def test_fillers_names_of_categories_and_repetitions_are_left_out() -> None:
    given = ["how-to", "billing", "feature-request", "new-phone", "phone", "phones", "vat"]
    assert sensible(given, BILLING) == ("new-phone", "vat")


def test_there_are_five_at_most_and_the_likeliest_first(known: Known) -> None:
    shares = {name: 0.7 + at / 50 for at, name in enumerate("abcdefgh")}
    found = known.likely("Words\nMore", shares)
    assert found.tags == ("h", "g", "f", "e", "d") and len(found.tags) == MAX_TAGS
    assert 0.4 < found.probability < 0.6


def test_keywords_of_the_last_resort_count_in_the_subject_alone() -> None:
    assert rules.load().tags("Invoice is wrong\nPrinted on our printer.").value == ("invoice",)  # type: ignore[union-attr]
    assert rules.load().tags("Something else\nPrinted on our printer.") is None


def test_more_than_half_of_the_tags_of_unseen_texts_are_those_of_their_author(
    local: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In five parts: neither the known tags nor the neighbours come from the part that is read. Measured: 0.55."""
    rows, reference = starter.rows(), local._weights.reference
    assert reference is not None
    given = [cast(tuple[str, ...], row.labels["tags"]) for row in rows]
    texts = [(clean(row.text), tags) for row, tags in zip(rows, given, strict=True)]
    right = found = untagged = 0
    for part in range(5):
        others = [at for at in range(len(rows)) if at % 5 != part]
        known = Known.of([texts[at] for at in others], {})
        monkeypatch.setattr(tags, "load", lambda known=known: known)
        for at in range(part, len(rows), 5):
            likeness = reference[others] @ reference[at]
            near = likeness.argsort()[:-9:-1]
            neighbours = [Neighbour(float(likeness[one]), rows[others[one]].labels, "") for one in near]
            chosen = tag(texts[at][0], neighbours).tags
            right += sum(one in given[at] for one in chosen)
            found += len(chosen)
            untagged += not chosen
    assert right / found > 0.5
    assert untagged / len(rows) < 0.6
