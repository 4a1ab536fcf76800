"""Property types: which texts are values of them."""

from __future__ import annotations

from .model import SmfError

TYPES = (
    "count", "integer", "opaque", "host", "hostname", "net_address", "net_address_v4",
    "net_address_v6", "time", "astring", "ustring", "boolean", "fmri", "uri",
)  # fmt: skip
VALUE_MAX = 4095
# Matched whole, by those few who need them: importing re takes milliseconds.
_HOSTNAME = r"(?!-)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.?"
_PATTERNS = {
    "hostname": _HOSTNAME, "time": r"-?\d+(?:\.\d{1,9})?", "uri": r"[A-Za-z][A-Za-z0-9+.-]*:\S+",
}  # fmt: skip


def _is(pattern: str, text: str) -> bool:
    import re

    return re.fullmatch(pattern, text) is not None


def _number(text: str, low: int, high: int) -> str:
    digits = text.strip().lstrip("+-").lower()
    # strtoull(3C) with base 0
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") and digits != "0" else 10
    value = int(text, base)
    if not low <= value <= high:
        raise ValueError
    return str(value)


def _address(text: str, families: tuple[str, ...]) -> str:
    import socket

    address, slash, bits = text.partition("/")
    for name in families:
        family = socket.AF_INET if name == "v4" else socket.AF_INET6
        try:
            socket.inet_pton(family, address)
        except OSError:
            continue
        if slash and not 0 <= int(bits) <= (32 if name == "v4" else 128):
            raise ValueError
        return text
    raise ValueError


def _check(type: str, text: str) -> str:
    if type == "boolean":
        return {"true": "true", "1": "true", "false": "false", "0": "false"}[text]
    if type == "count":
        return _number(text, 0, 2**64 - 1)
    if type == "integer":
        return _number(text, -(2**63), 2**63 - 1)
    if type == "opaque":
        return bytes.fromhex(text).hex()
    if type.startswith("net_address"):
        versions = {"net_address_v4": ("v4",), "net_address_v6": ("v6",)}
        return _address(text, versions.get(type, ("v4", "v6")))
    if type == "host":
        return text if _is(_HOSTNAME, text) else _address(text, ("v4", "v6"))
    if type == "ustring":
        # astring is any bytes, this is UTF-8
        text.encode()
    if type in _PATTERNS and not _is(_PATTERNS[type], text):
        raise ValueError
    return text


def normalise(type: str, text: str) -> str:
    """`text` as a value of `type` in the spelling of svcprop(1).

    Raises SmfError where the type is unknown or the text is not a value of it
    (scf_value_set_from_string(3SCF)).
    """
    if type not in TYPES:
        raise SmfError(f'Unknown type "{type}".')
    if len(text.encode("utf-8", "surrogateescape")) > VALUE_MAX:
        raise SmfError(f"Value is longer than {VALUE_MAX} bytes.")
    try:
        return _check(type, text)
    except (ValueError, KeyError):
        raise SmfError(f'Invalid "{type}" value "{text}".') from None
