"""The security log tells of a key when it ends, too."""

from django.db import migrations

BEFORE, AFTER = "name,prefix,scopes,revoked_at", "name,prefix,scopes,expires_at,revoked_at"


def _trigger(columns: str) -> str:
    return (
        "DROP TRIGGER note_security ON tickets_apikey; "
        "CREATE TRIGGER note_security AFTER INSERT OR UPDATE OR DELETE ON tickets_apikey FOR EACH ROW "
        f"EXECUTE FUNCTION tickets_note_security('key', 'user_id', '{columns}')"
    )


class Migration(migrations.Migration):
    dependencies = [("tickets", "0046_api_keys")]
    operations = [migrations.RunSQL(_trigger(AFTER), _trigger(BEFORE))]
