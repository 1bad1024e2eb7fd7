"""Files that are uploaded to be imported: looked at, started, worked through in the background, stopped, resumed."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from tickets.actions import importing
from tickets.actions.deliveries import Claimed
from tickets.actions.errors import Conflict, Invalid, Unavailable
from tickets.actions.review import require_lead
from tickets.channels.base import clean_line
from tickets.channels.file.rows import Choice, ImportFile, Layout, Row, UnreadableFile
from tickets.models import ImportRefusal, ImportRun, LeftFile, Source
from tickets.models.work import LEASE
from triage.correlation import acting
from triage.models import User
from triage.queue import ring, stopping

log = structlog.get_logger(__name__)
MOST_BYTES = 2_000_000_000  # by the browser; the command takes any size
TURN = 25.0  # seconds of work on one import before another has its turn
MOST_ATTEMPTS = 5  # turns in a row in which nothing was stored
KEPT = timedelta(days=30)  # of a file that was not imported to its end
FORGOTTEN_AT_ONCE = 2_000  # refused rows
SAMPLE = 5
State = ImportRun.State


def upload(*, name: str, content: File[bytes], by: User) -> ImportRun:
    """Keep a file, and find out what it is. Nothing is imported yet. Raises Invalid (field `file`), Forbidden."""
    require_lead(by)
    if not content.size:
        raise Invalid("empty_file", "This file is empty.", field="file")
    if content.size > MOST_BYTES:
        raise Invalid(
            "too_large", "This file is larger than 2 GB. Import it with manage.py import_tickets.", field="file"
        )
    shown = str(clean_line(name))[-200:] or "file"
    try:
        stored = default_storage.save(f"imports/{uuid.uuid4().hex}", content)
    except OSError as error:
        log.error("file_not_stored", error=str(error)[:300])
        raise Unavailable(
            "files_unavailable", "The file cannot be kept just now. Try again soon.", field="file"
        ) from error
    try:
        with on_disk(stored) as path:
            found = ImportFile.examine(path, name=shown, check=False)
        return ImportRun.objects.create(
            name=shown,
            source_name=shown.rpartition(".")[0][:100] or shown[:100],
            file=stored,
            digest=found.digest,
            size=found.size,
            layout=found.layout.to_json(),
            by=by,
        )
    except (UnreadableFile, OSError) as error:
        default_storage.delete(stored)
        raise Invalid("unreadable", str(error), field="file") from error
    except BaseException:
        default_storage.delete(stored)
        raise


def read_as(*, run: ImportRun, choice: Choice, source_name: str, by: User) -> ImportRun:
    """Have a file that is not started read as a person says. Raises Invalid, Conflict, Forbidden."""
    require_lead(by)
    if run.state != State.DRAFT:
        raise Conflict("started", "This import was started already. How its file is read does not change any more.")
    encoding = Layout.of(run.layout).encoding
    try:
        with on_disk(run.file) as path:
            layout = Layout.find(path, encoding=encoding, choice=choice, name=run.name)
    except (UnreadableFile, OSError) as error:
        raise Invalid("unreadable", str(error)) from error
    run.layout, run.source_name = layout.to_json(), str(clean_line(source_name))[:100]
    ImportRun.objects.filter(pk=run.pk, state=State.DRAFT).update(layout=run.layout, source_name=run.source_name)
    return run


def start(*, run: ImportRun, by: User) -> ImportRun:
    """Have the worker import it. Raises Invalid, Forbidden; Conflict where that source is getting this file already."""
    require_lead(by)
    if not run.source_name:
        raise Invalid("blank", "Give the source a name: the tickets are found under it.", field="source")
    if trouble := Layout.of(run.layout).trouble():
        raise Invalid("no_columns", trouble, field="columns")
    try:
        with transaction.atomic():
            source, _ = Source.objects.get_or_create(name=run.source_name, defaults={"kind": "file"})
            fresh = ImportRun.objects.filter(pk=run.pk, state=State.DRAFT)
            ready = {"source": source, "state": State.WAITING, "by": by, "not_before": timezone.now()}
            if not fresh.update(**ready, started_at=timezone.now()):
                raise Conflict("started", "This import was started already.")
            run.refresh_from_db()
            importing.note(run, run.name)
            ring("batch")
    except IntegrityError as taken:
        raise Conflict(
            "under_way", "The same file is being imported into this source, or was stopped there. Go on with that one."
        ) from taken
    return run


def stop(*, run: ImportRun, by: User) -> ImportRun:
    """Import no more of it for now. What was imported stays. Raises Conflict, Forbidden."""
    require_lead(by)
    working = ImportRun.objects.filter(pk=run.pk, state__in=ImportRun.WORKING)
    if not working.update(state=State.STOPPED, finished_at=timezone.now(), lease_until=None, claim=F("claim") + 1):
        raise Conflict("ended", "This import does not run any more.")
    run.refresh_from_db()
    return run


def go_on(*, run: ImportRun, by: User) -> ImportRun:
    """Take it up where it stopped. Raises Conflict where it does not wait for that, Forbidden."""
    require_lead(by)
    with transaction.atomic():
        stopped = ImportRun.objects.filter(pk=run.pk, state__in=(State.STOPPED, State.FAILED)).exclude(file="")
        ready = {"state": State.WAITING, "finished_at": None, "error": "", "attempts": 0}
        if not stopped.update(**ready, not_before=timezone.now()):
            raise Conflict("not_stopped", "There is nothing left to go on with.")
        ring("batch")
    run.refresh_from_db()
    return run


def discard(*, run: ImportRun, by: User) -> None:
    """Forget a file that was not started. Raises Conflict, Forbidden."""
    require_lead(by)
    with transaction.atomic():
        if not ImportRun.objects.filter(pk=run.pk, state=State.DRAFT).delete()[0]:
            raise Conflict("started", "This import was started already.")
        LeftFile.objects.create(path=run.file, at=timezone.now())


def sample(run: ImportRun) -> list[Row]:
    """What the first rows of a file become. Raises Invalid where it cannot be read any more."""
    try:
        with on_disk(run.file) as path:
            rows = _file(run, path).rows()
            return [row for (row, _), _ in zip(rows, range(SAMPLE), strict=False)]
    except (UnreadableFile, OSError) as error:
        raise Invalid("unreadable", _without_path(error)) from error


def due() -> QuerySet[ImportRun]:
    return ImportRun.objects.due(timezone.now())


def claim(limit: int) -> list[Claimed]:
    now = timezone.now()
    with transaction.atomic():
        waiting = ImportRun.objects.due(now).order_by("not_before", "pk")
        taken = list(waiting.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:limit])
        mine = ImportRun.objects.filter(pk__in=taken)
        mine.update(state=State.RUNNING, attempts=F("attempts") + 1, claim=F("claim") + 1, lease_until=now + LEASE)
        return [Claimed(*row) for row in mine.values_list("pk", "claim")]


def renew(claimed: Claimed) -> None:
    _held(claimed).update(lease_until=timezone.now() + LEASE)


def work(claimed: Claimed, seconds: float = TURN) -> None:
    """Go on with a claimed import for its turn, then let it go."""
    run = ImportRun.objects.filter(pk=claimed.pk, claim=claimed.claim, state=State.RUNNING).first()
    if run is None:
        return
    with acting(f"user:{run.by_id}" if run.by_id else "database"):
        if run.attempts > MOST_ATTEMPTS:
            importing.finish(run=run, state=State.FAILED, error="It broke off again and again. Go on, or ask for help.")
            return
        try:
            if _pour(run, time.monotonic() + seconds):
                _end(run)
        except (UnreadableFile, FileNotFoundError) as error:  # another OSError may pass: the lease runs out
            why = f"{_without_path(error)} What was read until then is imported."
            importing.finish(run=run, state=State.FAILED, error=why)
        except Conflict:  # stopped, or in other hands
            return


def _pour(run: ImportRun, until: float) -> bool:
    """Store chunk after chunk; False where the time was over before the file was."""
    with on_disk(run.file) as path:
        for rows, position in importing.chunks(_file(run, path), after=run.rows_read):
            importing.store_chunk(run=run, rows=rows, position=position, lease=LEASE)
            if time.monotonic() > until or stopping():
                free = {"state": State.WAITING, "lease_until": None, "not_before": timezone.now()}
                ImportRun.objects.filter(pk=run.pk, claim=run.claim, state=State.RUNNING).update(**free)
                ring("batch")
                return False
    return True


def _end(run: ImportRun) -> None:
    with transaction.atomic():
        path = run.file
        importing.finish(run=run)
        if run.state == State.DONE:
            ImportRun.objects.filter(pk=run.pk).update(file="")
            LeftFile.objects.create(path=path, at=timezone.now())
    log.info("import_ended", run=run.pk, stored=run.stored, refused=run.refused)


def forget() -> None:
    """Let go of files that nobody imported to their end for KEPT; what was imported of them stays in the list.

    And of what refused rows held, IMPORT_REFUSED_DAYS after their import ended; their numbers and reasons stay.
    """
    ended = ImportRun.objects.filter(finished_at__lt=timezone.now() - timedelta(days=settings.IMPORT_REFUSED_DAYS))
    held = ImportRefusal.objects.exclude(content="").filter(run__in=ended)
    ImportRefusal.objects.filter(pk__in=held.order_by().values("pk")[:FORGOTTEN_AT_ONCE]).update(content="")
    old = timezone.now() - KEPT
    for run in ImportRun.objects.exclude(file="").exclude(state__in=ImportRun.WORKING).filter(started_at__lt=old)[:20]:
        with transaction.atomic():
            LeftFile.objects.create(path=run.file, at=timezone.now())
            if run.state == State.DRAFT:
                run.delete()
            else:
                ImportRun.objects.filter(pk=run.pk).update(file="")


@contextmanager
def on_disk(stored: str) -> Iterator[Path]:
    """The stored file as one of this machine: itself, or a copy where the storage is elsewhere. Raises OSError."""
    try:
        yield Path(default_storage.path(stored))
        return
    except NotImplementedError:
        pass
    with TemporaryDirectory(prefix="import-") as folder:
        path = Path(folder) / "file"
        with default_storage.open(stored) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        yield path


def choice_of(given: Mapping[str, str], layout: Layout) -> Choice:
    """What a form says: `format`, `encoding`, `delimiter`, `header`, `dates`, and a column a field.

    Another format, delimiter, encoding or header has the columns found anew: those of the form are of the old ones.
    """
    has_header = given.get("header", "yes") != "no"
    chosen = Choice(
        format=given.get("format", ""),
        encoding=given.get("encoding", ""),
        delimiter=given.get("delimiter", ""),
        has_header=has_header,
        day_first={"day": True, "month": False}.get(given.get("dates", "")),
    )
    same = chosen.format == layout.format and has_header == layout.has_header
    same = same and chosen.encoding in ("", layout.encoding) and chosen.delimiter in ("", layout.delimiter)
    columns = {name.removeprefix("column-"): value for name, value in given.items() if name.startswith("column-")}
    return Choice(**{**{name: getattr(chosen, name) for name in Choice.__slots__}, "columns": columns if same else {}})


def _file(run: ImportRun, path: Path) -> ImportFile:
    return ImportFile(path, run.digest, run.size, Layout.of(run.layout))


def _held(claimed: Claimed) -> QuerySet[ImportRun]:
    return ImportRun.objects.filter(pk=claimed.pk, claim=claimed.claim, state=State.RUNNING)


def _without_path(error: Exception) -> str:
    return "The uploaded file is gone. Upload it again." if isinstance(error, OSError) else str(error)
