"""The bytes of a mail, read: all that goes wrong in them, and how its own words are told from the rest."""

from __future__ import annotations

import base64
import io
import time
import zipfile
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mails import bounce, octets, written
from tickets.channels.email import kinds, quotes, reading
from tickets.channels.email.headers import Person
from tickets.channels.email.kinds import Kind


def read(mail: EmailMessage | bytes) -> reading.Mail:
    return reading.read(mail if isinstance(mail, bytes) else octets(mail))


def plain(headers: str, body: bytes = b"Hello there.\r\n") -> bytes:
    return headers.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


def test_an_ordinary_mail_is_read_with_who_sent_it_to_whom_and_what_it_answers() -> None:
    mail = read(written(Cc="Lou <lou@example.com>, Max <max@example.com>", answers="<a@x.example>"))
    assert (mail.sender, mail.subject, mail.text) == (
        Person("kim@example.com", "Kim Sample"),
        "Export fails",
        "The CSV export stops half way.\n",
    )
    assert [person.email for person in mail.cc] == ["lou@example.com", "max@example.com"]
    assert mail.thread == ("a@x.example",)
    assert mail.kind == Kind.PERSON


# What breaks mails


def test_the_same_mail_has_the_same_identity_by_another_way_and_another_mail_has_another() -> None:
    mail = octets(written())
    detour = b"Received: from a by b\r\nDelivered-To: x@example.com\r\n" + mail
    assert read(mail).external_id == read(detour).external_id
    assert read(mail).external_id != read(octets(written())).external_id


def test_a_mail_without_message_id_is_known_again_by_what_it_says() -> None:
    first = plain("From: kim@example.com\nSubject: Hello\nDate: Mon, 2 Nov 2026 09:00:00 +0000")
    other = plain("From: kim@example.com\nSubject: Hello\nDate: Mon, 2 Nov 2026 09:00:00 +0000", b"Something else.\r\n")
    assert read(first).message_id == ""
    assert read(first).external_id == read(b"Received: by another way\r\n" + first).external_id
    assert read(first).external_id != read(other).external_id


def test_two_mails_of_a_sender_with_one_message_id_for_all_are_two() -> None:
    mails = [read(written(identity="<always@printer.example>")) for _ in range(2)]
    assert mails[0].message_id == mails[1].message_id
    assert mails[0].external_id != mails[1].external_id


def test_of_hundreds_of_headers_of_one_name_the_first_are_read_quickly() -> None:
    line = "To: " + ", ".join(f"p{number}@example.com" for number in range(1_000))
    began = time.monotonic()
    mail = read(plain("\n".join(["From: kim@example.com", *[line] * 300, "Subject: Hello"])))
    assert mail.to[0].email == "p0@example.com" and len(mail.to) == 50
    assert time.monotonic() - began < 8


def test_of_a_thousand_references_the_beginning_and_the_end_are_kept_quickly() -> None:
    references = " ".join(f"<m{number}@x.example>" for number in range(1000))
    began = time.perf_counter()
    mail = read(plain(f"From: kim@example.com\nSubject: Hello\nReferences: {references}"))
    assert time.perf_counter() - began < 1
    assert len(mail.thread) <= 60
    assert {"m0@x.example", "m999@x.example"} <= set(mail.thread)


