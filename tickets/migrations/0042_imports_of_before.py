from django.db import migrations


class Migration(migrations.Migration):
    """Imports from before they had a state: what was not finished goes on when the command is called again."""

    dependencies = [
        ("tickets", "0041_imports"),
    ]

    operations = [
        migrations.RunSQL(
            """
            UPDATE tickets_importrun SET
                state = CASE WHEN finished_at IS NULL THEN 'stopped' ELSE 'done' END,
                finished_at = COALESCE(finished_at, started_at)
            WHERE state = 'draft'
            """,
            migrations.RunSQL.noop,
        ),
    ]
