"""`manage.py send_github_event issues --repository owner/name`: what GitHub would send, to a desk that runs."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import httpx2
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tickets.channels.github.signature import HEADER, sign
from tickets.models import GithubRepository
from triage.checks import BEFORE_COMMANDS
from triage.vault import VaultError

SAMPLES = ("issues", "issue_comment", "pull_request", "ping")


class Command(BaseCommand):
    help = "Send a signed webhook to the running desk, to try out a connected repository without GitHub."
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "event", nargs="?", default="issues", help=f"Like {', '.join(SAMPLES)}; default: %(default)s."
        )
        parser.add_argument("--repository", default="", help="OWNER/NAME, connected here; default: the only one.")
        parser.add_argument("--action", default="", help="Default: opened, or created for a comment.")
        parser.add_argument("--number", type=int, default=1, help="Of the issue; default: %(default)s.")
        parser.add_argument("--title", default="The export stops half way")
        parser.add_argument("--body", default="Since yesterday the CSV export ends after 1,000 rows. What can I do?")
        parser.add_argument("--author", default="octocat")
        parser.add_argument("--file", help="A payload to send as it is, in place of a sample.")
        parser.add_argument("--secret", default="", help="To sign with; default: the one that is kept.")
        parser.add_argument("--delivery", default="", help="X-GitHub-Delivery; default: a new one.")
        parser.add_argument("--times", type=int, default=1, help="Send the same delivery so often.")
        parser.add_argument("--url", default="", help="Of the desk; default: this one on loopback.")

    def handle(self, *args: Any, event: str, **options: Any) -> None:
        repository = self._repository(options["repository"])
        body = self._body(event, repository, options)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/triage-desk",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": options["delivery"] or str(uuid.uuid4()),
            HEADER: sign(options["secret"] or self._secret(repository), body),
        }
        url = f"{options['url'].rstrip('/') or f'http://127.0.0.1:{settings.PORT}'}/webhooks/github"
        status = 0
        for _ in range(max(1, options["times"])):
            try:
                answer = httpx2.post(url, content=body, headers=headers, timeout=30, trust_env=False)
            except httpx2.HTTPError as error:
                raise CommandError(f"No desk answers at {url}: {error}. Is it up?") from error
            status = answer.status_code
            self.stdout.write(f"{status} {answer.text}")
        if status >= 400:
            raise CommandError(f"The desk answered {status}.")

    def _repository(self, name: str) -> GithubRepository:
        connected = GithubRepository.objects.connected().select_related("account")
        found = list(connected.called(name) if name else connected[:2])
        if len(found) != 1:
            told = f"{name} is not connected." if name else "Name one of the connected repositories with --repository."
            raise CommandError(f"{told} `manage.py connect_github OWNER/NAME` connects one.")
        return found[0]

    def _secret(self, repository: GithubRepository) -> str:
        try:
            return repository.secret.open() or repository.account.webhook_secret.open()
        except VaultError as error:
            raise CommandError(f"{repository}: {error}.") from error

    def _body(self, event: str, repository: GithubRepository, options: dict[str, Any]) -> bytes:
        if options["file"]:
            try:
                return Path(options["file"]).read_bytes()
            except OSError as error:
                raise CommandError(f"{options['file']}: {error.strerror}.") from error
        if event not in SAMPLES:
            raise CommandError(f"There are samples of {', '.join(SAMPLES)}. Give another event with --file.")
        return json.dumps(_sample(event, repository, options)).encode()


def _sample(event: str, repository: GithubRepository, options: dict[str, Any]) -> dict[str, Any]:
    now = timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    author = {"login": options["author"], "id": 583_231, "type": "User"}
    web, number = repository.web_url, options["number"]
    about: dict[str, Any] = {
        "id": 900_000_000 + number, "number": number, "title": options["title"], "body": options["body"],
        "state": "open", "user": author, "labels": [{"name": "bug", "color": "d73a4a"}], "assignees": [],
        "author_association": "CONTRIBUTOR", "html_url": f"{web}/issues/{number}", "created_at": now, "updated_at": now,
    }  # fmt: skip
    content: dict[str, Any] = {
        "action": options["action"] or ("created" if event == "issue_comment" else "opened"),
        "repository": {"id": repository.github_id, "full_name": repository.full_name, "private": repository.private},
        "sender": author,
    }
    if event == "ping":
        return {**content, "zen": "Keep it logically awesome.", "hook": {"type": "Repository"}}
    if event == "issue_comment":
        said = {"id": int(timezone.now().timestamp() * 1000), "body": options["body"], "user": author}
        said |= {"html_url": f"{web}/issues/{number}#issuecomment-1", "author_association": "CONTRIBUTOR"}
        return {**content, "issue": about, "comment": {**said, "created_at": now, "updated_at": now}}
    return {**content, ("pull_request" if event == "pull_request" else "issue"): about}
