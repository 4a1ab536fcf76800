"""Requests survive the door, whatever they hold."""

from __future__ import annotations

import pytest

from localdc.smartos.smf.wire import pack_request, unpack_request


@pytest.mark.parametrize(
    "value",
    ["", "x", "a\nb", "ü€𝄞", "\udcff", "s", None, True, False, 0, -7, [], ["", "a", "l3"],
     {"a": [1, {"b": None}]}],
)  # fmt: skip
def test_round_trip(value: object) -> None:
    request = {"op": "x", "value": value, "last": "y"}
    assert unpack_request(pack_request(request)) == request


@pytest.mark.parametrize("body", [b"a\0l5\0b", b"a\0l-1", b"a\0?", b"a\0i", b"a\0", b"\xff\xfe"])
def test_nonsense_is_refused(body: bytes) -> None:
    with pytest.raises((ValueError, LookupError)):
        unpack_request(body)
