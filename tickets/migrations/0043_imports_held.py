from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("tickets", "0042_imports_of_before"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='importrun',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('waiting', 'running', 'stopped', 'failed'))), fields=('source', 'digest'), name='one_open_run_a_file'),
        ),
        migrations.AddConstraint(
            model_name='importrun',
            constraint=models.CheckConstraint(condition=models.Q(('lease_until', None), ('state', 'running'), _connector='XOR'), name='import_lease_while_running'),
        ),
        migrations.AddConstraint(
            model_name='importrun',
            constraint=models.CheckConstraint(condition=models.Q(('finished_at', None), ('state__in', ('done', 'stopped', 'failed')), _connector='XOR'), name='import_finished_at_its_end'),
        ),
        migrations.AddConstraint(
            model_name='importrun',
            constraint=models.CheckConstraint(condition=models.Q(('state', 'draft'), ('source__isnull', False), _connector='OR'), name='import_goes_into_a_source'),
        ),
    ]
