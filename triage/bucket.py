"""Attachments in a bucket (TRIAGE_S3_BUCKET): what goes wrong there is an OSError, as it is with a disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3File, S3Storage

# boto3 alone waits a minute for each of five attempts, and a person before their page with it.
PATIENCE = Config(connect_timeout=3, read_timeout=20, retries={"total_max_attempts": 2, "mode": "standard"})


class Bucket(S3Storage):  # type: ignore[misc]
    client_config: Config

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        config: Config = self.client_config
        self.client_config = config.merge(PATIENCE)

    def _open(self, name: str, mode: str = "rb") -> S3File:
        with _as_of_a_disk():
            opened = super()._open(name, mode)
            _ = opened.file  # fetched here: no file is larger than TRIAGE_ATTACHMENT_BYTES
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
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise OSError(f"the bucket: {type(error).__name__}") from error
