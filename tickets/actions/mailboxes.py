"""Mailboxes: set up by leads, read by the worker on a schedule, every mail stored before it is marked as read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.core.exceptions import ValidationError
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from tickets.actions.deliveries import Claimed
from tickets.actions.errors import Conflict, Forbidden, Invalid, Unavailable
from tickets.actions.mail_thread import own_addresses
from tickets.actions.receiving import refuse, take_in
from tickets.channels.base import clean_line, clean_text
from tickets.channels.email import imap, reading
from tickets.channels.email.imap import Box, Entry, MailboxError
from tickets.models import Mail, Mailbox, Source, leads
from tickets.models.mail import MailboxQuerySet
from tickets.models.work import LEASE
from triage.models import User
from triage.queue import ring

log = structlog.get_logger(__name__)
PORTION = 25  # mails that are listed, stored and put away together
BUDGET = 25.0  # seconds of one reading; what is left then is read at once, by whoever is free
MOST_TRIES = 5
TEXTS = ("address", "host", "username", "token_url", "client_id", "folder", "move_to", "verifier")
CHOICES = ("security", "sign_in", "afterwards")


@dataclass(frozen=True, slots=True)
class Tested:
    """What a mailbox answered to a trial."""

    works: bool
    sentence: str


def keep(*, given: Mapping[str, str], by: User, mailbox: Mailbox | None = None) -> Mailbox:
    """Set a mailbox up, or change it; `given` holds words as a form sends them. Secrets left empty stay as they are.

    Raises Invalid naming the field, Conflict where the name is taken or the folder is read already, Forbidden.
    """
    _require(by)
    kept = mailbox or Mailbox(source=Source(kind="email"))
    before = (kept.host, kept.username, kept.folder)
    _fill(kept, given)
    source = kept.source
    source.name = str(clean_line(given.get("name", ""))) or kept.address
    source.sender = str(clean_line(given.get("sender", "")))
    source.signature = str(clean_text(given.get("signature", ""))).strip()
    if kept.pk and before != (kept.host, kept.username, kept.folder):
        kept.uid_validity = kept.last_uid = None
    _check(kept)
    try:
        with transaction.atomic():
            source.save()
            kept.source = source
            kept.attempts, kept.error, kept.not_before = 0, "", timezone.now()
            kept.save()
    except IntegrityError as taken:
        if "one_reader_a_folder" in str(taken):
            raise Conflict("taken", "This folder of this account is read already.", field="username") from taken
        raise Conflict("taken", f"There is a source \u201c{source.name}\u201d already.", field="name") from taken
    return kept


def acknowledge_at(*, source: Source, on: bool, text: str, by: User) -> None:
    """Whether a source sends receipts, and with which words."""
    _require(by)
    source.receipts, source.receipt_text = on, str(clean_text(text)).strip()[:4_000]
    source.save(update_fields=["receipts", "receipt_text"])


def switch(*, mailbox: Mailbox, on: bool, by: User) -> None:
    """Read it from now on, or no more. What came meanwhile is still there."""
    _require(by)
    Source.objects.filter(pk=mailbox.source_id).update(active=on)
    read_soon(mailbox=mailbox, by=by)


def read_soon(*, mailbox: Mailbox, by: User) -> None:
    """Read it now; what could not be read before is tried again."""
    _require(by)
    with transaction.atomic():
        Mailbox.objects.filter(pk=mailbox.pk).update(not_before=timezone.now(), attempts=0)
        Mail.objects.filter(source=mailbox.source_id, outcome=Mail.Outcome.FAILED).update(tries=0)
        ring("interactive")


def test(*, mailbox: Mailbox, by: User) -> Tested:
    """Sign in and look, changing nothing there."""
    _require(by)
    try:
        with imap.opened(mailbox) as box:
            return Tested(True, f"It works: {box.messages:,} mails in {mailbox.folder}, {box.unseen:,} of them unread.")
    except MailboxError as error:
        return Tested(False, str(error))


def due() -> MailboxQuerySet:
    return Mailbox.objects.due()


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` mailboxes that are due, under a lease."""
    with transaction.atomic():
        waiting = due().order_by("not_before").select_for_update(skip_locked=True, of=("self",))
        taken = list(waiting.values_list("pk", flat=True)[:limit])
        mine = Mailbox.objects.filter(pk__in=taken)
        mine.update(lease_until=timezone.now() + LEASE, claim=F("claim") + 1)
        return [Claimed(*each) for each in mine.values_list("pk", "claim")]


