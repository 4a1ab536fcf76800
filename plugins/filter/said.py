"""Filters: values as users write them in -e."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

BETWEEN = re.compile(r",(?![^\[]*\])\s*(?=[A-Za-z0-9.])|\s+(?=[A-Za-z0-9.])(?<![<>=!~,;@]\s)")
"""Between two requirements: neither in `a[b,c]` nor in `a>=1,<2` nor in `a >= 1`."""


def elements(given: Any) -> list[str]:
    """Names that commas or blanks part, or that are a list already."""
    texts = given if isinstance(given, list) else [given]
    return [name for text in texts for name in re.split(r"[,\s]+", str(text)) if name]


def requirements(given: Any) -> list[str]:
    """Requirements of pip (PEP 508), in a text, in a list, or in a file whose name ends in .txt.

    Of a file the lines count that are neither empty nor comments; options of pip are refused.
    """
    if isinstance(given, str) and given.strip().endswith(".txt"):
        return list(_of_file(Path(given.strip()).expanduser()))
    texts = given if isinstance(given, list) else [given]
    return [item.strip() for text in texts for item in _parted(str(text)) if item.strip()]


def script_text(given: str) -> str:
    """A script that is given as its text, or as the path of its file."""
    if not given or is_script(given):
        return given
    path = Path(given).expanduser()
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise AnsibleFilterError(f"machine_user_script is {path}: {error}") from error


def is_script(given: str) -> bool:
    """Whether it is a script's text and not a path."""
    return given.startswith("#!") or "\n" in given


def _parted(text: str) -> Iterable[str]:
    # a marker ("; python_version > '3'") goes on to the end
    return [text] if ";" in text else BETWEEN.split(text)


def _of_file(path: Path) -> Iterable[str]:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise AnsibleFilterError(f"python_packages is {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if text.startswith("-"):
            raise AnsibleFilterError(
                f"{path}, line {number}: {text!r} is an option of pip, and no requirement"
            )
        if text:
            yield text


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Callable[[Any], Any]]:
        """The filters, by name."""
        return {"elements": elements, "requirements": requirements, "script_text": script_text}
