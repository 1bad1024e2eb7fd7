from django.db import migrations

# As tickets.models.search has it at this time; triggers keep it from here on.
FILL = """
    INSERT INTO tickets_searchtext (ticket_id, document)
    SELECT t.number,
        setweight(to_tsvector('simple', t.number::text), 'A') || setweight(to_tsvector('english', t.subject), 'A')
        || setweight(to_tsvector('english', coalesce((
            SELECT concat_ws(' ', name, email, replace(email, '@', ' ')) FROM tickets_requester WHERE id = t.requester_id), '')), 'B')
        || coalesce((
            SELECT to_tsvector('english', left(string_agg(left(m.text, 50000), ' ' ORDER BY m.id), 500000))
            FROM tickets_message m WHERE m.ticket_id = t.number), ''::tsvector)
    FROM tickets_ticket t ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("tickets", "0012_search")]
    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
