from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triage.mask import mask, mask_all, redact, unmask, unmask_json

NAMES = ("Jane Doe",)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("jane.doe+desk@example.co.uk", "email"),
        ("jürgen@exämple.de", "email"),
        ("+49 30 1234567", "phone"),
        ("0044 20 7946 0958", "phone"),
        ("(555) 867-5309", "phone"),
        ("555-867-5309", "phone"),
        ("5558675309", "phone"),
        ("06 12 34 56 78", "phone"),
        ("0171/1234567", "phone"),
        ("98765 43210", "phone"),
        ("4111 1111 1111 1111", "card"),
        ("5500000000000004", "card"),
        ("3782 822463 10005", "card"),
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("gb29nwbk60161331926819", "iban"),
        ("203.0.113.9", "ip"),
        ("2001:db8::ff00:42:8329", "ip"),
        ("sk-ant-api03-abcdefghijklmnop", "key"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "key"),
        ("AKIAIOSFODNN7EXAMPLE", "key"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N", "key"),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "key"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "key"),
        ("Jane Doe", "name"),
        ("jane doe", "name"),
        ("JANE", "name"),
    ],
)
def test_it_masks(value: str, kind: str) -> None:
    masked = mask(f"It is {value}, as I said.", NAMES)
    assert masked.counts == {kind: 1}
    assert masked.text == f"It is [{kind.upper()}_1], as I said."
    assert unmask(masked.text, masked.restore) == f"It is {value}, as I said."


@pytest.mark.parametrize(
    "text",
    [
        "version 10.15.7 of lodash@4.17.21 fails since 2026-11-20 14:30:22.123",
        "20.11.2026 and 11/20/2026 and 2026/11/20",
        "error 500 at 0x7fff5fbff8a0, order 12345, 1,234,567.89 dollars",
        "id 550e8400-e29b-41d4-a716-446655440000 in std::vector, a::b, 12:30:45",
        "1234 5678 9012 3456 is no card, and XX00 1234 5678 9012 34 no account",
        "127.0.0.1 and ::1 are this machine, 1700000000 is a moment",
        "the password is wrong and the token: expired",
        "some-very-long-kebab-case-identifier-of-a-component",
        "doer, janet and undone are other words",
    ],
)
def test_it_leaves_what_is_nobodys(text: str) -> None:
    assert mask(text, NAMES).text == text


def test_a_word_that_is_also_a_name_is_masked_as_a_name_only() -> None:
    assert mask("Will Bill pay the bill? I will.", ("Bill Will",)).text == "[NAME_1] [NAME_2] pay the bill? I will."


@pytest.mark.parametrize(
    ("name", "text"), [("José Núñez", "Jose\u0301 said"), ("José Núñez", "Jose said"), ("王伟", "我是王伟。")]
)
def test_a_name_is_found_however_it_is_written(name: str, text: str) -> None:
    assert "[NAME_1]" in mask(text, (name,)).text


@pytest.mark.parametrize("name", ["Support Team", "x", "", "   ", "12345", "jane@example.com", "[EMAIL_1]", "((", "\\"])
def test_a_name_that_names_nobody_does_no_harm(name: str) -> None:
    text = "The support team (x) wrote 12345 \\ [EMAIL_1] to jane@example.com (("
    masked = mask(text, (name,))
    assert unmask(masked.text, masked.restore) == text


def test_one_value_has_one_placeholder_in_all_texts() -> None:
    texts, restore, counts = mask_all(["a@b.cc and c@d.ee", "c@d.ee"])
    assert texts == ["[EMAIL_1] and [EMAIL_2]", "[EMAIL_2]"]
    assert restore == {"[EMAIL_1]": "a@b.cc", "[EMAIL_2]": "c@d.ee"} and counts == {"email": 2}


def test_letters_that_look_like_a_placeholder_mean_themselves() -> None:
    masked = mask("[EMAIL_1] is not a@b.cc")
    assert masked.text == "[EMAIL_1] is not [EMAIL_2]"
    assert unmask(masked.text, masked.restore) == "[EMAIL_1] is not a@b.cc"


def test_a_placeholder_nobody_gave_out_stays() -> None:
    assert unmask("[EMAIL_7] [IBAN_1]", {"[EMAIL_1]": "a@b.cc"}) == "[EMAIL_7] [IBAN_1]"


def test_a_value_returns_into_json_without_ending_its_string() -> None:
    restored = unmask_json('{"x": "[NAME_1]"}', {"[NAME_1]": 'a"b\\c\n'})
    assert json.loads(restored) == {"x": 'a"b\\c\n'}


_parts = st.sampled_from(
    [
        "[EMAIL_1]",
        "[EMAIL_2]",
        "email_1",
        "(NAME_1)",
        "[ Name 1 ]",
        "{phone-1}",
        "\u738b\u4f1f",
        "[NAME_1",
        "_1]",
        "[",
        "]",
        "a@b.cc",
        "x@y.org",
        "Jane",
        "Doe",
        "Jane Doe",
        " ",
        "\n",
        "+49 30 1234567",
        "4111111111111111",
        ".",
        "-",
        "1",
        "DE89370400440532013000",
        "203.0.113.9",
        "sk-ant-api03-abcdefghijklmnop",
        "password: x1y2z3",
    ]
)


