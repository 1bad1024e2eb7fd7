from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydantic import ValidationError

from tickets.actions import github_accounts
from tickets.actions.errors import Refused
from tickets.channels.github.client import GithubError
from tickets.channels.github.payloads import Repository
from tickets.channels.github.signing_in import github_for
from tickets.models import GithubAccount, GithubRepository
from tickets.models.github import PUBLIC_API
from triage.checks import BEFORE_COMMANDS

Way = GithubAccount.Way


class Command(BaseCommand):
    help = "Connect a repository of GitHub: its issues become tickets. As the page Settings, GitHub does it."
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("repository", metavar="OWNER/REPO")
        parser.add_argument("--secret", default="", help="Of its webhook; made and printed where it is not given.")
        parser.add_argument("--token", default="", help="To read issues and write comments with.")
        parser.add_argument("--base-url", default=PUBLIC_API, help="Of the API; default: %(default)s.")
        parser.add_argument(
            "--write",
            default="",
            help="What may go back, of comments,labels,team,state. Default: comments, with a token.",
        )

    def handle(
        self, *args: Any, repository: str, secret: str, token: str, base_url: str, write: str, **options: Any
    ) -> None:
        try:
            account = self._account(base_url, token.strip())
            connected, made = github_accounts.connect(account=account, full_name=repository, by=None, secret=secret)
        except Refused as refused:
            raise CommandError(refused.sentence) from refused
        self._choose(connected, write or ("comments" if token.strip() else ""))
        self._look(connected)
        self.stderr.write(f"{connected.full_name} is connected as {connected.source.name}, by {account}.")
        self.stderr.write("Its webhook goes to /webhooks/github with content type application/json and this secret:")
        self.stdout.write(made)

    def _account(self, base_url: str, token: str) -> GithubAccount:
        """By this token where one is given; its owner is looked up afterwards, where there is a network."""
        if not token:
            return github_accounts.public_account(base_url)
        public = github_accounts.public_account(base_url)  # checks the address
        for known in GithubAccount.objects.filter(way=Way.TOKEN, base_url=public.base_url):
            if known.token.open() == token:
                return known
        count = GithubAccount.objects.filter(way=Way.TOKEN).count() + 1
        name = f"token {count} at {public.host}"[:100]
        return GithubAccount.objects.create(name=name, base_url=public.base_url, way=Way.TOKEN, token=token)

    def _choose(self, repository: GithubRepository, write: str) -> None:
        names = {
            "comments": "write_comments",
            "labels": "write_labels",
            "team": "write_team_label",
            "state": "write_state",
        }
        wanted = [word.strip() for word in write.split(",") if word.strip()]
        unknown = [word for word in wanted if word not in names]
        if unknown:
            raise CommandError(f"--write takes {', '.join(names)}; not {unknown[0]}.")
        for word in wanted:
            setattr(repository, names[word], True)
        repository.save(update_fields=list(names.values()))

    def _look(self, repository: GithubRepository) -> None:
        """Ask GitHub what it is and whose the token; without an answer it is connected all the same."""
        account = repository.account
        try:
            with github_for(repository) as github:
                if account.way == Way.TOKEN and not account.login:
                    account.login = str(github.get("/user").content.get("login") or "")[:100]
                    account.save(update_fields=["login"])
                said = Repository.model_validate(github.get(f"/repos/{repository.full_name}").content)
        except (GithubError, ValidationError) as error:
            self.stderr.write(f"GitHub was not asked: {error}")
            return
        repository.github_id, repository.private, repository.permission = said.id, said.private, said.permission
        repository.save(update_fields=["github_id", "private", "permission"])
