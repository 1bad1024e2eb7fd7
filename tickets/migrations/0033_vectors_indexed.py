import pgvector.django.indexes
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ("tickets", "0032_vectors_moved"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='ticket',
            name='ticket_nearest',
        ),
        migrations.AddIndex(
            model_name='ticketvector',
            index=pgvector.django.indexes.HnswIndex(ef_construction=64, fields=['embedding'], m=16, name='ticket_nearest_apart', opclasses=['halfvec_cosine_ops']),
        ),
    ]
