"""All tables as they stand, in one step for a new database; what the 10 steps before it did to data had nothing to do there.

Those steps stay beside it for desks that are in the middle of them.
"""

from importlib import import_module

import django.contrib.auth.models
import django.contrib.auth.validators
import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
import pgtrigger.compiler
import triage.models.batch
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models

from triage.migrating import CreateModels

PRICES = [import_module(f"triage.migrations.{name}") for name in ("0002_prices", "0006_more_prices")]


def seed(apps, schema_editor):
    for prices in PRICES:
        prices.seed(apps, schema_editor)



class Migration(migrations.Migration):
    replaces = [
        ("triage", "0001_initial"),
        ("triage", "0002_prices"),
        ("triage", "0003_attempt"),
        ("triage", "0004_fits"),
        ("triage", "0005_calls_paused_and_capped"),
        ("triage", "0006_more_prices"),
        ("triage", "0007_message_batches"),
        ("triage", "0008_not_masked"),
        ("triage", "0009_withheld"),
        ("triage", "0010_request_windows"),
    ]
    initial = True
    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]
    operations = [
        CreateModels([
            migrations.CreateModel(
                name='Allowance',
                fields=[
                    ('span', models.CharField(choices=[('minute', 'minute'), ('day', 'day')], max_length=6, primary_key=True, serialize=False)),
                    ('began_at', models.DateTimeField()),
                    ('calls', models.PositiveIntegerField(default=0)),
                ],
                options={
                    'ordering': ['began_at'],
                },
            ),
            migrations.CreateModel(
                name='Breaker',
                fields=[
                    ('provider', models.CharField(help_text='The host that is asked; behind it the model, where it is the model.', max_length=200, primary_key=True, serialize=False)),
                    ('failed_at', django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(), blank=True, default=list, help_text='The last failures, oldest first.', size=None)),
                    ('opened_at', models.DateTimeField(blank=True, null=True)),
                    ('probe_until', models.DateTimeField(blank=True, null=True)),
                    ('reason', models.CharField(blank=True, max_length=300)),
                ],
            ),
            migrations.CreateModel(
                name='Heartbeat',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(help_text='The cluster: interactive or batch.', max_length=40)),
                    ('host', models.CharField(max_length=255)),
                    ('pid', models.PositiveIntegerField()),
                    ('beat_at', models.DateTimeField(db_index=True)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('name', 'host'), name='heartbeat_one_row_a_cluster_and_host')],
                },
            ),
            migrations.CreateModel(
                name='MessageBatch',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('token', models.CharField(default=triage.models.batch._token, help_text='Begins each custom_id.', max_length=32, unique=True)),
                    ('owner', models.CharField(help_text='On whose behalf, as kind:number.', max_length=40)),
                    ('provider', models.CharField(max_length=40)),
                    ('model', models.CharField(max_length=100)),
                    ('state', models.CharField(choices=[('prepared', 'To be sent'), ('sending', 'Being sent'), ('sent', 'Sent'), ('collected', 'Collected'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='prepared', max_length=10)),
                    ('size', models.PositiveIntegerField(help_text='How many requests it holds.')),
                    ('estimate', models.DecimalField(decimal_places=12, help_text='US dollars, set aside from the budget until collected.', max_digits=20, null=True)),
                    ('remote_id', models.CharField(blank=True, help_text='As the provider names it.', max_length=100)),
                    ('strangers', models.JSONField(default=list, help_text='Batches that looked like this one and were others.')),
                    ('cancel_wanted', models.BooleanField(default=False)),
                    ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('sent_at', models.DateTimeField(help_text='When sending began.', null=True)),
                    ('collected_at', models.DateTimeField(null=True)),
                    ('attempts', models.PositiveSmallIntegerField(default=0)),
                    ('claim', models.PositiveBigIntegerField(default=0)),
                    ('not_before', models.DateTimeField(default=django.utils.timezone.now)),
                    ('lease_until', models.DateTimeField(null=True)),
                    ('error', models.TextField(blank=True, help_text="What went wrong, in a sentence. Holds no customer's words.")),
                ],
                options={
                    'verbose_name_plural': 'message batches',
                    'ordering': ['-pk'],
                    'constraints': [models.UniqueConstraint(condition=models.Q(('remote_id', ''), _negated=True), fields=('remote_id',), name='batch_one_a_remote_id'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'sent'), _negated=True), models.Q(models.Q(('remote_id', ''), _negated=True), ('sent_at__isnull', False)), _connector='OR'), name='batch_sent_has_its_name'), models.CheckConstraint(condition=models.Q(('state', 'collected'), ('collected_at', None), _connector='XOR'), name='batch_collected_goes_with_its_time')],
                },
            ),
            migrations.CreateModel(
                name='ModelServer',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('endpoint', models.CharField(max_length=200)),
                    ('model', models.CharField(max_length=100)),
                    ('structured', models.BooleanField(default=False, help_text='Takes output_config, thinking and cache marks.')),
                    ('shown', models.BooleanField(default=True, help_text='Is shown the schema in the prompt.')),
                    ('learned_at', models.DateTimeField(default=django.utils.timezone.now)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('endpoint', 'model'), name='model_server_once')],
                },
            ),
            migrations.CreateModel(
                name='Pause',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('began_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                    ('begun_by', models.CharField(editable=False, max_length=150)),
                    ('reason', models.CharField(blank=True, help_text='Shown on every page of the desk.', max_length=200)),
                    ('ended_at', models.DateTimeField(editable=False, null=True)),
                    ('ended_by', models.CharField(blank=True, editable=False, max_length=150)),
                ],
                options={
                    'ordering': ['-began_at'],
                    'constraints': [models.UniqueConstraint(models.ExpressionWrapper(models.Q(('ended_at__isnull', True)), output_field=models.BooleanField()), condition=models.Q(('ended_at', None)), name='pause_one_in_force'), models.CheckConstraint(condition=models.Q(('ended_at', None), models.Q(('ended_by', ''), _negated=True), _connector='XOR'), name='pause_ended_by_somebody'), models.CheckConstraint(condition=models.Q(('begun_by', ''), _negated=True), name='pause_begun_by_somebody')],
                },
            ),
            migrations.CreateModel(
                name='Price',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('model', models.CharField(help_text='As the provider names it, without a trailing date.', max_length=100)),
                    ('valid_from', models.DateField()),
                    ('input', models.DecimalField(decimal_places=4, max_digits=12, validators=[django.core.validators.MinValueValidator(Decimal('0'))])),
                    ('cache_read', models.DecimalField(decimal_places=4, max_digits=12, validators=[django.core.validators.MinValueValidator(Decimal('0'))])),
                    ('cache_write_5m', models.DecimalField(decimal_places=4, max_digits=12, validators=[django.core.validators.MinValueValidator(Decimal('0'))], verbose_name='cache write, 5 minutes')),
                    ('cache_write_1h', models.DecimalField(decimal_places=4, max_digits=12, validators=[django.core.validators.MinValueValidator(Decimal('0'))], verbose_name='cache write, 1 hour')),
                    ('output', models.DecimalField(decimal_places=4, max_digits=12, validators=[django.core.validators.MinValueValidator(Decimal('0'))])),
                    ('long_prompt_over', models.PositiveIntegerField(blank=True, help_text='Tokens. Empty: one price for all.', null=True)),
                    ('long_input', models.DecimalField(blank=True, decimal_places=4, max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(Decimal('0'))])),
                    ('long_cache_read', models.DecimalField(blank=True, decimal_places=4, max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(Decimal('0'))])),
                    ('long_cache_write_5m', models.DecimalField(blank=True, decimal_places=4, max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(Decimal('0'))], verbose_name='long cache write, 5 minutes')),
                    ('long_cache_write_1h', models.DecimalField(blank=True, decimal_places=4, max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(Decimal('0'))], verbose_name='long cache write, 1 hour')),
                    ('long_output', models.DecimalField(blank=True, decimal_places=4, max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(Decimal('0'))])),
                    ('batch_factor', models.DecimalField(decimal_places=2, default=Decimal('0.50'), help_text='On message batches.', max_digits=3, validators=[django.core.validators.MinValueValidator(Decimal('0'))])),
                    ('us_factor', models.DecimalField(decimal_places=2, default=Decimal('1.00'), help_text='On calls that the provider was told to serve in the United States only.', max_digits=3, validators=[django.core.validators.MinValueValidator(Decimal('0'))])),
                ],
                options={
                    'ordering': ['model', '-valid_from'],
                    'constraints': [models.UniqueConstraint(fields=('model', 'valid_from'), name='price_once_a_day'), models.CheckConstraint(condition=models.Q(models.Q(('long_cache_read', None), ('long_cache_write_1h', None), ('long_cache_write_5m', None), ('long_input', None), ('long_output', None), ('long_prompt_over', None)), models.Q(('long_cache_read__isnull', False), ('long_cache_write_1h__isnull', False), ('long_cache_write_5m__isnull', False), ('long_input__isnull', False), ('long_output__isnull', False), ('long_prompt_over__isnull', False)), _connector='OR'), name='price_long_band_whole')],
                },
            ),
            migrations.CreateModel(
                name='Reign',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('began_at', models.DateTimeField(auto_now_add=True)),
                    ('ended_at', models.DateTimeField(editable=False, null=True)),
                    ('why', models.CharField(max_length=300)),
                    ('rollback', models.BooleanField(default=False, help_text='It came back because the one after it was taken out.')),
                    ('artifact', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='reigns', to='triage.artifact')),
                    ('by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'ordering': ('-pk',),
                },
            ),
            migrations.CreateModel(
                name='Spending',
                fields=[
                    ('month', models.DateField(help_text='The first day of the month.', primary_key=True, serialize=False)),
                    ('cost', models.DecimalField(decimal_places=12, default=Decimal('0'), max_digits=20)),
                    ('calls', models.PositiveIntegerField(default=0)),
                    ('unknown', models.PositiveIntegerField(default=0, help_text='Calls whose cost is not known; the total lacks them.')),
                    ('warned', models.PositiveSmallIntegerField(default=0, help_text='The step of the budget that was told last.')),
                ],
                options={
                    'verbose_name_plural': 'spending',
                    'ordering': ['-month'],
                },
            ),
            migrations.CreateModel(
                name='Window',
                fields=[
                    ('mark', models.CharField(max_length=64, primary_key=True, serialize=False)),
                    ('slot', models.BigIntegerField()),
                    ('count', models.PositiveIntegerField()),
                    ('before', models.PositiveIntegerField()),
                    ('refused', models.BooleanField()),
                    ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ],
            ),
            migrations.CreateModel(
                name='User',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('password', models.CharField(max_length=128, verbose_name='password')),
                    ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                    ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                    ('username', models.CharField(error_messages={'unique': 'A user with that username already exists.'}, help_text='Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.', max_length=150, unique=True, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                    ('first_name', models.CharField(blank=True, max_length=150, verbose_name='first name')),
                    ('last_name', models.CharField(blank=True, max_length=150, verbose_name='last name')),
                    ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                    ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                    ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                    ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
                    ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                    ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
                ],
                options={
                    'verbose_name': 'user',
                    'verbose_name_plural': 'users',
                    'abstract': False,
                },
                managers=[
                    ('objects', django.contrib.auth.models.UserManager()),
                ],
            ),
            migrations.CreateModel(
                name='Artifact',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('kind', models.CharField(choices=[('local', 'Local engine')], default='local', max_length=20)),
                    ('version', models.CharField(help_text='Hash of the payload.', max_length=32)),
                    ('payload', models.BinaryField(help_text='An .npz without pickled objects.')),
                    ('metrics', models.JSONField(default=dict, help_text='What out-of-fold predictions showed, by field.')),
                    ('comparison', models.JSONField(blank=True, default=dict, help_text='How it did against the fit in force, on decisions that neither had seen.')),
                    ('audit', models.JSONField(blank=True, default=dict, help_text='What people said about applied values drawn by lot: {field: {right, seen}}.')),
                    ('stopped', models.JSONField(blank=True, default=dict, help_text='Fields that it applied no more: {field: what the audit sample showed, and when it was `lifted`}.')),
                    ('live', models.BooleanField(default=False, help_text='In force: every process reads with it within seconds.')),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    'ordering': ('-created_at', '-id'),
                    'constraints': [models.UniqueConstraint(fields=('kind', 'version'), name='artifact_once'), models.UniqueConstraint(condition=models.Q(('live', True)), fields=('kind',), name='artifact_one_live')],
                },
            ),
            migrations.CreateModel(
                name='Attempt',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('mark', models.CharField(max_length=64)),
                    ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ],
                options={
                    'indexes': [models.Index(fields=['mark', '-at'], name='attempt_mark'), models.Index(fields=['at'], name='attempt_at')],
                },
            ),
            migrations.CreateModel(
                name='Budget',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('monthly_limit', models.DecimalField(blank=True, decimal_places=2, help_text='US dollars a calendar month. Once spent, tickets are read without a model. Empty: no limit.', max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(Decimal('0'))])),
                ],
                options={
                    'verbose_name_plural': 'budget',
                    'constraints': [models.CheckConstraint(condition=models.Q(('pk', 1)), name='budget_only_one')],
                },
            ),
            migrations.CreateModel(
                name='Call',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('operation', models.CharField(max_length=20)),
                    ('provider', models.CharField(max_length=40)),
                    ('model_asked', models.CharField(max_length=100)),
                    ('model_answered', models.CharField(blank=True, max_length=100)),
                    ('prompt_version', models.CharField(blank=True, max_length=64)),
                    ('batch', models.BooleanField(default=False, help_text='Sent in a message batch, at its lower price.')),
                    ('max_tokens', models.PositiveIntegerField(help_text='The most that the answer could hold.', null=True)),
                    ('input_limit', models.PositiveIntegerField(help_text='Characters that were allowed to leave.', null=True)),
                    ('input_characters', models.PositiveIntegerField(help_text='Characters that left, without the prompt.', null=True)),
                    ('input_tokens', models.PositiveIntegerField(null=True)),
                    ('cache_read_tokens', models.PositiveIntegerField(null=True)),
                    ('cache_write_5m_tokens', models.PositiveIntegerField(null=True)),
                    ('cache_write_1h_tokens', models.PositiveIntegerField(null=True)),
                    ('output_tokens', models.PositiveIntegerField(null=True)),
                    ('input_cost', models.DecimalField(decimal_places=12, max_digits=20, null=True)),
                    ('cache_read_cost', models.DecimalField(decimal_places=12, max_digits=20, null=True)),
                    ('cache_write_5m_cost', models.DecimalField(decimal_places=12, max_digits=20, null=True)),
                    ('cache_write_1h_cost', models.DecimalField(decimal_places=12, max_digits=20, null=True)),
                    ('output_cost', models.DecimalField(decimal_places=12, max_digits=20, null=True)),
                    ('cost', models.DecimalField(decimal_places=12, max_digits=20, null=True, verbose_name='cost in all')),
                    ('price', models.JSONField(help_text='The price row the costs were reckoned with.', null=True)),
                    ('latency_ms', models.PositiveIntegerField(null=True)),
                    ('status', models.CharField(choices=[('started', 'Started'), ('ok', 'Answered'), ('invalid', 'Answer unusable'), ('refused', 'Refused'), ('truncated', 'Cut off'), ('failed', 'Failed')], default='started', max_length=10)),
                    ('error_code', models.CharField(blank=True, max_length=40)),
                    ('error', models.TextField(blank=True, help_text="What went wrong, in a sentence. Holds no customer's words.")),
                    ('retries', models.PositiveSmallIntegerField(default=0)),
                    ('stop_reason', models.CharField(blank=True, max_length=40)),
                    ('request_id', models.CharField(blank=True, max_length=100)),
                    ('masked', models.JSONField(blank=True, default=dict, help_text='How many values of each kind were masked, never the values. Nothing where its source is not masked.', null=True)),
                    ('subject_kind', models.CharField(blank=True, help_text='What the call was about: ticket, chat, summary.', max_length=20)),
                    ('subject_id', models.CharField(blank=True, max_length=64)),
                    ('correlation_id', models.CharField(blank=True, max_length=64)),
                ],
                options={
                    'get_latest_by': 'created_at',
                    'indexes': [models.Index(fields=['-created_at', '-id'], name='call_newest'), models.Index(fields=['subject_kind', 'subject_id'], name='call_subject'), models.Index(condition=models.Q(('status', 'ok'), _negated=True), fields=['status', '-created_at'], name='call_troubled')],
                    'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('latency_ms', None), ('status', 'started')), models.Q(models.Q(('status', 'started'), _negated=True), ('latency_ms__isnull', False)), _connector='OR'), name='call_latency_once_completed'), models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['failed', 'invalid']), _negated=True), models.Q(('error_code', ''), _negated=True), _connector='OR'), name='call_failure_has_a_reason'), models.CheckConstraint(condition=models.Q(('cost', None), ('cost__gte', 0), _connector='OR'), name='call_cost_not_negative')],
                    'triggers': [pgtrigger.compiler.Trigger(name='completed_once', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (NOT (OLD."status" = \'started\'))', func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;", hash='91efbe3a49029fbd0c0345b1900212ebcac30708', operation='UPDATE', pgid='pgtrigger_completed_once_d61e7', table='triage_call', when='BEFORE'))],
                },
            ),
            migrations.CreateModel(
                name='BatchRequest',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('owner', models.CharField(max_length=40)),
                    ('custom_id', models.CharField(blank=True, max_length=64)),
                    ('state', models.CharField(choices=[('waiting', 'Waiting'), ('answered', 'Answered'), ('failed', 'Not answered'), ('used', 'Used')], default='waiting', max_length=10)),
                    ('operation', models.CharField(max_length=20)),
                    ('prompt_version', models.CharField(blank=True, max_length=64)),
                    ('characters', models.PositiveIntegerField(help_text='Of prompt and text, masked.')),
                    ('masked', models.JSONField(blank=True, default=dict, help_text='As in Call.', null=True)),
                    ('subject_kind', models.CharField(blank=True, max_length=20)),
                    ('subject_id', models.CharField(blank=True, max_length=64)),
                    ('correlation_id', models.CharField(blank=True, max_length=64)),
                    ('sealed', models.TextField(blank=True)),
                    ('error', models.CharField(blank=True, max_length=300)),
                    ('call', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='triage.call')),
                    ('batch', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='requests', to='triage.messagebatch')),
                ],
                options={
                    'indexes': [models.Index(fields=['owner', 'state'], name='batch_owner')],
                    'constraints': [models.UniqueConstraint(condition=models.Q(('custom_id', ''), _negated=True), fields=('custom_id',), name='batch_one_a_custom_id'), models.CheckConstraint(condition=models.Q(('batch', None), models.Q(('custom_id', ''), _negated=True), _connector='XOR'), name='batch_request_has_its_name'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'used'), _negated=True), ('sealed', ''), _connector='OR'), name='batch_nothing_personal_once_used')],
                },
            ),
        ]),
        migrations.RunPython(seed, migrations.RunPython.noop),
        migrations.RunSQL("ALTER TABLE triage_window SET UNLOGGED", "ALTER TABLE triage_window SET LOGGED"),
    ]
