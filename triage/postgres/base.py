"""Django's PostgreSQL backend on the embedded server: the first connection starts it, a lost one brings it back.

Settings: ENGINE "triage.postgres", NAME, and DIRECTORY, the folder beside whose files the server keeps its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from django.db.backends.postgresql import base, client

from triage.postgres import server
from triage.postgres.place import locate

_ATTEMPTS = 5


def connection_class(directory: Path) -> type[psycopg.Connection[Any]]:
    """A connection that restarts the server of `directory` when it does not answer; also what a pool opens."""

    class EmbeddedConnection(psycopg.Connection[Any]):
        @classmethod
        def connect(cls, conninfo: str = "", **parameters: Any) -> Any:
            try:
                return super().connect(conninfo, **parameters)
            except psycopg.OperationalError:
                # A server that answers is left alone, and then the second attempt raises what the first did.
                server.ensure(directory, doubt=True)
                return super().connect(conninfo, **parameters)

    return EmbeddedConnection


class DatabaseClient(client.DatabaseClient):
    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Any
    ) -> tuple[list[str], dict[str, str] | None]:
        running = server.ensure(settings_dict["DIRECTORY"])
        local = {**settings_dict, "HOST": str(running.socket), "USER": server.SUPERUSER}
        arguments, environment = super().settings_to_cmd_args_env(local, parameters)
        arguments[0] = str(locate(settings_dict["DIRECTORY"]).binaries / "psql")
        return arguments, environment


class DatabaseWrapper(base.DatabaseWrapper):
    client_class = DatabaseClient
    client: DatabaseClient

    def __init__(self, settings_dict: dict[str, Any], alias: str = "default") -> None:
        super().__init__(settings_dict, alias)
        self.directory = Path(settings_dict["DIRECTORY"])
        options = settings_dict["OPTIONS"]
        if options.get("pool"):
            given = {} if options["pool"] is True else options["pool"]
            options["pool"] = {"connection_class": connection_class(self.directory), **given}
            # The pool's own check pauses a second or more between broken connections; get_new_connection() checks.
            settings_dict["CONN_HEALTH_CHECKS"] = False

    def get_connection_params(self) -> dict[str, Any]:
        local = server.ensure(self.directory).connection_parameters()
        local.pop("dbname")
        return {**super().get_connection_params(), **local}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if self.pool:
            return self._pooled_connection(conn_params)
        try:
            return super().get_new_connection(conn_params)
        except psycopg.OperationalError:
            server.ensure(self.directory, doubt=True)
            return super().get_new_connection(conn_params)

    def _pooled_connection(self, conn_params: dict[str, Any]) -> Any:
        for _ in range(_ATTEMPTS):
            connection = super().get_new_connection(conn_params)
            try:
                self.pool.check_connection(connection)
            except psycopg.OperationalError:
                # One is lost, so the server went and all are: have the pool replace the idle ones at once.
                self.pool.putconn(connection)
                self.pool.check()
            else:
                return connection
        raise psycopg.OperationalError("The database closes every connection as soon as it is made.")
