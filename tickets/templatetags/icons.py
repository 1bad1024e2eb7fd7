"""The tags of heroicons, each icon drawn once a process: the package writes it anew wherever it stands."""

from __future__ import annotations

from functools import lru_cache

from django import template
from heroicons.templatetags import heroicons

register = template.Library()
for draw in (heroicons.heroicon_micro, heroicons.heroicon_outline):
    register.simple_tag(lru_cache(maxsize=512)(draw))
