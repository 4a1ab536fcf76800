"""What can go wrong, as types.

Every message is one line and says what to do next.  Errors that the server
answered carry ``code`` (CloudAPI's word, e.g. ``"ResourceNotFound"``),
``status`` (HTTP), ``request_id`` (quote it to an operator), ``method`` and
``path``.  They are also ``requests.HTTPError``, because programs written for
smartdc 0.2 notice a deleted machine by catching that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import requests

_MAX_MESSAGE = 600


def one_line(text: object, limit: int = _MAX_MESSAGE) -> str:
    """Text from elsewhere made fit for a terminal: one line, printable, short."""
    line = re.sub(r"\s+", " ", str(text)).strip()
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


LOOK_FIRST = "look whether it took effect before doing it again"
"""What to do after a request that may have been done and must not be done twice."""


class SmartDCError(Exception):
    """Base of all errors of this package."""

    hint = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = one_line(message)
        if hint is not None:
            self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} - {self.hint}" if self.hint else self.message


class UsageError(SmartDCError, ValueError):
    """An argument that can be refused without asking the server."""


class LookupFailed(UsageError):
    """No image, package or network of that name; ``near`` holds similar names."""

    def __init__(self, kind: str, wanted: str, near: Iterable[str] = ()) -> None:
        self.kind, self.wanted, self.near = kind, wanted, list(near)
        hint = f"nearest: {', '.join(self.near)}" if self.near else f"there is no {kind} at all"
        super().__init__(f"no {kind} {wanted!r}", hint=hint)


class ConfigError(SmartDCError):
    """Settings that name a data center only in part, or that cannot be read."""


class NoDataCenter(ConfigError):
    """Nothing is configured and no embedded data center runs."""


class KeyNotFound(SmartDCError):
    """No private key belongs to the key id."""


class BadKey(SmartDCError):
    """A key file or an agent's answer that cannot be used for signing."""


class EncryptedKey(BadKey):
    """The key file needs a passphrase and none was given."""


class AgentError(SmartDCError):
    """ssh-agent does not answer, or refuses to sign."""


class RequestError(SmartDCError):
    """An error that belongs to one request."""

    def __init__(
        self,
        message: str,
        *,
        method: str = "",
        path: str = "",
        ambiguous: bool = False,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.method = method
        self.path = path
        self.ambiguous = ambiguous
        """True when the server may have done what was asked although no answer says so."""

    def __str__(self) -> str:
        where = f" ({self.method} {self.path})" if self.method else ""
        return f"{self.message}{where}" + (f" - {self.hint}" if self.hint else "")


class Unreachable(RequestError, requests.ConnectionError):
    """No connection, or it broke; see ``ambiguous`` before repeating a create."""

    hint = "check the URL (SDC_URL), the network, and that the data center runs"

    def __init__(self, message: str, **kw: object) -> None:
        RequestError.__init__(self, message, **kw)  # type: ignore[arg-type]


class NeverConnected(Unreachable):
    """Nobody took the connection, so that nothing was sent."""


class AnswerLost(Unreachable):
    """The request was sent and the connection ended before an answer."""

    hint = "the data center, or something on the way to it, ends connections; try again later"


class TimedOut(Unreachable):
    """The server took longer than the time-out."""

    hint = "the data center is overloaded, or something on the way holds its answers back"


class TLSError(Unreachable):
    """The server's certificate was not accepted."""

    hint = (
        "for a private certificate set REQUESTS_CA_BUNDLE to its CA, "
        "or SDC_TLS_INSECURE=1 to go without verification"
    )


class ProtocolError(RequestError):
    """The answer is not what a CloudAPI sends: HTML, wrong types, endless or huge."""

    hint = "is the URL really that of a CloudAPI, without a path?"


class APIError(RequestError, requests.HTTPError):
    """An error that CloudAPI answered."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 0,
        request_id: str | None = None,
        method: str = "",
        path: str = "",
        response: requests.Response | None = None,
        ambiguous: bool = False,
        hint: str | None = None,
        body: object = None,
    ) -> None:
        RequestError.__init__(
            self, message, method=method, path=path, ambiguous=ambiguous, hint=hint
        )
        self.code = one_line(code, 80)
        self.status = status
        self.request_id = one_line(request_id, 80) if request_id else None
        self.response = response
        self.request = response.request if response is not None else None
        self.body = body
        self.retry_after: float | None = None

    def __str__(self) -> str:
        where = f"{self.method} {self.path}: {self.status}"
        if self.request_id:
            where += f", request {self.request_id}"
        text = (
            f"{self.code}: {self.message} ({where})" if self.code else f"{self.message} ({where})"
        )
        return f"{text} - {self.hint}" if self.hint else text


class BadRequest(APIError):
    """400: the request itself is malformed."""


class ClockSkew(BadRequest):
    """400: the signed date is too far from the server's clock (300 s)."""

    hint = "set this computer's clock (NTP)"


class Unauthorized(APIError):
    """401: the signature was not accepted."""

    hint = (
        "check the account (SDC_ACCOUNT), the key id (SDC_KEY_ID) and that this public key "
        "is among the account's keys"
    )


class Forbidden(APIError):
    """403: known, but not allowed."""

    hint = "the account or sub-user lacks the permission; ask the account's owner or the operator"


class QuotaExceeded(Forbidden):
    """403: the account's limits allow no more machines, memory or disk.

    The same code as a missing permission, and told from it by its message alone
    (sdc-cloudapi, plugins/provision_limits.js).
    """

    hint = (
        "the account has as much as its limits allow (triton cloudapi /my/limits shows them): "
        "delete machines, take a smaller package, or ask the data center's operator"
    )


class Disabled(Forbidden):
    """403: the account or the sub-user is disabled (sdc-cloudapi, lib/auth.js)."""

    hint = "ask the data center's operator, or the account's owner if it is a sub-user"


class NotFound(APIError):
    """404: no such thing in this account."""


class Conflict(APIError):
    """409 of a kind that depends on the machine's present state."""


class InvalidArgument(APIError):
    """409 or 422: a parameter was refused; ``fields`` says which, if the server did."""

    @property
    def fields(self) -> dict[str, str]:
        errors = self.body.get("errors") if isinstance(self.body, dict) else None
        return {
            one_line(e.get("field", ""), 80): one_line(e.get("message", ""))
            for e in (errors if isinstance(errors, list) else [])
            if isinstance(e, dict)
        }


class Gone(APIError):
    """410: the machine was deleted; ``body`` is its last description."""


class Throttled(APIError):
    """420 or 429 for longer than the client is patient."""

    hint = "too many requests from this account; wait, or lower the rate of other clients"


class ServerError(APIError):
    """5xx."""

    hint = "try again later; if it stays, give the request id to the operator"


class Unavailable(ServerError):
    """503: no capacity, or maintenance."""

    hint = "the data center has no capacity or is in maintenance; try again later"


class WaitTimeout(SmartDCError, TimeoutError):
    """A wait ended early; ``late`` maps machine id to its last known state."""

    def __init__(self, message: str, late: Mapping[str, str] | None = None) -> None:
        super().__init__(message, hint="raise the timeout; the audit tells whether a job failed")
        self.late = dict(late or {})


class MachineFailed(SmartDCError):
    """A machine went to ``failed``, or was deleted, while something else was awaited.

    ``machines`` maps machine id to its last known state.
    """

    def __init__(self, message: str, machines: Mapping[str, str] | None = None) -> None:
        super().__init__(
            message,
            hint="the data center does not say why: often no server has room for the package. Its "
            "operator can tell by the id; or delete it and create it with another package",
        )
        self.machines = dict(machines or {})


_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequest,
    401: Unauthorized,
    404: NotFound,
    409: Conflict,
    410: Gone,
    420: Throttled,
    422: InvalidArgument,
    429: Throttled,
    503: Unavailable,
}
# the parameter errors among CloudAPI's 409 codes; the others depend on state
_ARGUMENT_CODES = frozenset(
    {
        "InvalidArgument",
        "MissingParameter",
        "ValidationFailed",
        "ValidationError",
        "InvalidParameters",
        "InvalidNetworks",
        "InvalidFabricPackage",
        "KeyRequired",
    }
)


