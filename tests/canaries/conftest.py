"""The cast is that of the tickets."""

from tests.tickets.conftest import _staff, form, lead, taxonomy

__all__ = ["_staff", "form", "lead", "taxonomy"]
