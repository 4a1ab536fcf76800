"""The admin call that orders faults."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest

from .center import Center


class Faults:
    """The admin call for faults."""

    def __init__(self, center: Center) -> None:
        self._url = f"{center.descriptor()['url']}/--admin/faults"
        self._token = (center.state / "admin_token").read_text().strip()

    def _call(self, method: str, body: dict[str, object] | None = None) -> None:
        request = urllib.request.Request(
            self._url,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
            },
        )
        urllib.request.urlopen(request, timeout=10).close()

    def order(self, kind: str, **fields: object) -> None:
        self._call("POST", {"kind": kind, **fields})

    def withdraw(self) -> None:
        self._call("DELETE")


@pytest.fixture
def faults(center: Center) -> Iterator[Faults]:
    made = Faults(center)
    yield made
    made.withdraw()
