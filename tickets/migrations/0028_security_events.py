"""Triggers that write what is done about people: in one function, for tables of ours and of allauth alike.

By hand and not by pgtrigger, because half of the tables belong to other apps, whose migrations are not ours.
"""

from django.db import migrations

# Table: (noun, operations, column with the person's key, columns that are told).
WATCHED = {
    "triage_user": ("person", "INSERT OR UPDATE OR DELETE", "id", "username,email,is_active,is_superuser,is_staff,password"),
    "tickets_agent": ("role", "INSERT OR UPDATE OR DELETE", "user_id", "role"),
    "tickets_agent_teams": ("team", "INSERT OR DELETE", "agent_id", "team_id"),
    "triage_user_user_permissions": ("permission", "INSERT OR DELETE", "user_id", "permission_id"),
    "triage_user_groups": ("group", "INSERT OR DELETE", "user_id", "group_id"),
    "mfa_authenticator": ("factor", "INSERT OR DELETE", "user_id", "type"),
    "socialaccount_socialaccount": ("account", "INSERT OR DELETE", "user_id", "provider,uid"),
    "tickets_invitation": ("invitation", "INSERT OR UPDATE OR DELETE", "accepted_by_id", "email,role,expires_at,accepted_at,revoked_at"),
    "tickets_apikey": ("key", "INSERT OR UPDATE OR DELETE", "user_id", "name,prefix,scopes,revoked_at"),
    "tickets_signinpolicy": ("rule", "INSERT OR UPDATE OR DELETE", "", "second_factor"),
}
FUNCTION = """
CREATE FUNCTION tickets_note_security() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told text[] := string_to_array(TG_ARGV[2], ',');
    was jsonb := '{}';
    became jsonb := '{}';
    whole jsonb;
    whom bigint;
    context jsonb := COALESCE(NULLIF(current_setting('pghistory.context_metadata', true), ''), '{}')::jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        SELECT COALESCE(jsonb_object_agg(key, value), '{}') INTO was FROM jsonb_each(to_jsonb(OLD)) WHERE key = ANY(told);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT COALESCE(jsonb_object_agg(key, value), '{}') INTO became FROM jsonb_each(to_jsonb(NEW)) WHERE key = ANY(told);
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF was = became THEN
            RETURN NULL;
        END IF;
        SELECT jsonb_object_agg(key, value), jsonb_object_agg(key, was -> key) INTO became, was
        FROM jsonb_each(became) WHERE value IS DISTINCT FROM was -> key;
    END IF;
    IF became ? 'password' AND TG_OP = 'UPDATE' THEN  -- that it changed, never to what
        was := jsonb_set(was, '{password}', '"set before"');
        became := jsonb_set(became, '{password}', '"set anew"');
    ELSE
        was := was - 'password';
        became := became - 'password';
    END IF;
    whole := COALESCE(to_jsonb(NEW), to_jsonb(OLD));
    whom := (whole ->> NULLIF(TG_ARGV[1], ''))::bigint;
    IF TG_ARGV[1] = 'agent_id' THEN
        SELECT user_id INTO whom FROM tickets_agent WHERE id = whom;
    END IF;
    INSERT INTO tickets_securityevent (at, noun, verb, person, before, after, actor, correlation_id) VALUES (
        now(), TG_ARGV[0],
        CASE TG_OP WHEN 'INSERT' THEN 'added' WHEN 'DELETE' THEN 'removed' ELSE 'changed' END,
        whom, was, became,
        left(COALESCE(context ->> 'actor', 'database'), 150), left(COALESCE(context ->> 'correlation_id', ''), 64));
    RETURN NULL;
END;
$$
"""


def _triggers() -> list[migrations.RunSQL]:
    return [
        migrations.RunSQL(
            f"CREATE TRIGGER note_security AFTER {operations} ON {table} FOR EACH ROW "
            f"EXECUTE FUNCTION tickets_note_security('{noun}', '{person}', '{columns}')",
            f"DROP TRIGGER note_security ON {table}",
        )
        for table, (noun, operations, person, columns) in WATCHED.items()
    ]


class Migration(migrations.Migration):
    dependencies = [
        ("tickets", "0027_people"),
        ("triage", "0001_initial"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]
    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION tickets_note_security()"), *_triggers()]
