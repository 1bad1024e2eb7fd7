"""Attachments in a bucket (TRIAGE_S3_BUCKET): what goes wrong there is an OSError, as it is with a disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from s3transfer.exceptions import RetriesExceededError
from storages.backends.s3 import S3File, S3Storage

# boto3 alone waits a minute for each of five attempts, and a person before their page with it. All of it together has
# to stay under what the worker's upkeep may take (tickets.management.commands.work).
PATIENCE = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2, "mode": "standard"})


class Bucket(S3Storage):  # type: ignore[misc]
    client_config: Config

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        config: Config = self.client_config
        self.client_config = config.merge(PATIENCE)
        self.transfer_config = TransferConfig(num_download_attempts=2)

    def _open(self, name: str, mode: str = "rb") -> S3File:
        with _as_of_a_disk():
            opened = super()._open(name, mode)
            _ = opened.file  # fetched here, to memory or a temporary file, so that what breaks off breaks here
            return opened

    def _save(self, name: str, content: Any) -> str:
        with _as_of_a_disk():
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        with _as_of_a_disk():
            super().delete(name)

    def exists(self, name: str) -> bool:
        with _as_of_a_disk():
            return bool(super().exists(name))


@contextmanager
def _as_of_a_disk() -> Iterator[None]:
    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError, RetriesExceededError) as error:
        raise OSError(f"the bucket: {error}") from error