# what to do where the class of the error does not tell: the code, and its source
_HINTS = {
    # sdc-napi, lib/util/errors.js
    "SubnetFull": "the network has no free address: take another one, or delete what uses it",
    # sdc-vmapi, lib/common/errors.js
    "InsufficientCapacity": "no server has room for it: take a smaller package or loosen affinity, "
    "try again later, or ask the data center's operator",
    # sdc-fwapi, lib/util/errors.js
    "Forbidden": "it belongs to another account or to the data center",
    # sdc-imgapi, lib/errors.js
    "OperatorOnly": "only the data center's operator may do this",
}


def _class_of(status: int, code: str, message: str) -> type[APIError]:
    if code == "RequestThrottled":
        return Throttled
    if status == 400 and ("clock skew" in message or code == "RequestExpired"):
        return ClockSkew
    if status == 409 and code in _ARGUMENT_CODES:
        return InvalidArgument
    if status == 403:
        return _forbidden(message)
    return _BY_STATUS.get(status, ServerError if status >= 500 else APIError)


def _forbidden(message: str) -> type[Forbidden]:
    if message.startswith("Quota exceeded"):
        return QuotaExceeded
    return Disabled if message.endswith("is disabled") else Forbidden


def _message_of(body: object, response: requests.Response) -> tuple[str, str]:
    if isinstance(body, dict) and isinstance(body.get("code"), str):
        message = str(body.get("message") or "no message")
        details = body.get("errors")
        if isinstance(details, list):
            parts = [
                f"{e.get('field')}: {e.get('message') or e.get('code')}"
                for e in details
                if isinstance(e, dict)
            ]
            message += f" [{'; '.join(parts)}]" if parts else ""
        return body["code"], message
    if response.status_code == 410:
        return "", "the machine was deleted"
    return "", response.reason or f"HTTP {response.status_code}"


def from_response(response: requests.Response, body: object, *, method: str, path: str) -> APIError:
    """The typed error for an answer with status >= 400; ``body`` is decoded JSON or None."""
    status = response.status_code
    code, message = _message_of(body, response)
    error = _class_of(status, code, message)(
        message,
        code=code,
        status=status,
        request_id=response.headers.get("Request-Id") or response.headers.get("x-request-id"),
        method=method,
        path=path,
        response=response,
        ambiguous=method == "POST" and status in (500, 502, 504),
        body=body,
        hint=_HINTS.get(code),
    )
    # the action that a sub-user lacks stands behind the path (sdc-cloudapi, lib/auth.js, authorize)
    action = re.search(r"permission to access \S+ \((\w+)\)$", message)
    if action and status == 403:
        error.hint = (
            f"the sub-user needs a role with a policy that says CAN {action[1]} *; ask the "
            "account's owner"
        )
    if isinstance(error, ClockSkew) and response.headers.get("Date"):
        error.message += f"; the server's time is {one_line(response.headers['Date'], 60)}"
    return error
