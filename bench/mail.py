"""10,000 mails of mixed kinds in a mailbox, read over IMAP by one process: how quickly, and whether memory grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path

from bench.rows import Row
from bench.stage import ROOT
from tests.imap_server import ImapServer, imap_server
from tests.mails import DESK, bounce, octets, written

MAILS = 10_000
WARM = 1_000  # mails after which memory is looked at first
KINDS = 10  # of which eight make or add to a ticket
TAKEN = 8


def run(data: Path | None) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as folder, imap_server() as server:
        Path(folder).chmod(0o755)  # root's database runs as another user, who must reach it
        os.environ |= {
            "TRIAGE_VAR": f"{folder}/var",
            "DJANGO_SETTINGS_MODULE": "triage.settings",
            "LOG_LEVEL": "WARNING",
        }
        try:
            for number in range(MAILS):
                server.inbox.put(_mail(number))
            _plant(server)
            worker = [sys.executable, "-m", "bench.mail"]  # of its own: nobody else's memory counts as the worker's
            env = {**os.environ, "TRIAGE_ROLE": "worker"}
            done = subprocess.run(worker, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
            left = len(server.inbox.unseen)
        finally:
            subprocess.run([sys.executable, "manage.py", "stop"], cwd=ROOT, check=False, stdout=sys.stderr)
    rows = [Row(*row) for row in json.loads(done.stdout.splitlines()[-1])]
    return [*rows, Row("left unread in the mailbox", float(left), "0", "mails")]


def _mail(number: int) -> bytes:
    """One of ten kinds: text, HTML, a file, an image in the text, an answer, German in Latin-1, a list, Outlook's own
    format; and an automatic answer and a report about nothing of ours, which make no ticket."""
    sender = f"Customer {number % 3_000} <c{number % 3_000}@example.com>"
    text = (
        f"The CSV export of list {number} stops half way and shows an error. " * 6 + "\n\n-- \nCustomer\nExample Ltd\n"
    )
    identity = f"<bench-{number}@mail.example.com>"
    mail = written(text, sender=sender, subject=f"Export {number} fails", identity=identity)
    match number % KINDS:
        case 1:
            mail.add_alternative(
                "<html><body>" + "<p>It <b>stops</b> half way.</p>" * 60 + "</body></html>", subtype="html"
            )
        case 2:
            mail.add_attachment(os.urandom(40_000), "application", "pdf", filename="screen.pdf")
        case 3:
            mail.add_alternative('<p>Look: <img src="cid:one"></p>', subtype="html")
            _html_of(mail).add_related(b"\x89PNG\r\n\x1a\n" + os.urandom(8_000), "image", "png", cid="<one>")
        case 4:
            # to the mail of the same sender ten thousand places away there is none: to the one 3,000 before
            before = f"<bench-{number - 3_000}@mail.example.com>" if number >= 3_000 else ""
            quoted = f"Still so.\n\nOn Mon, 2 Nov 2026 at 10:00, Support <{DESK}> wrote:\n" + "> as it was\n" * 40
            mail = written(
                quoted, sender=sender, subject=f"Re: Export {number} fails", identity=identity, answers=before
            )
        case 5:
            return octets(mail).replace(b"utf-8", b"iso-8859-1").replace(b"half way", b"h\xe4lftig")
        case 6:
            mail["List-Id"] = "<dev.lists.example.com>"
        case 7:
            mail.add_attachment(os.urandom(5_000), "application", "ms-tnef", filename="winmail.dat")
        case 8:
            mail["Auto-Submitted"] = "auto-replied"
        case 9:
            return bounce(f"<never-{number}@desk.example>")
    return octets(mail)


def _html_of(mail: EmailMessage) -> EmailMessage:
    part = mail.get_body(("html",))
    if not isinstance(part, EmailMessage):
        raise TypeError("the mail has no HTML")
    return part


def _plant(server: ImapServer) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from tickets.actions.seeding import plant_taxonomy
    from tickets.models import Mailbox, Source

    call_command("migrate", verbosity=0)
    plant_taxonomy()
    source = Source.objects.create(kind="email", name="Bench mail", sender=f"Support <{DESK}>")
    mailbox = Mailbox(
        source=source, address=DESK, host="127.0.0.1", port=server.port, security="none", username=server.user
    )
    mailbox.secret = server.password
    mailbox.save()
    connections.close_all()


def _read() -> list[Row]:
    import django

    django.setup()
    from tickets.actions import mailboxes
    from tickets.models import Mail, Mailbox, Message

    began, looked, early = time.perf_counter(), 0, 0.0
    while Mailbox.objects.get().read_at is None:
        for claimed in mailboxes.claim(1):
            looked += mailboxes.read(claimed)
        if not early and looked >= WARM:
            early = _memory()
    whole, late = time.perf_counter() - began, _memory()
    error = Mailbox.objects.get().error
    if error:
        raise RuntimeError(error)
    taken = Message.objects.filter(kind="inbound").count()
    return [
        Row(f"mails of mixed kinds read over IMAP and stored, {MAILS:,} in all", looked / whole, "≥ 50", "a second"),
        Row("mails known, each once", float(Mail.objects.count()), f"{MAILS:,}", "rows"),
        Row("messages of customers of them", float(taken), f"{MAILS * TAKEN // KINDS:,}", "messages"),
        Row("memory of the process in the end", late, "", "MB RSS"),
        Row("memory gained after the first thousand or so", late - early, "≤ 30", "MB RSS"),
    ]


def _memory() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    print(json.dumps(_read()))
