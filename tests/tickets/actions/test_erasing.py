"""What goes with a ticket when it is gone for good: mails with all they held, events of GitHub, and stored files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from pytest_django import Settings

from tests.tickets.actions.test_attaching import PNG
from tests.tickets.conftest import Hook, MakeTicket
from tickets.actions import attaching
from tickets.models import Attachment, Block, GithubEvent, LeftFile, Mail, Ticket
from triage.models import User


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
