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
from localdc.api.errors import ApiError, invalid_credentials, invalid_header, request_expired

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
            raise _unparsable(f"unable to parse date {text!r}") from None
        raise invalid_header(f"Date header is invalid: {text!r}") from None
    if skew <= max_skew:
        return
    if signed:
        raise _unparsable(f"clock skew of {skew:.1f}s was greater than {max_skew:g}s")
    raise request_expired(f"Date header {text} is too old")


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
            raise _unparsable('scheme was not "Signature"')
        return None
    parameters = {name.lower(): value for name, value in PARAMETER.findall(rest)}
    leftover = PARAMETER.sub("", rest).replace(",", " ").split()
    if "keyid" not in parameters:
        raise _unparsable("keyId was not specified")
    if "algorithm" not in parameters:
        raise _unparsable("algorithm was not specified")
    algorithm = parameters["algorithm"].lower()
    if "signature" in parameters:
        if leftover:
            raise _unparsable("bad param format")
        known, signature, modern = ALGORITHMS, parameters["signature"], True
    else:
        if len(leftover) != 1:
            raise _unparsable("signature was not specified")
        known, signature, modern = OLD_ALGORITHMS, leftover[0], False
    if algorithm not in known:
        raise _unparsable(f"{algorithm} is not supported")
    request_line = f"{method} {target} HTTP/{http_version}"
    names = _names(parameters, headers)
    lines = []
    for name in names:
        if name == "request-line":
            lines.append(request_line)
        elif modern:
            lines.append(f"{name}: {_modern_value(name, parameters, method, target, headers)}")
        else:
            lines.append(_value(headers, name))
    if "date" not in names and "x-date" not in names:
        raise invalid_header("date was not a signed header")
    return Signature(
        parameters["keyid"], algorithm, _decode(signature), "\n".join(lines).encode("latin-1")
    )


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
        raise _unparsable(f"{algorithm} is not supported")
    try:
        expires = datetime.fromtimestamp(int(given["expires"]), UTC)
    except (ValueError, OverflowError, OSError):
        raise _unparsable(f"expires is no time: {given['expires']}") from None
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
        raise _unparsable(f"{name} was not in the request")
    return headers[name]


def _modern_value(
    name: str,
    parameters: Mapping[str, str],
    method: str,
    target: str,
    headers: Mapping[str, str],
) -> str:
    """The value of a header, or of what newer signatures name in parentheses."""
    if name == "(request-target)":
        return f"{method.lower()} {target}"
    if name in ("(keyid)", "(algorithm)", "(opaque)", "(created)", "(expires)"):
        key = name.strip("()")
        if key not in parameters:
            raise _unparsable(f"{name} was not specified")
        return parameters[key]
    return _value(headers, name)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _unparsable("signature is not base64") from None


def _unparsable(why: str) -> ApiError:
    return invalid_header(f"Authorization header invalid: {why}")
