"""The published prices of the Claude models that are still served beside the newest."""

from datetime import date
from decimal import Decimal

from django.db import migrations

# As in 0002: US dollars a million tokens, input, cache read, cache write 5 minutes and 1 hour, output; the day is the
# release where it is known, else a day before it. Source: platform.claude.com/docs/en/about-claude/pricing, "Model
# pricing" and "Data residency", as of October 2026; Fable 5 from its release notes of 9 June 2026. Fable 5.2 and
# Mythos 5.2 stand in no published table: their calls are kept, and their cost is unknown until somebody adds a price.
STANDARD = [
    ("claude-mythos-5-1", date(2026, 1, 1), "10", "0.25", "12.50", "20", "50"),
    ("claude-fable-5", date(2026, 6, 9), "10", "1", "12.50", "20", "50"),
    ("claude-mythos-5", date(2026, 6, 9), "10", "1", "12.50", "20", "50"),
    ("claude-opus-4-8", date(2026, 1, 1), "5", "0.50", "6.25", "10", "25"),
    ("claude-opus-4-7", date(2026, 1, 1), "5", "0.50", "6.25", "10", "25"),
    ("claude-opus-4-6", date(2026, 1, 1), "5", "0.50", "6.25", "10", "25"),
    ("claude-opus-4-5", date(2025, 11, 1), "5", "0.50", "6.25", "10", "25"),
]
NO_RESIDENCY_SURCHARGE = ("claude-opus-4-5",)
PARTS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")


def seed(apps, schema_editor):
    Price = apps.get_model("triage", "Price")
    for model, valid_from, *rates in STANDARD:
        row = dict(zip(PARTS, map(Decimal, rates)))
        row["us_factor"] = Decimal("1.00") if model in NO_RESIDENCY_SURCHARGE else Decimal("1.10")
        Price.objects.get_or_create(model=model, valid_from=valid_from, defaults=row)


class Migration(migrations.Migration):
    dependencies = [("triage", "0005_calls_paused_and_capped")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
