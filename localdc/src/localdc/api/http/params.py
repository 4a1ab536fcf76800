"""Query, JSON, form and multipart bodies, merged into one map of parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

from localdc.api.errors import (
    bad_request,
    invalid_content,
    missing_parameter,
    unsupported_media_type,
)
from localdc.api.values import json_number

MAX_BODY = 100_000


def merged(query: str, content_type: str, body: bytes) -> dict[str, Any]:
    """The parameters of a request; the body wins over the query.

    Raises 400 InvalidContent or 415 UnsupportedMediaType.
    """
    params = _pairs(query)
    if not body:
        return params
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("", "application/json"):
        params.update(_json(body))
    elif kind == "application/x-www-form-urlencoded":
        params.update(_pairs(body.decode("utf-8", "replace")))
    elif kind == "multipart/form-data":
        params.update(_multipart(content_type, body))
    else:
        raise unsupported_media_type(kind)
    return params


def _pairs(text: str) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
        if name not in params:
            params[name] = value
        elif isinstance(params[name], list):
            params[name].append(value)
        else:
            params[name] = [params[name], value]
    return params


def _json(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text, parse_constant=_no_constant, parse_float=json_number, parse_int=json_number
        )
        if "\\u" in text:
            # Half a surrogate pair is JSON but not text; it could not be stored.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise invalid_content(str(error)) from None
    if not isinstance(value, dict):
        raise invalid_content("the body must be an object")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _multipart(content_type: str, body: bytes) -> dict[str, Any]:
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body
    )
    if not message.is_multipart():
        raise bad_request("multipart body without its boundary")
    params: dict[str, Any] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            params[name] = payload.decode("utf-8", "replace")
    return params


def required(params: Mapping[str, Any], name: str, message: str) -> Any:
    """Raises 409 MissingParameter with `message`."""
    value = params.get(name)
    if value is None or value == "":
        raise missing_parameter(message)
    return value
