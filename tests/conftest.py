"""For all tests: no network but loopback and unix sockets, and folders that the database server's user can reach."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


class NetworkForbidden(RuntimeError):
    """A test reached out. Not an OSError, so that no error handling under test can swallow it."""


def _is_loopback(host: Any) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


def _guarded_connect(original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise NetworkForbidden(f"Tests speak to loopback only, not to {address[0]}.")
        return original(self, address)

    return connect


def _guarded_resolve(original: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in ("0.0.0.0", "::") and not _is_loopback(host):
            raise NetworkForbidden(f"Tests resolve localhost only, not {host!r}.")
        return original(host, *arguments, **options)

    return getaddrinfo


def pytest_configure() -> None:
    from django.conf import settings

    # A clone that never collected its static files has no folder for them, and whitenoise warns of it.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    # The real hasher takes half a second a password, on purpose. Desks in processes of their own keep it.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.FLOOD_TICKETS = 0  # one customer of theirs writes hundreds of tickets in a moment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several processes take a file each; of each file what commits comes last, for it leaves the tables empty."""
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.browser)
        mark = item.get_closest_marker("django_db")
        fixtures = getattr(item, "fixturenames", ())
        commits = (mark is not None and mark.kwargs.get("transaction")) or "transactional_db" in fixtures
        item.add_marker(pytest.mark.xdist_group(f"{item.path}{':commits' if commits else ''}"))


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", _guarded_connect(socket.socket.connect))
    patch.setattr(socket.socket, "connect_ex", _guarded_connect(socket.socket.connect_ex))
    patch.setattr(socket, "getaddrinfo", _guarded_resolve(socket.getaddrinfo))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def open_folder_factory() -> Iterator[Callable[[], Path]]:
    """Makes folders that other users may enter: pytest's own are closed, and root's database runs as another user."""
    made: list[Path] = []

    def make() -> Path:
        folder = Path(tempfile.mkdtemp(prefix="triage-test-"))
        folder.chmod(0o755)
        made.append(folder)
        return folder

    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def open_folder(open_folder_factory: Callable[[], Path]) -> Path:
    return open_folder_factory()
