"""CloudAPI's errors, one constructor each, in the order of their status.

Parameter errors are 409.  CloudAPI hands on many errors of what stands behind it: restify
(4.3.3, with restify-errors), sdc-vmapi, sdc-napi, sdc-fwapi, sdc-volapi and sdc-imgapi.
Each constructor names where its status and its code come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
        """The JSON object of the answer (sdc-cloudapi, docs/index.md, Error Responses)."""
        body: dict[str, object] = {"code": self.code, "message": self.message}
        if self.errors:
            body["errors"] = list(self.errors)
        return {**body, **self.extra}


def invalid_field(name: str, message: str, code: str = "Invalid") -> FieldError:
    """An entry of the list `errors` in the body (sdc-vmapi, lib/errors.js, invalidParamErr)."""
    return {"field": name, "code": code, "message": message}


def bad_digest() -> ApiError:
    """Content-MD5 is not that of the body (restify-errors, lib/restErrors.js)."""
    return ApiError(400, "BadDigest", "Content-MD5 did not match the body", early=True)


def bad_request(message: str) -> ApiError:
    """The request is no HTTP (sdc-cloudapi, docs/index.md, Error Responses)."""
    return ApiError(400, "BadRequest", message, early=True)


def invalid_content(message: str) -> ApiError:
    """The body is not the JSON that it says it is (restify-errors, lib/restErrors.js)."""
    return ApiError(400, "InvalidContent", f"Invalid JSON: {message}", early=True)


def invalid_header(message: str) -> ApiError:
    """Authorization cannot be parsed (sdc-cloudapi, lib/authorization.js)."""
    return ApiError(400, "InvalidHeader", message, early=True)


def invalid_version(message: str) -> ApiError:
    """No version of the API suits the client (restify-errors, lib/restErrors.js)."""
    return ApiError(400, "InvalidVersion", message, early=True)


def machine_has_no_vnc(message: str) -> ApiError:
    """sdc-cloudapi, lib/errors.js, MachineHasNoVNCError."""
    return ApiError(400, "MachineHasNoVNCError", message)


def request_expired(message: str) -> ApiError:
    """The Date of the request is too old (restify-errors, lib/restErrors.js)."""
    return ApiError(400, "RequestExpired", message, early=True)


def upgrade_required(message: str) -> ApiError:
    """The path wants a websocket (sdc-cloudapi, lib/errors.js, UpgradeRequiredError)."""
    return ApiError(400, "UpgradeRequiredError", message)


def invalid_credentials(
    message: str = "Invalid authorization credentials supplied", challenge: str | None = None
) -> ApiError:
    """sdc-cloudapi, lib/auth.js.  challenge: the header WWW-Authenticate of the answer."""
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    return ApiError(401, "InvalidCredentials", message, headers=headers)


def not_authorized(message: str) -> ApiError:
    """sdc-cloudapi, lib/auth.js."""
    return ApiError(403, "NotAuthorized", message)


def not_found(message: str, *, early: bool = False) -> ApiError:
    """Nothing has this name (restify-errors, lib/restErrors.js)."""
    return ApiError(404, "ResourceNotFound", message, early=early)


def volume_not_found(message: str) -> ApiError:
    """sdc-volapi, lib/errors.js; node-triton waits for this code."""
    return ApiError(404, "VolumeNotFound", message)


def method_not_allowed(method: str, allowed: Iterable[str]) -> ApiError:
    """The path has other verbs, named in the header Allow (restify-errors, lib/httpErrors.js)."""
    return ApiError(
        405,
        "MethodNotAllowedError",
        f"{method} is not allowed",
        headers={"Allow": ", ".join(sorted(allowed))},
        early=True,
    )


def not_acceptable(message: str) -> ApiError:
    """The client takes none of the types of an answer (restify-errors, lib/httpErrors.js)."""
    return ApiError(406, "NotAcceptableError", message, early=True)


def brand_not_supported(message: str) -> ApiError:
    """sdc-vmapi, lib/errors.js, BrandNotSupportedError."""
    return ApiError(409, "BrandNotSupported", message)


def cannot_destroy(message: str) -> ApiError:
    """sdc-cloudapi, lib/errors.js, CannotDestroyMachineError."""
    return ApiError(409, "CannotDestroyMachineError", message)


def insufficient_capacity(message: str) -> ApiError:
    """sdc-cloudapi, docs/index.md, CreateMachine, Errors."""
    return ApiError(409, "InsufficientCapacity", message)


def invalid_argument(message: str) -> ApiError:
    """A parameter has a value that will not do (restify-errors, lib/restErrors.js)."""
    return ApiError(409, "InvalidArgument", message)


def invalid_fabric_package(message: str) -> ApiError:
    """sdc-cloudapi, lib/machines.js, where the networks of a new machine are checked."""
    return ApiError(409, "InvalidFabricPackage", message)


def invalid_networks(message: str) -> ApiError:
    """The networks of a volume (sdc-cloudapi, lib/errors.js, volapiErrorWrap)."""
    return ApiError(409, "InvalidNetworks", message)


def key_required() -> ApiError:
    """sdc-cloudapi, lib/machines.js, KeyRequiredError."""
    return ApiError(409, "KeyRequired", "At least one SSH key is required to provision")


def missing_parameter(message: str) -> ApiError:
    """A parameter that must be given (restify-errors, lib/restErrors.js)."""
    return ApiError(409, "MissingParameter", message)


def unallocated(message: str) -> ApiError:
    """The machine is being provisioned (sdc-vmapi, lib/errors.js, UnallocatedVMError)."""
    return ApiError(409, "UnallocatedVM", message)


def validation_failed(message: str, *errors: FieldError) -> ApiError:
    """sdc-vmapi, lib/errors.js, ValidationFailedError."""
    return ApiError(409, "ValidationFailed", message, errors=errors)


def volume_already_exists(name: str) -> ApiError:
    """sdc-volapi, lib/errors.js."""
    return ApiError(409, "VolumeAlreadyExists", f"Volume with name {name} already exists")


def volume_in_use(name: str, machines: Iterable[str]) -> ApiError:
    """sdc-volapi, lib/errors.js."""
    message = f"Volume with name {name} is used by machines {', '.join(machines)}"
    return ApiError(409, "VolumeInUse", message)


def volume_size_not_available(size: float, available: Iterable[int]) -> ApiError:
    """sdc-volapi, lib/errors.js.  size, available: MiB."""
    message = f"Volume size {size} is not available"
    return ApiError(
        409, "VolumeSizeNotAvailable", message, extra={"availableSizes": list(available)}
    )


def precondition_failed(message: str) -> ApiError:
    """restify-errors, lib/restErrors.js; what node-triton's tests take for "no migrations here"."""
    return ApiError(412, "PreconditionFailed", message)


