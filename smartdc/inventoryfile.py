"""What the file of an inventory may say, so that what has no effect is an error that names it.

Ansible itself passes over options that it does not know, takes any text for false, and looks into
no list or mapping.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from .errors import UsageError
from .filters import matcher
from .lookup import near
from .values import selector_problem

Options = Mapping[str, Any]

STATES = ("running", "stopped", "provisioning", "stopping", "ready", "offline", "unknown")
"""Those in which CloudAPI lists machines unasked (sdc-cloudapi, lib/machines.js)."""
EVALUATED = ("compose", "groups", "keyed_groups")
"""Options that are expressions, or templates in part."""
_WORDS_FOR_TRUTH = {"y", "yes", "on", "1", "true", "t", "n", "no", "off", "0", "false", "f"}
_BOOL = ("bool", "boolean")


def check(given: Options, known: Mapping[str, Options], access: Sequence[str]) -> None:
    """Look at what an inventory file says, without regard to what there is.

    :param known: option -> its documentation, with ``type`` and ``elements``
    :param access: the options that an entry of ``sources`` may have
    :raises UsageError: an option is unknown, of a wrong type, or cannot mean anything
    """
    for name, value in given.items():
        if name not in known:
            raise _unknown(f"option {name!r}", str(name), known)
        if value is None:
            continue
        _check_type(name, value, known[name])
        if name not in EVALUATED:
            _check_text(name, value)
    _check_meaning(given)
    _check_sources(given, known, access)
    _check_keyed_groups(given, known)


def _unknown(what: str, wanted: str, known: Mapping[str, Any] | Sequence[str]) -> UsageError:
    return UsageError(f"{what} is unknown", hint=f"nearest: {', '.join(near(wanted, known, 3))}")


def _check_type(name: str, value: Any, option: Options) -> None:
    """What Ansible does not look at: truth, numbers, and what is in a list."""
    kind, elements = option.get("type"), option.get("elements")
    if kind in _BOOL and not isinstance(value, bool) and str(value).lower() not in _WORDS_FOR_TRUTH:
        raise UsageError(f"{name}: {value!r} is neither true nor false")
    if kind == "int" and (isinstance(value, bool) or str(value).strip().startswith("-")):
        raise UsageError(f"{name}: {value!r} is not a number from 0 upwards")
    if kind == "list" and elements == "dict" and not isinstance(value, list):
        raise UsageError(f"{name}: {value!r} is not a list of mappings")
    if kind == "list" and isinstance(value, list):
        for item in value:
            if elements == "dict" and not isinstance(item, Mapping):
                raise UsageError(f"{name}: {item!r} is not a mapping")
            if elements == "str" and not _is_scalar(item):
                raise UsageError(f"{name}: {item!r} is not a word")
    if kind in ("str", "path") and not isinstance(value, str | int | float) and _is_plain(value):
        raise UsageError(f"{name}: {value!r} is not a text")
    if kind in ("str", "path") and value == "":
        raise UsageError(f"{name}: is empty", hint="give a value, or leave the option out")


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float) and value != ""


def _is_plain(value: Any) -> bool:
    """Not something of Ansible's own, such as a text out of a vault."""
    return isinstance(value, list | Mapping)


def _check_text(name: str, value: Any) -> None:
    for text in _texts(value):
        # Ansible replaces this one in paths
        if "{{" in text.replace("{{CWD}}", "") or "{%" in text:
            raise UsageError(
                f"{name}: {text!r} would not be evaluated",
                hint=f"of this file only {', '.join(EVALUATED)} are evaluated; write the value, or "
                "set an environment variable such as SDC_ACCOUNT",
            )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _check_meaning(given: Options) -> None:
    for name in ("states", "address"):
        if given.get(name) == []:
            raise UsageError(f"{name}: is empty, which leaves nothing")
    for state in _listed(given.get("states")):
        if state not in STATES:
            raise UsageError(
                f"states: machines are in no list with the state {state!r}",
                hint=f"states: {', '.join(STATES)}",
            )
    for tag, value in (given.get("selector") or {}).items():
        if problem := selector_problem(str(tag), value):
            raise UsageError(f"selector: {tag!r} {problem}")
    for name in ("include", "exclude"):
        for entry in given.get(name) or ():
            _check_filter(name, entry)


def _listed(value: Any) -> list[Any]:
    """A list as Ansible reads it: `a, b` is one, too."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return list(value or ())


def _check_filter(name: str, entry: Options) -> None:
    try:
        matcher([entry], [], {}, {})
    except UsageError as exc:
        raise UsageError(f"{name}: {exc}") from None
    for key, wanted in entry.items():
        patterns = wanted if isinstance(wanted, list) else [wanted]
        if not patterns or not all(_is_scalar(pattern) for pattern in patterns):
            raise UsageError(f"{name}: {key}: {wanted!r} is neither a pattern nor a list of them")
        if key == "state" and not any(fnmatchcase(s, str(p)) for s in STATES for p in patterns):
            raise UsageError(f"{name}: {key}: {wanted!r} is no state: {', '.join(STATES)}")


def _check_sources(given: Options, known: Mapping[str, Options], access: Sequence[str]) -> None:
    for entry in given.get("sources") or ():
        for name, value in entry.items():
            if name not in access:
                raise _unknown(f"sources: option {name!r}", str(name), access)
            if value is not None:
                _check_type(f"sources: {name}", value, known[name])


def _check_keyed_groups(given: Options, known: Mapping[str, Options]) -> None:
    options = known["keyed_groups"].get("suboptions") or {}
    for entry in given.get("keyed_groups") or ():
        for name, value in entry.items():
            if name not in options:
                raise _unknown(f"keyed_groups: option {name!r}", str(name), options)
            if name not in ("key", "parent_group"):
                _check_text(f"keyed_groups: {name}", value)
        if None not in (entry.get("default_value"), entry.get("trailing_separator")):
            raise UsageError(
                "keyed_groups: default_value and trailing_separator exclude each other"
            )
        if not entry.get("key"):
            raise UsageError("keyed_groups: an entry has no key", hint=f"it is {dict(entry)!r}")
