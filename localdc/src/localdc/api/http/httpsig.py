"""The Authorization header: HTTP Signature in its 2013 and in its modern form.

Modern (draft-cavage-03 and later): every parameter quoted, the signature one of
them, `name: value` lines signed.  The older form puts the signature after a
space at the end and signs bare header values.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from localdc.api.accounts.sshkeys import ALGORITHMS
from localdc.api.errors import ApiError, invalid_credentials, invalid_header, request_expired
from localdc.api.http.authorization import (
    Unreadable,
    Value,
    base64_bytes,
    modern,
    number,
    old,
    parse_date,
    shown,
)

OLD_ALGORITHMS = frozenset({"rsa-sha1", "rsa-sha256", "rsa-sha512", "dsa-sha1"})
MAX_SKEW = 300.0
"""Seconds that `created` may lie ahead, and `expires` back."""


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


@dataclass(frozen=True, slots=True)
class Received:
    """What of a request can be signed.

    headers: names in lower case.  target: path with query, exactly as sent.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    http_version: str = "1.1"


def check_date(headers: Mapping[str, str], now: datetime, max_skew: float) -> None:
    """Raise 400 RequestExpired when a request has a Date of long ago, be it signed or not.

    Source: restify 4.3.3, lib/plugins/date.js, which comes after the Authorization header.
    """
    text = headers.get("date")
    if not text:
        return
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        if (now - parse_date(text)).total_seconds() > max_skew:
            raise request_expired(f"Date header {text} is too old")


def parse_authorization(
    request: Received, now: datetime, max_skew: float = MAX_SKEW
) -> Signature | None:
    """Read the Authorization header; None when there is none, or another scheme.

    The modern form is tried first, then that of 0.9; when neither can be read, the answer says
    what is wrong with it as a modern one (sdc-cloudapi, lib/authorization.js, parseSignature).
    Raises 400 InvalidHeader.
    """
    header = request.headers.get("authorization")
    if not header:
        return None
    scheme, space, rest = header.strip().partition(" ")
    if not space:
        raise invalid_header("Authorization header invalid: nothing follows the scheme")
    if scheme.lower() != "signature":
        return None
    if scheme != "Signature":
        raise _unparsable('scheme was not "Signature"')
    try:
        return _modern(request, rest, now, max_skew)
    except Unreadable as error:
        with contextlib.suppress(Unreadable):
            return _old(request, rest, now, max_skew)
        raise _unparsable(str(error)) from None


def _modern(request: Received, text: str, now: datetime, max_skew: float) -> Signature:
    """http-signature 1.4.0, lib/parser.js, parseRequest; its checks in its order."""
    parameters = modern(text)
    names = _names(request, parameters)
    key_id, algorithm, signature = (
        _required(parameters, name) for name in ("keyId", "algorithm", "signature")
    )
    if algorithm not in ALGORITHMS:
        raise Unreadable(f"{algorithm} is not supported")
    lines = [_modern_line(request, name, parameters) for name in names]
    _check_clock(request, now, max_skew)
    created, expires = (_time_of(parameters, name) for name in ("created", "expires"))
    ahead, late = created - int(now.timestamp()), int(now.timestamp()) - expires
    allowed = f"greater than allowed {max_skew:g}s"
    if ahead > max_skew:
        raise Unreadable(f"Created lies in the future (with skew {shown(ahead)}s {allowed})")
    if late > max_skew:
        raise Unreadable(f"Request expired with skew {shown(late)}s {allowed}")
    _check_date_is_signed(request, names)
    # sshpk 1.18.0, which verifies, takes the letters for bytes in lib/ed-compat.js alone
    encoding = "latin-1" if algorithm.startswith("ed25519") else "utf-8"
    signed = "\n".join(lines).encode(encoding)
    return Signature(key_id, algorithm, base64_bytes(signature), signed)


def _old(request: Received, text: str, now: datetime, max_skew: float) -> Signature:
    """sdc-cloudapi, lib/node-http-signature/parser.js, parseRequest; its checks in its order."""
    form = old(text)
    names = _names(request, form.parameters)
    key_id, algorithm = (_required(form.parameters, name) for name in ("keyId", "algorithm"))
    if not form.signature:
        raise Unreadable("signature was empty")
    if algorithm not in OLD_ALGORITHMS:
        raise Unreadable(f"{algorithm} is not supported")
    lines = [_request_line(request) if n == "request-line" else _header(request, n) for n in names]
    if not all(lines):
        raise Unreadable("a header without a value cannot be signed")
    _check_clock(request, now, max_skew)
    _check_date_is_signed(request, names)
    signed = "\n".join(lines).encode()
    return Signature(key_id, algorithm, base64_bytes(form.signature), signed)


def _required(parameters: Mapping[str, Value], name: str) -> str:
    """A text that must be there; of the algorithm, its letters in lower case."""
    value = parameters.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{name} was not specified")
    return value.lower() if name == "algorithm" else value


def _date_header(request: Received) -> str:
    """Which header tells when the request was made, and so must be signed."""
    return "x-date" if request.headers.get("x-date") else "date"


def _names(request: Received, parameters: Mapping[str, Value]) -> list[str]:
    given = parameters.get("headers") or _date_header(request)
    if not isinstance(given, str):
        raise Unreadable("headers is no list of names")
    return given.lower().split(" ")


def _check_clock(request: Received, now: datetime, max_skew: float) -> None:
    """That of X-Date where there is one.

    http-signature takes a date that it cannot read for one of this moment; such a signature
    would never expire, and is refused here.
    """
    text = request.headers.get(_date_header(request))
    if not text:
        return
    try:
        skew = abs((now - parse_date(text)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        raise Unreadable(f"unable to parse date {text!r}") from None
    if skew > max_skew:
        raise Unreadable(f"clock skew of {skew:.1f}s was greater than {max_skew:g}s")


def _check_date_is_signed(request: Received, names: Sequence[str]) -> None:
    wanted = _date_header(request)
    if wanted not in names:
        raise Unreadable(f"{wanted} was not a signed header")


def _time_of(parameters: Mapping[str, Value], name: str) -> float:
    """Seconds since 1970; nan, of which no comparison is true, where it does not matter."""
    value = parameters.get(name)
    return number(value) if value else math.nan


def _request_line(request: Received) -> str:
    return f"{request.method} {request.target} HTTP/{request.http_version}"


def _header(request: Received, name: str) -> str:
    value = request.headers.get(name)
    if value is None:
        raise Unreadable(f"{name} was not in the request")
    return value


def _modern_line(request: Received, name: str, parameters: Mapping[str, Value]) -> str:
    """A line that was signed: a header, or what newer signatures name in parentheses."""
    if name == "request-line":
        return _request_line(request)
    if name == "(request-target)":
        return f"(request-target): {request.method.lower()} {request.target}"
    parameter = "keyId" if name == "(keyid)" else name.strip("()")
    if name in ("(keyid)", "(algorithm)", "(opaque)"):
        if parameter not in parameters:
            raise Unreadable(f"{parameter} param was not in the header")
        return f"{name}: {shown(parameters[parameter])}"
    if name in ("(created)", "(expires)"):
        return f"{name}: {shown(parameters.get(parameter, 'undefined'))}"
    return f"{name}: {_header(request, name)}"


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
    signature = base64_bytes(given.pop("signature"))
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


def _unparsable(why: str) -> ApiError:
    return invalid_header(f"Authorization header invalid: {why}")
