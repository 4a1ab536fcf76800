"""``LegacyDataCenter``: CloudAPI 6.5, where images were datasets and filters the client's work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from ..errors import UsageError
from ..raw import Record
from .datacenter import DataCenter
from .offers import search_dicts

__all__ = ["LegacyDataCenter"]


class LegacyDataCenter(DataCenter):
    """A data center that speaks API 6.5; calls that came later raise ``UsageError``."""

    API_VERSION = "~6.5"

    def _later(self, *_: Any, **__: Any) -> NoReturn:
        raise UsageError("CloudAPI 6.5 does not have this call", hint="use DataCenter")

    api = images = image = networks = network = _later

    # 2013's signature, which differs from the newer class's
    def packages(  # type: ignore[override]
        self,
        search: str | None = None,
        fields: Iterable[str] = ("name",),
        **filters: Any,
    ) -> list[Record]:
        """All packages; ``search`` is a regular expression over ``fields``."""
        found = self.list_packages(**filters)
        return list(search_dicts(found, search, fields)) if search else found

    def default_dataset(self) -> Record | None:
        return next((d for d in self.datasets() if d.get("default")), None)
