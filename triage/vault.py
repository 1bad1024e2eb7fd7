"""Secrets of sources (tokens, passwords) as they lie in the database: encrypted with a key made from SECRET_KEY.

A new SECRET_KEY with the old one in SECRET_KEY_FALLBACKS still opens what was locked before; `rotate` locks it anew.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_PURPOSE = b"triage.vault 1"


class VaultError(Exception):
    """This was not locked with the SECRET_KEY in force, nor with a fallback, or was changed since."""


def encrypt(text: str) -> str:
    """The text, locked and signed; another result each time. An empty text stays empty."""
    return _lock().encrypt(text.encode()).decode("ascii") if text else ""


def decrypt(locked: str) -> str:
    """What was locked. Raises VaultError."""
    from cryptography.fernet import InvalidToken

    if not locked:
        return ""
    try:
        return _lock().decrypt(locked.encode("ascii", "replace")).decode()
    except InvalidToken:
        raise VaultError("this secret cannot be opened with the present SECRET_KEY; enter it again") from None


def rotate(locked: str) -> str:
    """The same secret, locked with the SECRET_KEY in force. Raises VaultError."""
    return encrypt(decrypt(locked))


def _lock() -> MultiFernet:
    if not settings.SECRET_KEY:
        raise ImproperlyConfigured("SECRET_KEY is not set: secrets can be neither locked nor opened.")
    return _keyring((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=4)
def _keyring(secrets: tuple[str, ...]) -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def derived(secret: str) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.encode())

    return MultiFernet([Fernet(base64.urlsafe_b64encode(derived(secret))) for secret in secrets])
