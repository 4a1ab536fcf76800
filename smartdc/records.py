"""What CloudAPI's records look like, so that a broken server is named and not stumbled over.

Only the fields that this package and its users rely on; a field that may be absent may be null
too.  Source: the CloudAPI documentation, the object of each section.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ProtocolError

Record = dict[str, Any]

_WORDS: dict[type, str] = {
    str: "a string",
    int: "a number",
    bool: "a boolean",
    dict: "an object",
    list: "a list",
    type(None): "null",
}


@dataclass(frozen=True)
class RecordType:
    """One kind of record.

    :param required: names of fields with a string that must be there
    :param optional: name -> type of others; ``list`` means one of strings
    :param records: names of fields that hold lists of objects
    """

    kind: str
    required: tuple[str, ...]
    optional: Mapping[str, type] = field(default_factory=dict)
    records: tuple[str, ...] = ()

    def check(self, record: Record) -> Record:
        """The record, when it is one.

        :raises ProtocolError: a field is missing or of another type
        """
        for name in self.required:
            value = record.get(name)
            if value is None or value == "":
                raise ProtocolError(f"answered {_article(self.kind)} without {_article(name)}")
            if not isinstance(value, str):
                raise self._wrong(name, value, str)
        for name, kind in self.optional.items():
            value = record.get(name)
            if value is None:
                continue
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise self._wrong(name, value, kind)
            if isinstance(value, list) and not all(isinstance(v, str) for v in value):
                raise ProtocolError(
                    f"answered {_article(self.kind)} whose {name} are not all strings"
                )
        for name in self.records:
            values: Any = record.get(name)
            if values is None:
                continue
            if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
                raise ProtocolError(
                    f"answered {_article(self.kind)} whose {name} are no list of objects"
                )
        return record

    def check_all(self, records: Iterable[Record]) -> list[Record]:
        """The records, when all of them are; errors as :meth:`check`."""
        return [self.check(record) for record in records]

    def _wrong(self, name: str, value: object, wanted: type) -> ProtocolError:
        found = _WORDS.get(type(value), "a number")
        return ProtocolError(
            f"answered {_article(self.kind)} whose {name} is {found} instead of {_WORDS[wanted]}"
        )


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


# a machine of an operator may have no alias, and a NIC that NAPI has lost no network (vmapi,
# lib/common/vm-common.js; sdc-cloudapi, lib/machines.js, translate)
MACHINE = RecordType(
    "machine",
    ("id", "state"),
    {
        "name": str,
        "type": str,
        "brand": str,
        "image": str,
        "package": str,
        "primaryIp": str,
        "created": str,
        "updated": str,
        "ips": list,
        "networks": list,
        "tags": dict,
        "metadata": dict,
        "firewall_enabled": bool,
        "deletion_protection": bool,
    },
    ("nics",),
)


def machine(record: Record) -> Record:
    """A machine with a name, its id if it has no other, and without networks that nobody knows.

    :raises ProtocolError: it is none
    """
    networks = record.get("networks")
    if isinstance(networks, list) and None in networks:
        record = {**record, "networks": [n for n in networks if n is not None]}
    MACHINE.check(record)
    return record if record.get("name") else {**record, "name": record["id"]}


IMAGE = RecordType(
    "image", ("id", "name"), {"version": str, "os": str, "published_at": str, "state": str}
)
PACKAGE = RecordType("package", ("id", "name"), {"memory": int, "disk": int, "vcpus": int})
NETWORK = RecordType("network", ("id", "name"), {"public": bool, "fabric": bool})
KEY = RecordType("key", ("name", "fingerprint", "key"))
RULE = RecordType("firewall rule", ("id", "rule"), {"enabled": bool, "description": str})
VOLUME = RecordType("volume", ("id", "name", "state"), {"size": int, "filesystem_path": str})
SNAPSHOT = RecordType("snapshot", ("name",), {"state": str})
NIC = RecordType("NIC", ("mac", "network"), {"ip": str, "state": str, "primary": bool})
