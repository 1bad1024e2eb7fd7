"""A small IMAP4rev1 server on loopback (RFC 3501, with MOVE of RFC 6851): one account, folders in memory.

It speaks what a reader of mailboxes says, and can be told to fail at a word, as servers do.
"""

from __future__ import annotations

import base64
import re
import socket
import socketserver
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

CAPABILITIES = "IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 MOVE UIDPLUS"


@dataclass
class Stored:
    uid: int
    raw: bytes
    flags: set[str] = field(default_factory=set)
    arrived: datetime = field(default_factory=lambda: datetime.now(UTC))
    claimed_size: int | None = None  # what the server says it has, where that is to be another number


@dataclass
class Folder:
    mails: list[Stored] = field(default_factory=list)
    validity: int = 1
    next_uid: int = 1

    def put(self, raw: bytes, *, seen: bool = False, size: int | None = None) -> int:
        stored = Stored(self.next_uid, raw, {r"\Seen"} if seen else set(), claimed_size=size)
        self.mails.append(stored)
        self.next_uid += 1
        return stored.uid

    @property
    def unseen(self) -> list[Stored]:
        return [mail for mail in self.mails if r"\Seen" not in mail.flags]


class ImapServer(socketserver.ThreadingTCPServer):
    """`said` are the commands it was given. `fail_at` maps a command ("FETCH") to what is done instead of answering:
    "drop" the connection, or "no" for a refusal."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, user: str = "support@desk.example", password: str = 'a "quoted" word', token: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.user, self.password, self.token = user, password, token
        self.folders: dict[str, Folder] = {"INBOX": Folder()}
        self.said: list[str] = []
        self.fail_at: dict[str, str] = {}
        self.before: Callable[[str], None] | None = None

    @property
    def inbox(self) -> Folder:
        return self.folders["INBOX"]

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of a server."""


