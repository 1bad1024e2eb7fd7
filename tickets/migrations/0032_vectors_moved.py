from django.db import migrations


class Migration(migrations.Migration):
    """Those that there are already; what comes later the triggers keep. Before the index: it is quicker so."""

    dependencies = [
        ("tickets", "0031_vectors_apart"),
    ]

    operations = [
        migrations.RunSQL(
            """
            INSERT INTO tickets_ticketvector (ticket_id, embedding)
            SELECT number, embedding FROM tickets_ticket WHERE embedding IS NOT NULL
            ON CONFLICT (ticket_id) DO NOTHING
            """,
            migrations.RunSQL.noop,
        ),
    ]
