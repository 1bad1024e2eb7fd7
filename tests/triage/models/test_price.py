"""Every published band, to the last digit."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from triage.models import Price, Tokens

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 20)


def price(model: str, on: date = TODAY) -> Price:
    found = Price.of(model, on)
    assert found is not None
    return found


def dollars(model: str, tokens: Tokens, on: date = TODAY, **factors: bool) -> Decimal:
    cost = price(model, on).cost(tokens, **factors)
    assert cost is not None
    return cost.total


def test_the_reference_call_costs_what_the_invoice_says() -> None:
    assert dollars("claude-sonnet-4-5", Tokens(input=3, cache_write_5m=12_304, output=550)) == Decimal("0.054399")


# A million tokens of each part: input, cache read, cache write 5 minutes, cache write 1 hour, output.
STANDARD = {
    "claude-fable-5-1": "10 0.25 12.50 20 50",
    "claude-mythos-5-1": "10 0.25 12.50 20 50",
    "claude-fable-5": "10 1 12.50 20 50",
    "claude-mythos-5": "10 1 12.50 20 50",
    "claude-opus-4-8": "5 0.50 6.25 10 25",
    "claude-opus-4-7": "5 0.50 6.25 10 25",
    "claude-opus-4-6": "5 0.50 6.25 10 25",
    "claude-opus-4-5": "5 0.50 6.25 10 25",
    "claude-opus-5-5": "4 0.20 5 8 20",
    "claude-opus-5": "5 0.50 6.25 10 25",
    "claude-sonnet-5-5": "2 0.10 2.50 4 10",
    "claude-sonnet-5": "2 0.20 2.50 4 10",
    "claude-sonnet-4-6": "3 0.30 3.75 6 15",
    "claude-sonnet-4-5": "3 0.30 3.75 6 15",
    "claude-haiku-5-5": "0.10 0.01 0.125 0.20 0.50",
    "claude-haiku-4-5": "1 0.10 1.25 2 5",
}


# Longer prompts: over how many tokens, then the same five parts.
LONG = {
    "claude-haiku-5-5": (100_000, "0.50 0.05 0.625 1 2.50"),
    "claude-sonnet-4-5": (200_000, "6 0.60 7.50 12 22.50"),
}
WITHOUT_SURCHARGE = ("claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-5")


def each_part(count: int) -> list[Tokens]:
    """`count` tokens of one part alone, part by part."""
    prompts = [Tokens(count, output=0), Tokens(0, count, output=0), Tokens(0, 0, count, output=0)]
    return [*prompts, Tokens(0, 0, 0, count, output=0), Tokens(0, output=count)]


def test_every_price_that_ships_has_a_test() -> None:
    assert set(Price.objects.values_list("model", flat=True)) == set(STANDARD)
    assert set(Price.objects.exclude(long_prompt_over=None).values_list("model", flat=True)) == set(LONG)


@pytest.mark.parametrize("model", STANDARD)
def test_each_part_costs_its_published_price(model: str) -> None:
    # A tenth of the million, so that no prompt is a long one.
    costs = [dollars(model, tokens) * 10 for tokens in each_part(100_000)]
    assert costs == [Decimal(rate) for rate in STANDARD[model].split()]


@pytest.mark.parametrize("model", STANDARD)
def test_each_part_costs_half_in_a_batch_and_a_tenth_more_in_the_united_states(model: str) -> None:
    surcharge = Decimal(1 if model in WITHOUT_SURCHARGE else "1.1")
    for tokens, rate in zip(each_part(100_000), STANDARD[model].split(), strict=True):
        assert dollars(model, tokens, batch=True) * 10 == Decimal(rate) / 2
        assert dollars(model, tokens, us_only=True) * 10 == Decimal(rate) * surcharge
        assert dollars(model, tokens, batch=True, us_only=True) * 10 == Decimal(rate) / 2 * surcharge


@pytest.mark.parametrize("model", LONG)
def test_each_part_of_a_long_prompt_costs_its_published_price(model: str) -> None:
    over, rates = LONG[model]
    *prompts, output = rates.split()
    for tokens, rate in zip(each_part(1_000_000), prompts, strict=False):
        assert dollars(model, tokens) == Decimal(rate)
        assert dollars(model, tokens, batch=True) == Decimal(rate) / 2
    # An answer alone makes no prompt long.
    alone, with_answer = Tokens(over + 1, output=0), Tokens(over + 1, output=1_000_000)
    assert dollars(model, with_answer) - dollars(model, alone) == Decimal(output)


def test_a_long_prompt_pays_the_long_price_for_all_of_it() -> None:
    at_the_limit = Tokens(50_000, 20_000, 20_000, 10_000, output=1_000)
    assert dollars("claude-haiku-5-5", at_the_limit) == Decimal("0.0102")
    one_more = Tokens(50_001, 20_000, 20_000, 10_000, output=1_000)
    assert dollars("claude-haiku-5-5", one_more) == Decimal("0.0510005")
    assert dollars("claude-sonnet-4-5", Tokens(200_000, output=1_000)) == Decimal("0.615")
    assert dollars("claude-sonnet-4-5", Tokens(200_001, output=1_000)) == Decimal("1.222506")


def test_the_band_is_written_into_the_snapshot() -> None:
    cost = price("claude-haiku-5-5").cost(Tokens(100_001, output=1))
    assert cost is not None
    assert (cost.price["band"], cost.price["input"], cost.price["valid_from"]) == ("long", "0.5000", "2026-10-07")


def test_a_batch_costs_half_and_the_united_states_a_tenth_more() -> None:
    tokens = Tokens(1_000_000, output=100_000)
    assert dollars("claude-sonnet-5-5", tokens) == Decimal("3")
    assert dollars("claude-sonnet-5-5", tokens, batch=True) == Decimal("1.5")
    assert dollars("claude-sonnet-5-5", tokens, us_only=True) == Decimal("3.3")
    assert dollars("claude-haiku-4-5", tokens, us_only=True) == Decimal("1.5")


def test_the_smallest_call_is_kept_to_its_last_digit() -> None:
    assert dollars("claude-haiku-5-5", Tokens(0, 1, output=0), batch=True, us_only=True) == Decimal("0.0000000055")


def test_a_price_holds_from_its_day_on() -> None:
    tokens = Tokens(0, 1_000_000, output=0)
    assert dollars("claude-sonnet-5-5", tokens, date(2026, 10, 6)) == Decimal("0.20")
    assert dollars("claude-sonnet-5-5", tokens, date(2026, 10, 7)) == Decimal("0.10")
    assert Price.of("claude-haiku-5-5", date(2026, 10, 6)) is None


def test_a_dated_snapshot_costs_what_its_model_costs_unless_it_has_a_price_of_its_own() -> None:
    assert price("claude-haiku-4-5-20251001").model == "claude-haiku-4-5"
    own = Price.objects.get(model="claude-haiku-4-5")
    own.pk, own.model, own.input = None, "claude-haiku-4-5-20251001", Decimal(9)
    own.save()
    assert price("claude-haiku-4-5-20251001").input == 9
    assert price("claude-haiku-4-5").input == 1


def test_a_model_nobody_priced_has_no_price() -> None:
    assert Price.of("llama-5", TODAY) is None
    assert Price.of("claude-haiku-4-5-extra", TODAY) is None


def test_tokens_nobody_counted_have_no_cost() -> None:
    assert price("claude-haiku-5-5").cost(Tokens(output=5)) is None
    assert price("claude-haiku-5-5").cost(Tokens(input=5)) is None


def test_half_a_long_band_is_refused_by_the_database() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Price.objects.filter(model="claude-opus-5").update(long_prompt_over=100)