@contextmanager
def imap_server(**given: str) -> Iterator[ImapServer]:
    server = ImapServer(**given)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class _Session(socketserver.StreamRequestHandler):
    server: ImapServer

    def handle(self) -> None:
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.signed_in, self.folder = False, Folder()
        self._say("* OK a server for tests")
        for line in self.rfile:
            tag, _, rest = line.decode("utf-8").strip().partition(" ")
            command, _, arguments = rest.partition(" ")
            command = command.upper()
            if command == "UID":
                command, _, arguments = arguments.partition(" ")
                command = command.upper()
            self.server.said.append(f"{command} {arguments}".strip())
            if self.server.before:
                self.server.before(command)
            failure = self.server.fail_at.get(command)
            if failure == "drop":
                return
            if failure == "no":
                self._say(f"{tag} NO [UNAVAILABLE] not at the moment")
                continue
            if command not in ("CAPABILITY", "LOGIN", "AUTHENTICATE", "LOGOUT", "NOOP") and not self.signed_in:
                self._say(f"{tag} NO sign in first")
                continue
            answer = getattr(self, f"_{command.lower()}", None)
            if answer is None:
                self._say(f"{tag} BAD unknown command")
                continue
            self._say(f"{tag} {answer(arguments)}")
            if command == "LOGOUT":
                return

    def _say(self, line: str | bytes) -> None:
        self.wfile.write((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def _capability(self, _: str) -> str:
        self._say(f"* CAPABILITY {CAPABILITIES}")
        return "OK done"

    def _noop(self, _: str) -> str:
        return "OK done"

    def _login(self, arguments: str) -> str:
        user, password = _words(arguments)
        return self._enter(user == self.server.user and password == self.server.password and not self.server.token)

    def _authenticate(self, arguments: str) -> str:
        self._say("+ ")
        given = base64.b64decode(self.rfile.readline().strip()).decode()
        if arguments.upper() == "PLAIN":
            return self._enter(given == f"\0{self.server.user}\0{self.server.password}")
        wanted = f"user={self.server.user}\1auth=Bearer {self.server.token}\1\1"
        if self.server.token and given == wanted:
            return self._enter(True)
        self._say("+ " + base64.b64encode(b'{"status":"400"}').decode())
        self.rfile.readline()
        return self._enter(False)

    def _enter(self, allowed: bool) -> str:
        self.signed_in = allowed
        return "OK welcome" if allowed else "NO [AUTHENTICATIONFAILED] Invalid credentials"

    def _logout(self, _: str) -> str:
        self._say("* BYE until later")
        return "OK bye"

    def _select(self, arguments: str) -> str:
        name = _words(arguments)[0]
        if name not in self.server.folders:
            return "NO [NONEXISTENT] there is no such folder"
        self.folder = self.server.folders[name]
        self._say(f"* {len(self.folder.mails)} EXISTS")
        self._say(f"* OK [UIDVALIDITY {self.folder.validity}]")
        return "OK [READ-WRITE] selected"

    def _status(self, arguments: str) -> str:
        folder = self.server.folders[_words(arguments)[0]]
        facts = f"MESSAGES {len(folder.mails)} UIDNEXT {folder.next_uid} UIDVALIDITY {folder.validity}"
        self._say(f'* STATUS "INBOX" ({facts} UNSEEN {len(folder.unseen)})')
        return "OK done"

    def _search(self, arguments: str) -> str:
        unseen = arguments.upper() == "UNSEEN"
        found = self.folder.unseen if unseen else self._chosen(arguments.split(" ")[1])
        self._say("* SEARCH " + " ".join(str(mail.uid) for mail in found))
        return "OK done"

    def _fetch(self, arguments: str) -> str:
        uids, _, parts = arguments.partition(" ")
        for number, mail in enumerate(self._chosen(uids), 1):
            if "BODY" not in parts:
                size = mail.claimed_size or len(mail.raw)
                stamp = f"{mail.arrived:%d-%b-%Y %H:%M:%S +0000}"
                self._say(f'* {number} FETCH (UID {mail.uid} RFC822.SIZE {size} INTERNALDATE "{stamp}")')
                continue
            raw = mail.raw
            if "HEADER" in parts:
                raw = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            name = "BODY[HEADER]" if "HEADER" in parts else "BODY[]"
            self._say(f"* {number} FETCH (UID {mail.uid} {name} {{{len(raw)}}}".encode() + b"\r\n" + raw + b")")
        return "OK done"

    def _store(self, arguments: str) -> str:
        uids, _, change = arguments.partition(" ")
        for mail in self._chosen(uids):
            mail.flags |= set(re.findall(r"\\\w+", change))
        return "OK done"

    def _move(self, arguments: str) -> str:
        uids, name = arguments.split(" ", 1)
        target = self.server.folders.get(_words(name)[0])
        if target is None:
            return "NO [TRYCREATE] there is no such folder"
        for mail in self._chosen(uids):
            target.put(mail.raw, seen=r"\Seen" in mail.flags)
            self.folder.mails.remove(mail)
        return "OK done"

    def _chosen(self, uids: str) -> list[Stored]:
        """As RFC 3501 has it: "7:*" holds the last mail, even where its UID is below 7."""
        mails = self.folder.mails  # in the order of their UIDs
        last = mails[-1].uid if mails else 0
        found: dict[int, Stored] = {}
        for span in uids.split(","):
            begin, _, end = span.partition(":")
            ends = [last if one == "*" else int(one) for one in (begin, end or begin)]
            place = bisect_left(mails, min(ends), key=lambda mail: mail.uid)
            for mail in islice(mails, place, None):
                if mail.uid > max(ends):
                    break
                found[mail.uid] = mail
        return [found[uid] for uid in sorted(found)]


def _words(arguments: str) -> list[str]:
    """Atoms and quoted strings."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|([^\s"()]+)', arguments)
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted or not atom else atom for quoted, atom in found]
