"""The published prices of current Claude models, and the one row of the budget. Later prices are rows added in admin."""

from datetime import date
from decimal import Decimal

from django.db import migrations

# US dollars a million tokens: model, valid from, input, cache read, cache write 5 minutes, cache write 1 hour, output.
# Sources: the pricing page and the model overviews of the Claude documentation (platform.claude.com/docs, "Pricing" and
# "Models", as of October 2026). Cache writes cost 1.25 times the input for five minutes and twice for an hour; a cache
# read a tenth, but 5 % on Sonnet 5.5 and Opus 5.5 and 2.5 % on Fable 5.1. The day is the release where the overview
# names it, else a day before it: no call can be older than its model.
STANDARD = [
    ("claude-fable-5-1", date(2026, 1, 1), "10", "0.25", "12.50", "20", "50"),
    ("claude-opus-5-5", date(2026, 1, 1), "4", "0.20", "5", "8", "20"),
    ("claude-opus-5", date(2026, 7, 24), "5", "0.50", "6.25", "10", "25"),
    # Sonnet 5.5 read its cache at a tenth until 7 October 2026, at a twentieth since (release notes of that day).
    ("claude-sonnet-5-5", date(2026, 1, 1), "2", "0.20", "2.50", "4", "10"),
    ("claude-sonnet-5-5", date(2026, 10, 7), "2", "0.10", "2.50", "4", "10"),
    ("claude-sonnet-5", date(2026, 6, 30), "2", "0.20", "2.50", "4", "10"),
    ("claude-sonnet-4-6", date(2026, 1, 1), "3", "0.30", "3.75", "6", "15"),
    ("claude-sonnet-4-5", date(2025, 9, 29), "3", "0.30", "3.75", "6", "15"),
    ("claude-haiku-5-5", date(2026, 10, 7), "0.10", "0.01", "0.125", "0.20", "0.50"),
    ("claude-haiku-4-5", date(2025, 10, 15), "1", "0.10", "1.25", "2", "5"),
]
# Longer prompts cost more, all of them: model, over how many tokens, then the same five parts.
# Haiku 5.5: its overview ("prompts over 100,000 tokens"). Sonnet 4.5: "Long context pricing", over 200,000 tokens.
LONG = {
    "claude-haiku-5-5": (100_000, "0.50", "0.05", "0.625", "1", "2.50"),
    "claude-sonnet-4-5": (200_000, "6", "0.60", "7.50", "12", "22.50"),
}
# "Data residency": serving in the United States only costs 1.1 times, from the 4.6 models on.
NO_RESIDENCY_SURCHARGE = ("claude-sonnet-4-5", "claude-haiku-4-5")
PARTS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")


def seed(apps, schema_editor):
    Price = apps.get_model("triage", "Price")
    for model, valid_from, *rates in STANDARD:
        row = dict(zip(PARTS, map(Decimal, rates)))
        if model in LONG:
            over, *long_rates = LONG[model]
            row["long_prompt_over"] = over
            row |= {f"long_{part}": Decimal(rate) for part, rate in zip(PARTS, long_rates)}
        row["us_factor"] = Decimal("1.00") if model in NO_RESIDENCY_SURCHARGE else Decimal("1.10")
        Price.objects.get_or_create(model=model, valid_from=valid_from, defaults=row)
    apps.get_model("triage", "Budget").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("triage", "0001_initial")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