def payload_too_large(limit: int) -> ApiError:
    """The body is longer than `limit` bytes (restify-errors, lib/httpErrors.js, on node 20)."""
    message = f"request body size exceeds {limit}"
    return ApiError(413, "PayloadTooLargeError", message, early=True)


def unsupported_media_type(kind: str) -> ApiError:
    """The body has a type that is not read (restify, lib/plugins/body_parser.js)."""
    return ApiError(415, "UnsupportedMediaType", f"{kind} is not supported", early=True)


def invalid_parameter(field: str, message: str, summary: str | None = None) -> ApiError:
    """A field of a firewall rule (sdc-fwapi, lib/errors.js, InvalidParamsError).

    NAPI has a summary of its own (sdc-napi, lib/util/errors.js, PoolFullError).
    """
    error = invalid_field(field, message, "InvalidParameter")
    return ApiError(422, "InvalidParameters", summary or f"{field}: {message}", errors=[error])


def throttled(message: str, retry_after: float | None = None, status: int = 429) -> ApiError:
    """restify-errors, lib/restErrors.js; sdc-cloudapi, docs/index.md, HTTP Status Codes, says 420.

    retry_after: seconds until the client should ask again.
    """
    return ApiError(status, "RequestThrottled", message, headers=_retry_after(retry_after))


def internal(message: str) -> ApiError:
    """This data center has an error of its own (sdc-cloudapi, docs/index.md, Error Responses)."""
    return ApiError(500, "InternalError", message)


def not_available(message: str) -> ApiError:
    """sdc-cloudapi, docs/index.md, CreateImageFromMachine, Errors; sdc-imgapi, lib/errors.js."""
    return ApiError(501, "NotAvailable", message)


def not_implemented(message: str) -> ApiError:
    """What this data center does not have (restify-errors, lib/httpErrors.js)."""
    return ApiError(501, "NotImplementedError", message)


def unavailable(message: str, retry_after: float | None = None) -> ApiError:
    """sdc-cloudapi, lib/app.js.  retry_after: seconds until the client should ask again."""
    return ApiError(503, "ServiceUnavailableError", message, headers=_retry_after(retry_after))


def subnet_full(message: str) -> ApiError:
    """A network has no free address (sdc-napi, lib/util/errors.js, SubnetFullError)."""
    return ApiError(507, "SubnetFull", message)


def exposed(cause: ApiError, what: str) -> ApiError:
    """The same error, saying what failed by it (sdc-cloudapi, lib/errors.js, ExposedSDCError)."""
    return ApiError(cause.status, cause.code, f"{what}: {cause.message}", errors=cause.errors)


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": f"{seconds:g}"}