@pytest.mark.parametrize(
    ("charset", "octets_", "expected"),
    [
        ("utf-8", "Grüße".encode("latin-1"), "Grüße"),  # says one and is another
        ("iso-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        ("no-such-charset", "Grüße".encode(), "Grüße"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("x-user-defined", "Grüße".encode("cp1252"), "Grüße"),
        ("gb2312", "你好".encode("gb2312"), "你好"),
        ("iso-2022-jp", "こんにちは".encode("iso-2022-jp"), "こんにちは"),
        ("=?bad?=", b"plain", "plain"),
    ],
)
def test_a_text_in_a_wrong_or_unknown_charset_is_read_as_what_it_is(
    charset: str, octets_: bytes, expected: str
) -> None:
    raw = plain(f"From: kim@example.com\nContent-Type: text/plain; charset={charset}", octets_)
    assert read(raw).text.strip() == expected


BROKEN = {
    "nothing at all": b"",
    "a body alone": b"\r\n\r\nHello",
    "no end of headers": b"From: kim@example.com\r\nSubject: Hello",
    "a boundary that never comes": plain('From: kim@example.com\nContent-Type: multipart/mixed; boundary="x"'),
    "a boundary that never ends": plain(
        'From: kim@example.com\nContent-Type: multipart/mixed; boundary="x"', b"--x\r\n\r\nHello there.\r\n"
    ),
    "multipart without a boundary": plain("From: kim@example.com\nContent-Type: multipart/mixed"),
    "broken base64": plain("From: kim@example.com\nContent-Transfer-Encoding: base64", b"SGVsbG8gdGhlcmU*?=\r\n"),
    "unknown transfer encoding": plain("From: kim@example.com\nContent-Transfer-Encoding: rot13"),
    "headers of raw bytes": b"From: K\xefm <kim@example.com>\r\nSubject: Gr\xfc\xdfe\r\n\r\nHello",
    "encoded words that break off": plain("From: =?utf-8?B?S2lt?\nSubject: =?utf-8?Q?Gr=C3=BC?= =?nope?X?zz?="),
    "no sender": plain("Subject: Hello"),
    "a sender that is none": plain("From: undisclosed recipients:;"),
    "twenty senders": plain("From: " + ", ".join(f"a{n}@example.com" for n in range(20))),
    "a date that is none": plain("From: kim@example.com\nDate: yesterday, about noon"),
    "a date beyond time": plain("From: kim@example.com\nDate: Mon, 2 Nov 99999 09:00:00 +9999"),
    "nul bytes": plain("From: kim@example.com\nSubject: a\x00b", b"He\x00llo\x0b\r\n"),
    "a subject of a megabyte": plain("From: kim@example.com\nSubject: " + "x" * 1_000_000),
    "parts within parts": plain(
        "From: kim@example.com\nContent-Type: multipart/mixed; boundary=b0",
        b"".join(
            f"--b{n}\r\nContent-Type: multipart/mixed; boundary=b{n + 1}\r\n\r\n".encode() for n in range(3_000)
        ),
    ),
    "five thousand parts": plain(
        "From: kim@example.com\nContent-Type: multipart/mixed; boundary=b",
        b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 5_000 + b"--b--\r\n",
    ),
    "a filename of another world": plain(
        "From: kim@example.com\nContent-Type: application/pdf; name*=no-such'x'%FF%FE\n"
        "Content-Disposition: attachment; filename*0*=bad'%%; filename*2=x"
    ),
}  # fmt: skip


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_mail_is_read_all_the_same_and_quickly(raw: bytes) -> None:
    began = time.perf_counter()
    mail = read(raw)
    assert time.perf_counter() - began < 5
    assert len(mail.external_id) == 64
    assert "\x00" not in mail.text + mail.subject


@given(st.binary(max_size=2_000))
@settings(max_examples=200, deadline=None)
def test_no_bytes_whatever_break_the_reading(raw: bytes) -> None:
    reading.read(b"From: kim@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n" + raw)
    reading.read(raw)


def test_of_a_mail_with_too_many_parts_the_first_are_read_and_it_says_so() -> None:
    assert any("parts" in note for note in read(BROKEN["five thousand parts"]).notes)


# What comes along


def with_file(kind: str, name: str, content: bytes, extra: str = "") -> reading.Mail:
    body = base64.encodebytes(content).decode()
    return read(
        plain(
            "From: kim@example.com\nContent-Type: multipart/mixed; boundary=b",
            (
                "--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n"
                f'--b\r\nContent-Type: {kind}\r\nContent-Disposition: attachment; filename="{name}"\r\n{extra}'
                f"Content-Transfer-Encoding: base64\r\n\r\n{body}\r\n--b--\r\n"
            ).encode(),
        )
    )


def test_what_outlook_packs_into_its_own_format_is_kept_unopened_and_said() -> None:
    mail = with_file("application/ms-tnef", "winmail.dat", b"\x78\x9f\x3e\x22")
    assert [(file.name, file.content) for file in mail.files] == [("winmail.dat", b"\x78\x9f\x3e\x22")]
    assert any("winmail.dat" in note for note in mail.notes)


def test_an_invitation_is_kept_as_a_file() -> None:
    raw = plain(
        "From: kim@example.com\nContent-Type: multipart/alternative; boundary=b",
        b"--b\r\nContent-Type: text/plain\r\n\r\nLet us meet.\r\n"
        b"--b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n--b--\r\n",
    )
    mail = read(raw)
    assert [file.name for file in mail.files] == ["invitation.ics"]
    assert mail.text.strip() == "Let us meet."


def test_a_zip_bomb_is_never_opened() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 50_000_000)
    mail = with_file("application/zip", "bomb.zip", packed.getvalue())
    assert mail.files[0].content == packed.getvalue()
    assert len(mail.text) < 100
    assert any("not opened" in note for note in mail.notes)


