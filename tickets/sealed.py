"""A model field for secrets of third parties: encrypted in the database, never shown again once it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from triage import vault

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    _TextField = models.TextField["Secret | str", "Secret"]
else:
    _TextField = models.TextField


class Secret:
    """A secret as it lies in the database. Only `open()` tells it; printing, logging and templates show dots."""

    __slots__ = ("locked",)

    def __init__(self, locked: str = "") -> None:
        self.locked = locked

    @classmethod
    def of(cls, text: str) -> Secret:
        return cls(vault.encrypt(text))

    def open(self) -> str:
        """Its text. Raises triage.vault.VaultError where the SECRET_KEY in force, and its fallbacks, do not open it."""
        return vault.decrypt(self.locked)

    def anew(self) -> Secret:
        """The same secret under the SECRET_KEY in force. Raises triage.vault.VaultError."""
        return Secret(vault.rotate(self.locked))

    def __bool__(self) -> bool:
        return bool(self.locked)

    def __repr__(self) -> str:
        return "Secret(•••)" if self.locked else "Secret()"

    def __str__(self) -> str:
        return "•••" if self.locked else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.locked == other.locked

    def __hash__(self) -> int:
        return hash(self.locked)


class _Sealing(DeferredAttribute):
    """A text that is assigned is locked at once: no instance ever holds it open."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = Secret.of(value) if isinstance(value, str) else value


class SealedField(_TextField):
    """Assign the text of a secret; read a `Secret`. Empty text is no secret.

    Forms and the administration leave it out. It can be looked up by emptiness alone: the same text is locked
    differently each time.
    """

    descriptor_class = _Sealing
    if TYPE_CHECKING:
        _pyi_private_set_type: Secret | str  # type: ignore[assignment]
        _pyi_private_get_type: Secret  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("editable", False)
        kwargs.setdefault("blank", True)
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> Secret:
        return Secret(value or "")

    def to_python(self, value: Any) -> Secret:
        """A text is what a fixture holds: locked already."""
        return value if isinstance(value, Secret) else Secret(value or "")

    def get_prep_value(self, value: Any) -> str:
        if isinstance(value, Secret):
            return value.locked
        return vault.encrypt(value or "")

    def value_to_string(self, obj: models.Model) -> str:
        secret: Secret = self.value_from_object(obj)
        return secret.locked

    def get_lookup(self, lookup_name: str) -> Any:
        return super().get_lookup(lookup_name) if lookup_name in ("exact", "isnull") else None