@given(st.lists(_parts | st.text(max_size=8), max_size=30).map("".join))
@example("[EMAIL_1]a@b.cc[EMAIL_2]x@y.org[EMAIL_3]")
@example("4111111111111111EMAIL_1 a@b.cc")
@example("email 1 of a@b.cc, e-mail_1")
def test_what_was_masked_returns_as_it_was(text: str) -> None:
    masked = mask(text, (*NAMES, "\u738b\u4f1f", "O'Neil-Gro\u00df"))
    assert unmask(masked.text, masked.restore) == text


@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_and_any_name_return_as_they_were(text: str, names: list[str]) -> None:
    masked = mask(text, names)
    assert unmask(masked.text, masked.restore) == text


PHONES = {
    "US": ["+1 (415) 555-2671", "415.555.2671", "1-800-555-0199"],
    "GB": ["+44 20 7946 0958", "07700 900123", "(0161) 496 0123"],
    "DE": ["+49 (0)30 1234567", "030/1234567", "0171 1234567"],
    "FR": ["+33 1 23 45 67 89", "01.23.45.67.89"],
    "ES": ["+34 612 34 56 78", "912 345 678"],
    "IT": ["+39 06 1234 5678", "347 123 4567"],
    "NL": ["+31 6 12345678", "06-12345678"],
    "CH": ["+41 44 668 18 00", "079 123 45 67"],
    "BR": ["+55 11 91234-5678", "(11) 91234-5678"],
    "IN": ["+91 98765 43210", "98765-43210", "09876543210"],
    "JP": ["+81 3-1234-5678", "090-1234-5678"],
    "AU": ["+61 4 1234 5678", "(02) 9876 5432"],
    "PL": ["+48 601 234 567", "601 234 567"],
    "CN": ["+86 138 0013 8000", "13800138000"],
    "RU": ["+7 (495) 123-45-67", "8 (495) 123-45-67"],
    "AE": ["+971 50 123 4567"],
}


@pytest.mark.parametrize("number", [number for numbers in PHONES.values() for number in numbers])
def test_it_knows_how_numbers_are_written_in_many_countries(number: str) -> None:
    assert mask(f"It is {number}, as I said.").text == "It is [PHONE_1], as I said."


LETTERS = "abcdefghijklmnopqrstuvwxyz"
SECRETS = [
    f"gho_{LETTERS}0123456789",
    f"github_pat_11ABCDEFG0{LETTERS}_MNOPQRSTUVWXYZ0123456789",
    "xoxb-123456789012-1234567890123-AbCdEfGhIjKl",
    "xapp-1-A0123456789-1234567890123-abcdef0123456789",
    "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXX",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "rk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "whsec_abcdefghijklmnopqrstuv1234",
    "sk-ant-api03-Zk4vQ8sT2mN6xW1yR9uB-AA",
    "sk-proj-abcDEF0123456789_abcdef",
    f"sk-{LETTERS}012345",
    "ASIAY34FZKBOKMUTVV7A",
    f"AIzaSyD-{LETTERS}01234",
    f"ya29.a0AfH6SMBx{LETTERS}",
    "glpat-abcdefghij0123456789",
    f"npm_{LETTERS}0123456789",
    f"hf_{LETTERS}",
    f"SG.{LETTERS}.wxyz0123456789{LETTERS}",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb\n-----END OPENSSH PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQ\n-----END PGP PRIVATE KEY BLOCK-----",
    "-----BEGIN PRIVATE KEY-----\r\nMIIE\r\n-----END PRIVATE KEY-----",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_it_knows_the_keys_of_the_usual_makers(secret: str) -> None:
    assert mask(f"It is {secret} as I said.").text == "It is [KEY_1] as I said."


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
        ("AWS_SECRET=abc123def456", "abc123"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNl"),
        ("client-secret-value: q1w2e3r4", "q1w2"),
        ("Password: hunter22", "hunter22"),
        ("Passwort ist Sommer2024", "Sommer2024"),
        ("mot de passe : Soleil99", "Soleil99"),
        ("contraseña: Verano99", "Verano99"),
        ("senha é Praia2024", "Praia2024"),
        ("密码是abc12345", "abc12345"),
        ("postgres://desk:s3cretpw@db.example.org/desk", "s3cretpw"),
    ],
)
def test_what_stands_behind_the_word_for_a_secret_is_masked(text: str, secret: str) -> None:
    masked = mask(text)
    assert secret not in masked.text
    assert unmask(masked.text, masked.restore) == text


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("Jane Doe", "JANE's|Jane\u2019s|jane.doe|jane_doe|janedoe|DOE|jAnE"),
        (
            "Anne-Marie Müller-Lüdenscheidt",
            "Anne|Anne-Marie|Anne\u2010Marie|ANNE MARIE|Mueller|Muller|Müllers|Lüdenscheidt",
        ),
        ("Conor O'Neil", "O\u2019Neil|ONeil|O'neil|CONOR"),
        ("Jürgen Groß", "Juergen Gross|JUERGEN|Jurgen|GROSS"),
        ("Øyvind Åse", "Oyvind|Oeyvind|Aase|Ase"),
        ("Łukasz Żak", "Lukasz|Zak|ŁUKASZ"),
        ("José María García", "jose|GARCIA|Jose\u0301"),
        ("Иван Петров", "иван|ПЕТРОВ"),
        ("Will May", "Will|MAY"),
    ],
)
def test_a_name_is_masked_in_every_dress(name: str, texts: str) -> None:
    for text in texts.split("|"):
        masked = mask(f"so {text} wrote", (name,))
        assert masked.text.startswith("so [NAME_1]"), (text, masked.text)
        assert not re.search(r"[^\W\d_]{2}", masked.text.replace("[NAME_1]", "").replace("so", "").replace("wrote", ""))