def test_an_image_in_the_text_keeps_the_name_that_the_text_calls_it_by() -> None:
    mail = written(html='<p>Look: <img src="cid:pic1" onerror="alert(1)"></p>')
    mail.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<pic1>")  # type: ignore[index,union-attr]
    found = read(mail)
    assert [(file.content_id, file.inline) for file in found.files] == [("pic1", True)]
    assert 'src="cid:pic1"' in found.html and "onerror" not in found.html


def test_html_is_made_safe_and_loads_nothing() -> None:
    html = (
        '<style>p{background:url(http://spy.example)}</style><p style="background:url(http://spy.example)">Hi '
        '<a href="javascript:alert(1)">there</a><script>alert(1)</script><img src="http://spy.example/pixel.gif">'
        '<iframe src="http://spy.example"></iframe><form action="http://spy.example"><input></form></p>'
    )
    safe = read(written(html=html)).html
    assert "spy.example" not in safe and "script" not in safe and "<iframe" not in safe and "<form" not in safe
    assert "Hi" in safe


def test_a_mail_of_html_alone_is_read_as_text() -> None:
    mail = written()
    mail.set_content(
        "<html><body><p>Hello<br>again</p><ul><li>one<li>two</ul><blockquote><p>older</p></blockquote>"
        '<p>See <a href="https://x.example/doc">the manual</a></p><table><tr><td>a<td>b</tr></table></body></html>',
        subtype="html",
    )
    assert read(mail).text.split("\n") == [
        "Hello", "again", "", "- one", "- two", "", "> older", "", "See the manual (https://x.example/doc)", "", "a\tb",
    ]  # fmt: skip


def test_of_a_mail_that_is_too_large_the_headers_are_read() -> None:
    head, _, _ = octets(written(subject="The whole disk")).partition(b"\r\n\r\n")
    mail = reading.read_head(head, 60 * 1024 * 1024)
    assert (mail.subject, mail.size, mail.sender) == ("The whole disk", 60 * 1024 * 1024, mail.sender)
    assert "60 MB" in mail.notes[0]


# Its own words

REPLIES = {
    "english": ("Thanks, works.\n\nOn Fri, 3 Jan 2025 at 10:00, S <s@x.example> wrote:\n> Try.", "Thanks, works."),
    "over two lines": ("Yes.\n\nOn Fri, 3 Jan 2025 at 10:00, Support Desk\n<s@x.example> wrote:\n\n> a", "Yes."),
    "german": ("Danke!\n\nAm Fr., 3. Jan. 2025 um 10:00 Uhr schrieb Support <s@x.example>:\n> Hallo", "Danke!"),
    "french": ("Merci\n\nLe ven. 3 janv. 2025 à 10:00, Support <s@x.example> a écrit :\n> Bonjour", "Merci"),
    "spanish": ("Gracias\n\nEl vie, 3 ene 2025 a las 10:00, Support (<s@x.example>) escribió:\n> Hola", "Gracias"),
    "italian": ("Grazie\n\nIl giorno ven 3 gen 2025 alle ore 10:00 Support <s@x.example> ha scritto:\n> C", "Grazie"),
    "dutch": ("Dank\n\nOp vr 3 jan 2025 om 10:00 schreef Support <s@x.example>:\n> Hoi", "Dank"),
    "portuguese": ("Obrigado\n\nEm sex., 3 de jan. de 2025 10:00, Support <s@x.example> escreveu:\n> Oi", "Obrigado"),
    "outlook": ("Hi\n\n________________________________\nFrom: S\nSent: Friday\nTo: Kim\nSubject: x\n\nold", "Hi"),
    "outlook in german": ("Hallo\n\nVon: Support\nGesendet: Freitag\nAn: Kim\nBetreff: x\n\nalt", "Hallo"),
    "original message": ("Hi\n\n-----Original Message-----\nFrom: Support\nold", "Hi"),
    "signature": ("It fails.\n-- \nKim Sample\nExample Ltd", "It fails."),
    "from a telephone": ("It fails.\n\nSent from my iPhone", "It fails."),
    "answer below": ("On Fri, 3 Jan 2025, Support <s@x.example> wrote:\n> Did it work?\n\nNo.\n", "No."),
    "a list is no signature": ("Steps:\n- open\n- close\n\n    code", "Steps:\n- open\n- close\n\n    code"),
    "point by point": ("On Fri, 3 Jan 2025, S <s@x.example> wrote:\n> One?\nYes\n> Two?\nNo", None),
    "somebody wrote": ("My colleague wrote:\nit does not work.", None),
    "nothing of its own": ("On Fri, 3 Jan 2025, S <s@x.example> wrote:\n> One?", None),
}  # fmt: skip


@pytest.mark.parametrize(("text", "own"), REPLIES.values(), ids=REPLIES.keys())
def test_a_reply_is_told_from_what_it_quotes(text: str, own: str | None) -> None:
    split = quotes.split(text)
    assert split.own == (own if own is not None else text)
    if own is not None and split.rest:
        assert split.own in text and split.rest in text


