"""Desks hear how a repository is being read, without asking."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async

from tests.github_server import Repo
from tests.tickets.test_consumers import _desk, _next, _run
from tickets.actions import github_syncs
from tickets.models import GithubRepository
from triage.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_end_of_a_sync_is_pushed_with_what_came_of_it(repository: GithubRepository, shop: Repo, lead: User) -> None:
    shop.issue("Problem")

    def work() -> None:
        github_syncs.begin(repository=repository, by=lead)
        github_syncs.work(github_syncs.claim(1)[0])

    async def test() -> None:
        async with _desk(lead) as socket:
            await sync_to_async(work)()
            assert (await _next(socket, "sync_progress"))["result"]["status"] == "pending"
            done: dict[str, Any] = await _next(socket, "sync_completed")
        assert (done["owner"], done["repo"], done["repository"]) == ("acme", "shop", repository.pk)
        assert (done["result"]["status"], done["result"]["stored"]) == ("completed", 1)
        assert done["timestamp"]

    _run(test)


def test_a_cancelled_sync_is_pushed_with_what_was_kept(repository: GithubRepository, shop: Repo, lead: User) -> None:
    def work() -> None:
        github_syncs.begin(repository=repository, by=lead)
        github_syncs.cancel(repository=repository, by=lead)

    async def test() -> None:
        async with _desk(lead) as socket:
            await sync_to_async(work)()
            gone = await _next(socket, "sync_cancelled")
        assert (gone["repo"], gone["issues_removed"], gone["issues_kept"]) == ("shop", 0, 0)

    _run(test)
