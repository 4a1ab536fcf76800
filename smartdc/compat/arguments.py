"""What callers pass: machines and images in several forms, and scripts by their paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..errors import UsageError


class Identified(Protocol):
    """An object with an id, such as a ``Machine``."""

    id: str


def read_script(filename: str | Path) -> str:
    """The text of a boot script.

    :raises UsageError: it cannot be read
    """
    path = Path(filename).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot read the boot script {path}: {reason}", hint="give the path of a script"
        ) from None


def identifier(value: str | Identified | Mapping[str, Any], *keys: str) -> str:
    """The id in what callers pass for a machine, image ...: a string, an object or a dict.

    :param keys: of a dict, in order of preference; default ``id``
    :raises UsageError: the dict has none of them
    """
    if isinstance(value, Mapping):
        for key in keys or ("id",):
            if value.get(key):
                return str(value[key])
        raise UsageError(f"a dict without {' or '.join(keys or ('id',))} names nothing")
    return value if isinstance(value, str) else value.id