def renew(claimed: Claimed) -> None:
    held = Mailbox.objects.filter(pk=claimed.pk, claim=claimed.claim).exclude(lease_until=None)
    held.update(lease_until=timezone.now() + LEASE)


def read(claimed: Claimed) -> int:
    """Read one claimed mailbox until nothing new is in it or time runs out. Returns how many mails were looked at."""
    mailbox = Mailbox.objects.select_related("source").get(pk=claimed.pk)
    if mailbox.claim != claimed.claim or mailbox.lease_until is None:
        return 0
    looked, done = 0, False
    try:
        with imap.opened(mailbox) as box:
            looked, done = _read(box, mailbox)
    except MailboxError as error:
        log.warning("mailbox_not_read", mailbox=mailbox.pk, error=str(error))
        _rest(mailbox, error=str(error))
    except Exception as error:
        log.exception("mailbox_broke", mailbox=mailbox.pk)
        _rest(mailbox, error=f"Reading broke off ({type(error).__name__}). It is tried again.")
    else:
        _rest(mailbox, done=done)
    return looked


def _read(box: Box, mailbox: Mailbox) -> tuple[int, bool]:
    """(mails looked at, whether nothing is left)."""
    if mailbox.uid_validity != box.uid_validity:
        # Another folder under the same name, or none was read yet: UIDs of before mean nothing.
        _keep_place(mailbox, uid_validity=box.uid_validity, last_uid=None)
    until, looked, first = time.monotonic() + BUDGET, 0, mailbox.last_uid is None
    new, own = box.uids(after=mailbox.last_uid), own_addresses()
    for portion in _portions([*_left_over(mailbox), *new]):
        for entry in (entries := box.entries(portion)):
            _take(box, mailbox, entry, own)
        box.put_away(_settled(mailbox, entries))
        looked += len(entries)
        if not first:
            _keep_place(mailbox, last_uid=max(mailbox.last_uid or 0, *portion))
        if time.monotonic() > until:
            return looked, False
    if first:
        _keep_place(mailbox, last_uid=max(box.uid_next - 1, 0))
    return looked, True


def _take(box: Box, mailbox: Mailbox, entry: Entry, own: set[str]) -> None:
    """Store one mail, or a record of why it is not. Raises what has nothing to do with this mail alone."""
    source, mail = mailbox.source, None
    try:
        if entry.size > reading.SIZE_LIMIT:
            head = box.head(entry.uid)
            if head is not None:
                refuse(
                    reading.read_head(head, entry.size), source=source, outcome=Mail.Outcome.TOO_LARGE, uid=entry.uid
                )
            return
        raw = box.raw(entry.uid)
        if raw is None:
            return
        mail = reading.read(raw)
        take_in(mail, source=source, received_at=entry.arrived_at, uid=entry.uid, own=own)
    except (MailboxError, OperationalError, InterfaceError, Unavailable):
        raise
    except Exception as error:
        log.exception("mail_broke", mailbox=mailbox.pk, uid=entry.uid)
        if mail is None:
            mail = reading.read_head(box.head(entry.uid) or b"", entry.size)
        why = f"It could not be read ({type(error).__name__}). It is still in the mailbox."
        refuse(mail, source=source, outcome=Mail.Outcome.FAILED, why=why, uid=entry.uid)


