"""The Authorization header: HTTP Signature in its 2013 and in its modern form.

Modern (draft-cavage-03 and later): every parameter quoted, the signature one of
them, `name: value` lines signed.  The older form puts the signature after a
space at the end and signs bare header values.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote

from localdc.api.accounts.sshkeys import ALGORITHMS
from localdc.api.errors import ApiError, invalid_credentials, invalid_header

PARAMETER = re.compile(r'([a-zA-Z]+)="([^"]*)"')
OLD_ALGORITHMS = frozenset({"rsa-sha1", "rsa-sha256", "rsa-sha512", "dsa-sha1"})


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request claims: this key made `signature` over `signed`."""

    key_id: str
    algorithm: str
    signature: bytes
    signed: bytes


@dataclass(frozen=True, slots=True)
class KeyId:
    """`/login/keys/key` or, for a sub-user, `/login/users/user/keys/key`."""

    login: str
    user: str | None
    key: str


def parse_key_id(text: str) -> KeyId:
    """Raises 401 InvalidCredentials when the shape is neither of the two."""
    parts = text.split("/")
    if len(parts) >= 4 and parts[0] == "" and parts[2] == "keys":
        # A SHA256 fingerprint may hold slashes.
        login, user, key = parts[1], None, "/".join(parts[3:])
    elif len(parts) >= 6 and parts[0] == "" and parts[2] == "users" and parts[4] == "keys":
        login, user, key = parts[1], parts[3], "/".join(parts[5:])
    else:
        raise invalid_credentials(f"Invalid KeyId {text} in authorization header")
    if not login or not key:
        raise invalid_credentials(f"Invalid KeyId {text} in authorization header")
    return KeyId(login, user, key)


def parse_date(text: str) -> datetime:
    """An HTTP date; `UTC` in place of `GMT` (Go's RFC1123) is fine."""
    date = parsedate_to_datetime(re.sub(r"\bUTC$", "GMT", text.strip()))
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def check_date(headers: Mapping[str, str], now: datetime, max_skew: float) -> None:
    """Raise 400 when the request was made too long ago, or too far ahead of now."""
    text = headers.get("x-date") or headers.get("date")
    if text is None:
        return
    signed = "authorization" in headers
    try:
        skew = abs((now - parse_date(text)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        if signed:
            raise invalid_header(f"unable to parse date {text!r}") from None
        raise ApiError(
            400, "InvalidHeader", f"Date header is invalid: {text!r}", early=True
        ) from None
    if skew <= max_skew:
        return
    if signed:
        raise invalid_header(f"clock skew of {skew:.1f}s was greater than {max_skew:g}s")
    raise ApiError(400, "RequestExpired", f"Date header {text} is too old", early=True)


def parse_authorization(
    headers: Mapping[str, str], method: str, target: str, http_version: str = "1.1"
) -> Signature | None:
    """Read the Authorization header; None when there is none, or another scheme.

    headers: names in lower case.  target: path with query, exactly as sent.
    Raises 400 InvalidHeader for what cannot be read.
    """
    header = headers.get("authorization")
    if header is None:
        return None
    scheme, _, rest = header.strip().partition(" ")
    if scheme != "Signature":
        if scheme.lower() == "signature" or not rest:
            raise invalid_header('scheme was not "Signature"')
        return None
    parameters = {name.lower(): value for name, value in PARAMETER.findall(rest)}
    leftover = PARAMETER.sub("", rest).replace(",", " ").split()
    if "keyid" not in parameters:
        raise invalid_header("keyId was not specified")
    if "algorithm" not in parameters:
        raise invalid_header("algorithm was not specified")
    algorithm = parameters["algorithm"].lower()
    if "signature" in parameters:
        if leftover:
            raise invalid_header("bad param format")
        return _modern(parameters, algorithm, headers, method, target, http_version)
    if len(leftover) != 1:
        raise invalid_header("signature was not specified")
    return _old(parameters, algorithm, headers, method, target, http_version, leftover[0])


def parse_presigned(
    query: str, method: str, host: str, path: str, now: datetime
) -> Signature | None:
    """Read the signature of a pre-signed URL; None when the query has none.

    Signed are methods, host, path and the other parameters, sorted and escaped, one
    a line (CloudAPI, websockets: what cannot send headers signs its URL).  Raises 401 for
    one that has expired or is for another method, 400 for one that cannot be read.
    """
    given = dict(parse_qsl(query, keep_blank_values=True))
    if not {"keyId", "signature", "algorithm", "expires"} <= given.keys():
        return None
    signature = _decode(given.pop("signature"))
    algorithm = given["algorithm"].lower()
    if algorithm not in ALGORITHMS:
        raise invalid_header(f"{algorithm} is not supported")
    try:
        expires = datetime.fromtimestamp(int(given["expires"]), UTC)
    except (ValueError, OverflowError, OSError):
        raise invalid_header(f"expires is no time: {given['expires']}") from None
    methods = sorted(given.get("method", method).split(","))
    if expires < now:
        raise invalid_credentials("The pre-signed URL has expired")
    if method not in methods:
        raise invalid_credentials(f"The pre-signed URL is not for {method}")
    pairs = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(given.items()))
    signed = "\n".join((",".join(methods), host, path, pairs))
    return Signature(given["keyId"], algorithm, signature, signed.encode())


def _names(parameters: Mapping[str, str], headers: Mapping[str, str]) -> list[str]:
    names = parameters.get("headers", "").lower().split()
    return names or ["x-date" if "x-date" in headers else "date"]


def _value(headers: Mapping[str, str], name: str) -> str:
    if name not in headers:
        raise invalid_header(f"{name} was not in the request")
    return headers[name]


def _modern(
    parameters: Mapping[str, str],
    algorithm: str,
    headers: Mapping[str, str],
    method: str,
    target: str,
    http_version: str,
) -> Signature:
    if algorithm not in ALGORITHMS:
        raise invalid_header(f"{algorithm} is not supported")
    lines = []
    names = _names(parameters, headers)
    for name in names:
        if name == "(request-target)":
            lines.append(f"(request-target): {method.lower()} {target}")
        elif name == "request-line":
            lines.append(f"{method} {target} HTTP/{http_version}")
        elif name in ("(keyid)", "(algorithm)", "(opaque)", "(created)", "(expires)"):
            key = name.strip("()")
            if key not in parameters:
                raise invalid_header(f"{name} was not specified")
            lines.append(f"{name}: {parameters[key]}")
        else:
            lines.append(f"{name}: {_value(headers, name)}")
    if "date" not in names and "x-date" not in names:
        raise ApiError(400, "InvalidHeader", "date was not a signed header", early=True)
    return Signature(
        parameters["keyid"],
        algorithm,
        _decode(parameters["signature"]),
        "\n".join(lines).encode("latin-1"),
    )


def _old(
    parameters: Mapping[str, str],
    algorithm: str,
    headers: Mapping[str, str],
    method: str,
    target: str,
    http_version: str,
    signature: str,
) -> Signature:
    if algorithm not in OLD_ALGORITHMS:
        raise invalid_header(f"{algorithm} is not supported")
    names = _names(parameters, headers)
    values = [
        f"{method} {target} HTTP/{http_version}"
        if name == "request-line"
        else _value(headers, name)
        for name in names
    ]
    if "date" not in names and "x-date" not in names:
        raise ApiError(400, "InvalidHeader", "date was not a signed header", early=True)
    return Signature(
        parameters["keyid"], algorithm, _decode(signature), "\n".join(values).encode("latin-1")
    )


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid_header("signature is not base64") from None