def test_a_name_that_is_made_of_words_leaves_the_words() -> None:
    text = "I will pay in may, a null pointer, the best case of the day"
    assert mask(text, ("Will May", "Null Case", "Best Day")).text == text


@pytest.mark.parametrize(
    "said", ["EMAIL_1", "[email_1]", "(EMAIL_1)", "[ EMAIL_1 ]", "[EMAIL-1]", "{Email 1}", "<EMAIL_1>"]
)
def test_a_placeholder_that_a_model_bent_is_understood(said: str) -> None:
    assert unmask(f"Write to {said}.", {"[EMAIL_1]": "a@b.cc"}) == "Write to a@b.cc."
    assert json.loads(unmask_json(json.dumps({"x": said}), {"[EMAIL_1]": 'a"b'})) == {"x": 'a"b'}


@pytest.mark.parametrize("said", ["email 1", "EMAIL_10", "my_email_1", "EMAIL_1x", "MAIL_1", "[EMAIL_1"])
def test_what_is_no_placeholder_stays(said: str) -> None:
    assert unmask(f"See {said} there", {"[EMAIL_1]": "a@b.cc"}).count("a@b.cc") == (said == "[EMAIL_1")


def test_the_desks_own_words_name_no_customer() -> None:
    texts, _, counts = mask_all(
        ["- access: rights", "Access asks for access, says access@x.org"], ["Grant Access"], ours=1
    )
    assert texts[0] == "- access: rights" and "ccess" not in texts[1]
    assert counts == {"email": 1, "name": 2}


# A megabyte that would take hours if a pattern looked at anything twice. The limit of the whole suite ends this test.
@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a.",
        "a@",
        "a@b.",
        "a@b.c ",
        "1",
        "1 ",
        "4111 ",
        "DE89 ",
        "::",
        "1.1.",
        "(0",
        "+1(",
        "-----BEGIN PRIVATE KEY ",
        "sk-",
        "password:",
        "token = ",
        "eyJ",
        "Jane ",
        "Dear a\n",
        "hi ",
        "\n",
        " ",
        "http://?",
        "[EMAIL_1]",
        "tel ",
        "1 A",
    ],
)
def test_a_megabyte_is_read_once(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    masked = mask(text, NAMES)
    assert unmask(masked.text, masked.restore) == text
    redact(text[:200_000], NAMES)


# Another customer's words.


def test_a_quoted_reply_names_nobody() -> None:
    reply = (
        "Dear Ms Smith,\n\nyour order #A-12345 (invoice 99812) went to 12 Baker Street, London SW1A 1AA. "
        "Smith, we wrote to jane@example.com and called +44 20 7946 0958.\n"
        "Clear the cache and sign in again: https://example.com/reset?user=17\n\nKind regards,\nBob\nSupport"
    )
    redacted = redact(reply, ("Jane Smith",))
    for personal in ("Smith", "Jane", "12345", "99812", "Baker", "SW1A", "jane@", "7946", "user=17", "Bob"):
        assert personal not in redacted
    assert redacted.startswith("Hello,\n\nyour order #(number)")
    assert "Clear the cache and sign in again: https://example.com/reset" in redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi Max, try again.", "Hi, try again."),
        ("Hello and thank you for writing about the invoice.", "Hello and thank you for writing about the invoice."),
        ("Hallo Frau Müller,\nMüller steht im Vertrag.", "Hallo,\n(name) steht im Vertrag."),
        ("Ihre Adresse Hauptstraße 5, 10115 Berlin", "Ihre Adresse (address), (number) Berlin"),
        ("The plan costs $49 a month since 2026.", "The plan costs $49 a month since 2026."),
        ("Restart it and wait 30 seconds.", "Restart it and wait 30 seconds."),
    ],
)
def test_it_takes_names_and_numbers_and_leaves_the_answer(text: str, expected: str) -> None:
    assert redact(text) == expected
