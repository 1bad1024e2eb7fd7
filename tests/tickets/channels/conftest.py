"""Keys to the API, and a client that carries one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tickets.actions import keys
from tickets.models import ApiKey
from triage.models import User

Caller = Callable[..., "ApiClient"]


class ApiClient(Client):
    """A client with an API key that speaks JSON. Errors reach the test as answers, as they reach a program."""

    def __init__(self, key: str, row: ApiKey | None = None) -> None:
        super().__init__(headers={"Authorization": f"Bearer {key}"} if key else {}, raise_request_exception=False)
        self.row = row

    def send(self, method: str, path: str, body: Any = None, **extra: Any) -> Any:
        given = {} if body is None else {"data": body, "content_type": "application/json"}
        return getattr(self, method)(f"/api/v1{path}", **given, **extra)


@pytest.fixture
def caller(taxonomy: None) -> Caller:
    """Make a client: `caller()` reads and writes for nobody, `caller(user, "read")` as given."""

    def make(
        user: User | None = None, scopes: str = "read,write", source: str = "API", name: str = "shop"
    ) -> ApiClient:
        row, key = keys.create(
            name=name, scopes=scopes.split(","), username=user.username if user else None, source_name=source
        )
        return ApiClient(key, row)

    return make


@pytest.fixture
def api(caller: Caller) -> ApiClient:
    return caller()


NEW = {
    "title": "The export stops half way",
    "description": "Since Monday the CSV export ends after 1,000 rows.",
    "requester": {"email": "kim@example.com", "name": "Kim Tran"},
}
