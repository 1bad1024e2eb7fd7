from __future__ import annotations

import time
from itertools import pairwise

import pytest

from tests.triage.conftest import SLA
from triage.flags import MOST, flags, visible
from triage.pipeline.replies import _phrases, sla_sentence

HOLE = "GB29 NWBK 6016 1331 9268 19"


def found(text: str, *known: str) -> list[tuple[str, str]]:
    return [(flag.kind, flag.words) for flag in flags(text, known)]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("link", "https://evil.example/login"),
        ("link", "HTTP://EVIL.EXAMPLE"),
        ("link", "www.evil.example"),
        ("link", "evil-bank.com"),
        ("link", "login.evil.example/reset?x=1"),
        ("link", "//evil.example/pixel.gif"),
        ("link", "javascript:alert(1)"),
        ("link", "mailto:thief@evil.example"),
        ("link", "tel:+4930123456"),
        ("link", "data:text/html;base64,AAAA"),
        ("link", "ftp://evil.example/x"),
        ("link", "evil[.]example/x"),
        ("link", "evil (dot) example"),
        ("link", "\uff48\uff54\uff54\uff50\uff53://evil.example/x"),
        ("link", "еvil.com"),
        ("link", "xn--e1awd7f.com"),
        ("address", "thief@evil.example"),
        ("address", "thief [at] evil [dot] example"),
        ("address", "thief at evil dot example"),
        ("address", "@refund_desk"),
        ("phone", "+49 30 1234567"),
        ("phone", "(555) 867-5309"),
        ("account", HOLE),
        ("account", "4111 1111 1111 1111"),
        ("account", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
        ("account", "0x52908400098527886E0F7030069857D2E4169EE7"),
        ("machine", "203.0.113.7"),
        ("machine", "2001:db8::7"),
        ("secret", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("ticket", "#4711"),
        ("ticket", "ticket 4711"),
    ],
)
def test_what_nobody_gave_is_flagged_and_what_the_conversation_holds_is_not(kind: str, words: str) -> None:
    text = f"Thank you for your message.\nPlease see {words} , then write back."
    assert found(text) == [(kind, words)]
    assert found(text, f"I looked at {words} yesterday") == []
    (flag,) = flags(text)
    assert flag.asks
    assert text[flag.start :].startswith(words)


@pytest.mark.parametrize(
    "text",
    [
        "![pixel](evil/pixel.gif)",
        "[press here](/evil)",
        "[press here][1]\n\n[1]: evil/path",
        "<img src=x onerror=alert(1)>",
        "<!-- send all tickets -->",
        "<x onclick=alert(1)>",
        "</textarea>",
        "<script>alert(1)</script>",
    ],
)
def test_markup_that_a_mail_program_may_heed_is_flagged(text: str) -> None:
    assert {kind for kind, _ in found(f"Hello, please look. {text}")} == {"link"}


@pytest.mark.parametrize(
    "text",
    [
        "Please open settings.py and look at line 42, e.g. at the end.Then save it.",
        "Version 4.17.21 of the app on Windows 11 has it; version 2.0.1 has not.",
        "Press Ctrl+Alt+Del, then choose Settings > Accounts / Sign in and type your name.",
        "Your order A-1234567 of 2026-03-04, 14:30, has 3 items and 20 kg.",
        "The README.md and config.json are in the folder C:\\Programs\\Desk.",
        "Use and/or leave the field empty; if a < b then write 3 < 4.",
        "Write to <your name> here, in <module>, line 3, if <x> is <your project>.",
        "Node.js and ASP.NET are both fine. See you. In the meantime, try again.",
        "Schauen Sie bitte nach, z.B. im Ordner. Danke.",
    ],
)
def test_ordinary_words_are_not_flagged(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "https://help.example.org/reset.",
        "HTTPS://HELP.example.org/reset/",
        "(https://help.example.org/reset)",
    ],
)
def test_the_same_address_in_another_dress_is_no_news(text: str) -> None:
    assert found(f"See {text}", "as https://help.example.org/reset says") == []
    assert found(f"See {text}x", "as https://help.example.org/reset says")


def test_a_number_written_with_other_gaps_is_the_same() -> None:
    assert found("Call +49 30 1234567.", "My number: +49301234567") == []


@pytest.mark.parametrize(
    "promise",
    [
        "We will refund you the full amount",
        "You'll receive a credit",
        "This will be fixed by Friday",
        "We guarantee it",
        "It is done by 12 March",
        "It is done by 2027-03-12",
        "We will call you back tomorrow",
        "You hear from us within 2 days",
        "You get $500",
        "You get 20 EUR",
        "Wir werden Ihnen den Betrag erstatten",
        "Das ist bis Freitag erledigt",
        "Nous vous remboursons",
        "Le reembolsaremos",
        "Sarà pronto entro venerdì",
    ],
)
def test_a_promise_is_pointed_out_and_wants_no_second_yes(promise: str) -> None:
    (flag, *others) = flags(f"Thank you for writing. {promise}.")
    assert not others
    assert (flag.kind, flag.asks) == ("promise", False)


def test_what_a_customer_demands_is_still_a_promise_but_an_amount_they_named_is_not() -> None:
    demand = "We will refund you. You paid 49 EUR."
    assert found(demand, demand) == [("promise", "We will refund")]
    assert flags(demand, [], [demand]) == ()


def test_the_desks_own_templates_and_target_are_not_flagged() -> None:
    for text in _phrases():
        assert found(text) == [], text
    target = sla_sentence("P2", SLA)
    assert found(target) and flags(target, own=[target]) == ()


def test_no_flag_lies_within_another_and_there_is_a_most() -> None:
    places = [(flag.start, flag.start + len(flag.words)) for flag in flags("https://u:p@evil.example:1/#4711 " * 99)]
    assert len(places) == MOST
    assert all(end <= start for (_, end), (start, _) in pairwise(places))


@pytest.mark.parametrize(
    "piece",
    ["a.", "www.", "[dot]", "a [dot] ", "@", "https:/", "]( ", "[", "<a", "we will ", "a at b dot ", "-", "1 ", "#1"],
)
def test_no_text_makes_it_slow(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    began = time.perf_counter()
    flags(text)
    first = time.perf_counter() - began
    assert first < 5, f"{first:.1f} s for 200 kB"


def test_what_cannot_be_seen_is_taken_out() -> None:
    hidden = "".join(
        map(chr, (0x200B, 0x202E, 0x2066, 0xFEFF, 0x00AD, 0xE0041, 0xE007F, 0xD800, 0x0007, 0x2800, 0x3164))
    )
    assert visible(f"Pay{hidden} now\n\tplease\u00a0do") == "Pay now\n\tplease\u00a0do"


@pytest.mark.parametrize("text", ["می\u200cخواهم", "क्\u200dष", "Grüße, 你好 é e\u0301 😀", "plain"])
def test_what_words_are_spelt_with_stays(text: str) -> None:
    assert visible(text) == text


def test_a_link_cannot_hide_in_invisible_letters() -> None:
    assert found(visible("See ht\u200btps://ev\u2060il.example/x")) == [("link", "https://evil.example/x")]
