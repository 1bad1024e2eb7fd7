from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from triage import vault


def test_what_is_locked_opens_again_and_shows_nothing() -> None:
    locked = vault.encrypt("ghp_secret ü")
    assert "secret" not in locked and locked != vault.encrypt("ghp_secret ü")
    assert vault.decrypt(locked) == "ghp_secret ü"


def test_an_empty_secret_stays_empty() -> None:
    assert vault.encrypt("") == vault.decrypt("") == ""


def test_an_old_key_among_the_fallbacks_still_opens(settings: Settings) -> None:
    settings.SECRET_KEY = "old key"
    locked = vault.encrypt("secret")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new key", ["old key"]
    assert vault.decrypt(locked) == "secret"
    anew = vault.rotate(locked)
    settings.SECRET_KEY_FALLBACKS = []
    assert vault.decrypt(anew) == "secret"
    with pytest.raises(vault.VaultError, match="enter it again"):
        vault.decrypt(locked)


@pytest.mark.parametrize("spoilt", ["nonsense", "ünicode", "gAAAAAB" + "x" * 80])
def test_what_was_changed_does_not_open(spoilt: str) -> None:
    with pytest.raises(vault.VaultError):
        vault.decrypt(spoilt)


def test_without_a_secret_key_nothing_is_locked(settings: Settings) -> None:
    settings.SECRET_KEY = ""
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
        vault.encrypt("secret")
