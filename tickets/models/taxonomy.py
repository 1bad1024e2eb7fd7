from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models

lower_case_key = RegexValidator(r"^[a-z][a-z0-9_]{0,49}$", "Use lower-case letters, digits and underscores.")


class Label(models.Model):
    """One value that a ticket may be given. The key is for machines and never changes; the rest is for people."""

    key = models.CharField(max_length=50, unique=True, validators=[lower_case_key])
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True, help_text="One sentence. A language model reads it, and so do people.")
    aliases = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    active = models.BooleanField(default=True, help_text="An inactive label stays on old tickets and is given to none.")

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Category(Label):
    default_team = models.ForeignKey("tickets.Team", models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta(Label.Meta):
        verbose_name_plural = "categories"


class Component(Label):
    class Meta(Label.Meta):
        pass