def _left_over(mailbox: Mailbox) -> list[int]:
    """What could not be read before and is worth another try."""
    failed = Mail.objects.filter(source=mailbox.source_id, outcome=Mail.Outcome.FAILED, tries__lt=MOST_TRIES)
    return sorted(uid for uid in failed.values_list("uid", flat=True) if uid)


def _settled(mailbox: Mailbox, entries: Sequence[Entry]) -> list[int]:
    """Of these the ones that need not stay unread: what was refused stays as it is, for a person to find."""
    refused = Mail.objects.filter(
        source=mailbox.source_id,
        uid__in=[entry.uid for entry in entries],
        outcome__in=(Mail.Outcome.FAILED, Mail.Outcome.TOO_LARGE),
    )
    kept = set(refused.values_list("uid", flat=True))
    return [entry.uid for entry in entries if entry.uid not in kept]


def _portions(uids: Sequence[int]) -> Iterable[Sequence[int]]:
    unique = list(dict.fromkeys(uids))
    return (unique[start : start + PORTION] for start in range(0, len(unique), PORTION))


def _keep_place(mailbox: Mailbox, **place: int | None) -> None:
    """Write down how far it is read, if it is still ours to read."""
    for name, value in place.items():
        setattr(mailbox, name, value)
    if not Mailbox.objects.filter(pk=mailbox.pk, claim=mailbox.claim).update(**place):
        raise imap.NotNow("Somebody else reads this mailbox meanwhile.")


def _rest(mailbox: Mailbox, *, error: str = "", done: bool = True) -> None:
    """Give it back until its next time: at once where something is left, later after each error in a row."""
    now = timezone.now()
    mailbox.attempts = min(mailbox.attempts + 1, 1_000) if error else 0
    wait = mailbox.next_reading if done else timedelta(0)
    changes = {"error": error[:1_000], "attempts": mailbox.attempts, "lease_until": None, "not_before": now + wait}
    if not error and done:
        changes["read_at"] = now
    Mailbox.objects.filter(pk=mailbox.pk, claim=mailbox.claim).update(**changes)


def _fill(kept: Mailbox, given: Mapping[str, str]) -> None:
    for name in TEXTS:
        if name in given:
            setattr(kept, name, str(clean_line(given[name])))
    for name in CHOICES:
        if name in given:
            setattr(kept, name, given[name])
    kept.folder = kept.folder or "INBOX"
    for name in ("port", "every"):
        if name in given:
            number = given[name].strip()
            setattr(kept, name, int(number) if number.isascii() and number.isdigit() and len(number) < 8 else 0)
    if secret := given.get("secret", ""):
        kept.secret = secret
    if client_secret := given.get("client_secret", ""):
        kept.client_secret = client_secret


def _check(kept: Mailbox) -> None:
    try:
        kept.clean_fields(exclude=["source", "secret", "client_secret"])
        kept.source.clean_fields(exclude=["kind"])
    except ValidationError as error:
        field, said = next(iter(error.message_dict.items()))
        raise Invalid("not_acceptable", f"{field.replace('_', ' ').capitalize()}: {said[0]}", field=field) from error
    if kept.source.sender and "@" not in kept.source.sender:
        raise Invalid("not_an_address", "The sender of replies needs an address.", field="sender")
    if not kept.secret:
        raise Invalid("blank", "Enter the password, or the refresh token.", field="secret")
    if kept.afterwards == "move" and not kept.move_to:
        raise Invalid("blank", "Name the folder that mails are moved to.", field="move_to")
    if kept.sign_in == "oauth" and not (kept.token_url and kept.client_id):
        raise Invalid("blank", "OAuth needs the address for tokens and the client's id.", field="token_url")


def _require(by: User) -> None:
    if not leads(by):
        raise Forbidden("not_a_lead", "Mailboxes are set up by leads and admins.")
