from __future__ import annotations

import pytest

from triage.embedding import clean
from triage.engines.language import detect
from triage.learning import starter


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


@pytest.mark.parametrize(
    "text",
    [
        "Hallo Team, der Login fails again: ich bekomme einen Error 500 und kann nicht auf mein Dashboard zugreifen",
        "Hola, mi dashboard no carga, I get an error 500 cuando intento exportar los datos del board",
        "Mera account login nahi ho raha hai, password reset ka email bhi nahi aaya, please help",
        "I cannot log in to my account. Ich kann mich nicht mehr in mein Konto einloggen.",
        "The export fails since yesterday, das ist sehr \u00e4rgerlich, bitte schnell reparieren",
        "\u6211\u7684 account login \u5931\u8d25 error 500 \u65e0\u6cd5\u6253\u5f00 dashboard please help",
    ],
)
def test_english_words_do_not_make_a_mixed_text_known(text: str) -> None:
    assert not detect(text).known


def test_no_english_text_of_the_starter_set_is_taken_for_foreign() -> None:
    foreign = [row.title for row in starter.rows() if not detect(clean(row.text)).known]
    assert len(foreign) <= len(starter.rows()) // 400
