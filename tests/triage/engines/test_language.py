from __future__ import annotations

import pytest

from triage.engines.language import detect


@pytest.mark.parametrize(
    "text",
    [
        "I cannot sign in since this morning",
        "Wifi broken",
        "API 429 errors",
        "VPN down",
        "how do i change name?",
        "Traceback (most recent call last): File sync.py, line 41, in <module>",
    ],
)
def test_english_is_known_however_short(text: str) -> None:
    assert detect(text).known


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Mein Drucker funktioniert seit heute nicht mehr", "de"),
        ("Bonjour, je ne peux plus me connecter depuis ce matin", "fr"),
        ("no puedo entrar en mi cuenta", "es"),
        ("我无法登录我的帐户", "zh"),
        ("Не могу войти в систему", "ru"),
        ("لا أستطيع تسجيل الدخول إلى حسابي", "ar"),
    ],
)
def test_other_languages_are_named_and_not_known(text: str, code: str) -> None:
    language = detect(text)
    assert (language.code, language.known) == (code, False)


@pytest.mark.parametrize("text", ["", "12345", "😀 😀", "?!"])
def test_without_letters_it_is_undetermined(text: str) -> None:
    assert detect(text).code == "und"
