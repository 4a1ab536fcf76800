"""CloudAPI's errors: status, code and message of each (parameter errors are 409)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FieldError = dict[str, str]


class ApiError(Exception):
    """An answer that is not a success.

    early: found before CloudAPI has set its own headers, which such answers
    therefore lack (bad Authorization syntax, unknown route, bad JSON, ...).
    extra: further fields of the body.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        early: bool = False,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.early = early
        self.extra = dict(extra or {})

    def body(self) -> dict[str, object]:
        body: dict[str, object] = {"code": self.code, "message": self.message}
        if self.errors:
            body["errors"] = list(self.errors)
        return {**body, **self.extra}


def missing_parameter(message: str) -> ApiError:
    return ApiError(409, "MissingParameter", message)


def invalid_argument(message: str) -> ApiError:
    return ApiError(409, "InvalidArgument", message)


def validation_failed(message: str, *errors: FieldError) -> ApiError:
    return ApiError(409, "ValidationFailed", message, errors=errors)


def invalid_field(name: str, message: str, code: str = "Invalid") -> FieldError:
    return {"field": name, "code": code, "message": message}


def not_found(message: str) -> ApiError:
    return ApiError(404, "ResourceNotFound", message)


def invalid_header(message: str) -> ApiError:
    return ApiError(400, "InvalidHeader", f"Authorization header invalid: {message}", early=True)


def invalid_credentials(message: str = "Invalid authorization credentials supplied") -> ApiError:
    return ApiError(401, "InvalidCredentials", message)


def not_authorized(message: str) -> ApiError:
    return ApiError(403, "NotAuthorized", message)


def unallocated(message: str) -> ApiError:
    return ApiError(409, "UnallocatedVM", message)


def not_implemented(message: str) -> ApiError:
    return ApiError(501, "NotImplementedError", message)


def throttled(message: str, retry_after: float | None = None, status: int = 429) -> ApiError:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return ApiError(status, "RequestThrottled", message, headers=headers)


def unavailable(message: str, retry_after: float | None = None) -> ApiError:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return ApiError(503, "ServiceUnavailableError", message, headers=headers)


def subnet_full(network: str) -> ApiError:
    return ApiError(507, "SubnetFull", f"no more free IPs in network {network}")
