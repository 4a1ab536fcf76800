"""Messages at the repository door.

A request is a flat record of strings, numbers, flags and lists of strings. It may come from
anybody, so it is taken apart by hand; what is nested (a bundle) travels as JSON in a string. An
answer comes from svc.startd, which its clients trust, and is marshalled. Both have their length
before them. So neither side imports ``json``, ``re`` and ``enum`` for everyday work: half of its
start-up time.
"""

from __future__ import annotations

from marshal import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Wire = dict[str, Any]

LENGTH = 4
# deterministic, and the same in every Python that this runs on
MARSHAL = 2
_FLAGS = {"n": None, "t": True, "f": False}


def framed(body: bytes) -> bytes:
    """A message with its length before it."""
    return len(body).to_bytes(LENGTH, "big") + body


def pack_request(request: Wire) -> bytes:
    """The body of a request; TypeError for values that no request may hold."""
    fields: list[str] = []
    for key, value in request.items():
        fields.append(key)
        if value is None or isinstance(value, bool):
            fields.append({None: "n", True: "t", False: "f"}[value])
        elif isinstance(value, int):
            fields.append(f"i{value}")
        elif isinstance(value, str):
            fields.append("s" + value)
        elif isinstance(value, dict):
            from json import dumps as json

            fields.append("j" + json(value))
        else:
            fields.append(f"l{len(value)}")
            fields.extend(value)
    return "\0".join(fields).encode("utf-8", "surrogatepass")


def unpack_request(body: bytes) -> Wire:
    """The inverse; ValueError or IndexError where the body is not one of a request."""
    fields = body.decode("utf-8", "surrogatepass").split("\0")
    request: Wire = {}
    position = 0
    while position < len(fields) - 1:
        key, tag, text = fields[position], fields[position + 1][:1], fields[position + 1][1:]
        position += 2
        if tag == "s":
            request[key] = text
        elif tag == "i":
            request[key] = int(text)
        elif tag == "l":
            count = int(text)
            if not 0 <= count <= len(fields) - position:
                raise ValueError("list is longer than the request")
            request[key] = fields[position : position + count]
            position += count
        elif tag == "j":
            from json import loads as json

            request[key] = json(text)
        elif tag in _FLAGS:
            request[key] = _FLAGS[tag]
        else:
            raise ValueError(f"unknown tag {tag!r}")
    return request


def pack_answer(answer: Any) -> bytes:
    """The body of an answer."""
    return dumps(answer, MARSHAL)


def unpack_answer(body: bytes) -> Any:
    """The inverse, for bodies that svc.startd sent."""
    return loads(body)