@pytest.mark.parametrize("text", ["\n" * 200_000, "On " + "x " * 100_000, "> a\n" * 50_000, "From: x\n" * 40_000])
def test_text_made_to_be_slow_is_split_quickly(text: str) -> None:
    began = time.perf_counter()
    quotes.split(text)
    quotes.forward(text)
    assert time.perf_counter() - began < 2


FORWARDS = {
    "gmail": "Please help\n\n---------- Forwarded message ---------\nFrom: Lou Example <lou@example.com>\n"
    "Date: Fri, 3 Jan 2025\nSubject: No invoice\nTo: <ada@desk.example>\n\nWhere is it?",
    "outlook": "Please help\n\nFrom: Lou Example <lou@example.com>\nSent: Friday\nTo: Ada\nSubject: No invoice\n\n"
    "Where is it?",
    "apple": "Please help\n\nBegin forwarded message:\n\n> From: Lou Example <lou@example.com>\n> Subject: No invoice\n"
    "> Date: 3 January 2025\n> To: ada@desk.example\n> \n> Where is it?",
    "german": "Please help\n\n-------- Weitergeleitete Nachricht --------\nBetreff: No invoice\nDatum: Fr\n"
    "Von: Lou Example <lou@example.com>\nAn: ada@desk.example\n\nWhere is it?",
}


@pytest.mark.parametrize("text", FORWARDS.values(), ids=FORWARDS.keys())
def test_a_forwarded_mail_gives_its_first_sender(text: str) -> None:
    found = quotes.forward(text)
    assert found is not None
    assert (found.comment, found.sender.email, found.sender.name) == ("Please help", "lou@example.com", "Lou Example")
    assert (found.subject, found.text) == ("No invoice", "Where is it?")


# What kind it is

KINDS = {
    "a person": (written(), Kind.PERSON),
    "says that it is no program": (written(Auto_Submitted="no"), Kind.PERSON),
    "a holiday": (written(Auto_Submitted="auto-replied"), Kind.AUTO_REPLY),
    "a holiday by precedence": (written(Precedence="auto_reply"), Kind.AUTO_REPLY),
    "a holiday by its own header": (written(X_Autoreply="yes"), Kind.AUTO_REPLY),
    "a holiday by its subject": (written(subject="Automatic reply: Export fails"), Kind.AUTO_REPLY),
    "a holiday in german": (written(subject="Abwesenheit: bis Montag"), Kind.AUTO_REPLY),
    "an alert": (written(Auto_Submitted="auto-generated"), Kind.AUTOMATIC),
    "bulk": (written(Precedence="bulk"), Kind.AUTOMATIC),
    "asks for no answers": (written(X_Auto_Response_Suppress="All"), Kind.AUTOMATIC),
    "a list": (written(List_Id="<dev.lists.example.com>"), Kind.LIST),
    "a newsletter": (written(List_Unsubscribe="<mailto:x@example.com>"), Kind.LIST),
    "a bounce": (bounce("<a@x.example>"), Kind.BOUNCE),
    "a bounce of google": (written(X_Failed_Recipients="kim@example.com"), Kind.BOUNCE),
}


@pytest.mark.parametrize(("mail", "kind"), KINDS.values(), ids=KINDS.keys())
def test_programs_lists_and_mail_servers_are_told_from_people(mail: EmailMessage | bytes, kind: Kind) -> None:
    assert read(mail).kind == kind


@pytest.mark.parametrize(
    ("status", "action", "permanent"),
    [("5.1.1", "failed", True), ("4.4.1", "failed", False), ("4.4.1", "delayed", False)],
)
def test_a_report_says_of_which_mail_and_whether_for_good(status: str, action: str, permanent: bool) -> None:
    report = read(bounce("<ticket-7.x@desk.example>", status=status, action=action)).bounce
    assert report is not None
    assert (report.action, report.permanent, report.recipient) == (action, permanent, "kim@example.com")
    assert report.message_ids == ("ticket-7.x@desk.example",)
    assert "no such user here" in report.detail


def test_a_report_in_words_alone_is_understood_as_far_as_it_goes() -> None:
    text = "550 5.1.1 unknown user\n\n--- the mail ---\nMessage-ID: <ticket-7.x@desk.example>\nSubject: Re: x\n"
    mail = written(text, sender="MAILER-DAEMON@mx.example.net", Return_Path="<>")
    report = read(mail).bounce
    assert report == kinds.Bounce("failed", True, "", "5.1.1", ("ticket-7.x@desk.example",))
