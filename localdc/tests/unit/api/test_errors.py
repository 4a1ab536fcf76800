"""CloudAPI's errors: status and code of every constructor, with the source of both."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from localdc.api import errors
from localdc.api.errors import ApiError

SOURCES = Path(errors.__file__).parents[1]

Made = Callable[[], ApiError]

# restify-errors, lib/restErrors.js
RESTIFY: list[tuple[str, int, str, Made]] = [
    ("bad_digest", 400, "BadDigest", errors.bad_digest),
    ("invalid_content", 400, "InvalidContent", lambda: errors.invalid_content("no")),
    ("invalid_header", 400, "InvalidHeader", lambda: errors.invalid_header("no")),
    ("invalid_version", 400, "InvalidVersion", lambda: errors.invalid_version("no")),
    ("request_expired", 400, "RequestExpired", lambda: errors.request_expired("no")),
    ("invalid_credentials", 401, "InvalidCredentials", errors.invalid_credentials),
    ("not_authorized", 403, "NotAuthorized", lambda: errors.not_authorized("no")),
    ("not_found", 404, "ResourceNotFound", lambda: errors.not_found("no")),
    ("invalid_argument", 409, "InvalidArgument", lambda: errors.invalid_argument("no")),
    ("missing_parameter", 409, "MissingParameter", lambda: errors.missing_parameter("no")),
    ("precondition_failed", 412, "PreconditionFailed", lambda: errors.precondition_failed("no")),
    ("throttled", 429, "RequestThrottled", lambda: errors.throttled("no")),
]
# restify-errors, lib/httpErrors.js: status codes of HTTP; the codes as observed of restify 4.3.3
HTTP: list[tuple[str, int, str, Made]] = [
    ("bad_request", 400, "BadRequest", lambda: errors.bad_request("no")),
    (
        "method_not_allowed",
        405,
        "MethodNotAllowedError",
        lambda: errors.method_not_allowed("PATCH", ["GET"]),
    ),
    ("not_acceptable", 406, "NotAcceptableError", lambda: errors.not_acceptable("no")),
    ("payload_too_large", 413, "PayloadTooLargeError", lambda: errors.payload_too_large(1)),
    (
        "unsupported_media_type",
        415,
        "UnsupportedMediaType",
        lambda: errors.unsupported_media_type("text/csv"),
    ),
    ("internal", 500, "InternalError", lambda: errors.internal("no")),
    ("not_implemented", 501, "NotImplementedError", lambda: errors.not_implemented("no")),
    ("unavailable", 503, "ServiceUnavailableError", lambda: errors.unavailable("no")),
]
# sdc-cloudapi: lib/errors.js, lib/machines.js and docs/index.md (CreateMachine, Errors)
CLOUDAPI: list[tuple[str, int, str, Made]] = [
    ("machine_has_no_vnc", 400, "MachineHasNoVNCError", lambda: errors.machine_has_no_vnc("no")),
    ("upgrade_required", 400, "UpgradeRequiredError", lambda: errors.upgrade_required("no")),
    ("cannot_destroy", 409, "CannotDestroyMachineError", lambda: errors.cannot_destroy("no")),
    (
        "insufficient_capacity",
        409,
        "InsufficientCapacity",
        lambda: errors.insufficient_capacity("no"),
    ),
    (
        "invalid_fabric_package",
        409,
        "InvalidFabricPackage",
        lambda: errors.invalid_fabric_package("no"),
    ),
    ("key_required", 409, "KeyRequired", errors.key_required),
    # ExposedSDCError: status, code and errors are those of the cause
    ("exposed", 507, "SubnetFull", lambda: errors.exposed(errors.subnet_full("no"), "tags")),
]
# lib/errors.js of sdc-vmapi, sdc-fwapi, sdc-volapi and sdc-imgapi; lib/util/errors.js of sdc-napi
BEHIND: list[tuple[str, int, str, Made]] = [
    ("brand_not_supported", 409, "BrandNotSupported", lambda: errors.brand_not_supported("no")),
    ("unallocated", 409, "UnallocatedVM", lambda: errors.unallocated("no")),
    ("validation_failed", 409, "ValidationFailed", lambda: errors.validation_failed("no")),
    ("invalid_parameter", 422, "InvalidParameters", lambda: errors.invalid_parameter("rule", "no")),
    ("volume_not_found", 404, "VolumeNotFound", lambda: errors.volume_not_found("no")),
    ("invalid_networks", 409, "InvalidNetworks", lambda: errors.invalid_networks("no")),
    (
        "volume_already_exists",
        409,
        "VolumeAlreadyExists",
        lambda: errors.volume_already_exists("a"),
    ),
    ("volume_in_use", 409, "VolumeInUse", lambda: errors.volume_in_use("a", ["b"])),
    (
        "volume_size_not_available",
        409,
        "VolumeSizeNotAvailable",
        lambda: errors.volume_size_not_available(1, [10240]),
    ),
    ("not_available", 501, "NotAvailable", lambda: errors.not_available("no")),
    ("subnet_full", 507, "SubnetFull", lambda: errors.subnet_full("no")),
]
TABLE = [*RESTIFY, *HTTP, *CLOUDAPI, *BEHIND]


@pytest.mark.parametrize(
    ("status", "code", "made"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_status_and_code(status: int, code: str, made: Made) -> None:
    error = made()
    assert (error.status, error.code) == (status, code)
    assert error.body()["code"] == code


def test_the_table_has_every_constructor() -> None:
    constructors = {
        name
        for name, function in inspect.getmembers(errors, inspect.isfunction)
        if function.__module__ == errors.__name__
        and inspect.signature(function).return_annotation == "ApiError"
    }
    assert constructors == {row[0] for row in TABLE}


def test_an_error_has_one_constructor() -> None:
    codes = Counter(row[2] for row in TABLE if row[0] != "exposed")
    assert [code for code, times in codes.items() if times > 1] == []


def test_no_error_is_made_elsewhere() -> None:
    inline = [
        f"{path.relative_to(SOURCES)}:{node.lineno}"
        for path in SOURCES.rglob("*.py")
        if path != Path(errors.__file__)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr) == "ApiError"
    ]
    assert inline == []


def test_what_a_body_tells_beside_code_and_message() -> None:
    sizes = errors.volume_size_not_available(1, (10240, 20480)).body()
    assert sizes["availableSizes"] == [10240, 20480]
    field = errors.invalid_field("alias", "taken", "Duplicate")
    assert errors.validation_failed("no", field).body()["errors"] == [
        {"field": "alias", "code": "Duplicate", "message": "taken"}
    ]
    tags = errors.exposed(errors.validation_failed("Invalid tag parameters", field), "error adding")
    assert tags.body()["message"] == "error adding: Invalid tag parameters"
    assert tags.body()["errors"] == [field]


def test_what_headers_tell() -> None:
    assert errors.throttled("no", 1.5).headers == {"Retry-After": "1.5"}
    assert errors.unavailable("no", 30).headers == {"Retry-After": "30"}
    assert errors.unavailable("no").headers == {}
    assert errors.method_not_allowed("PATCH", ["POST", "GET"]).headers == {"Allow": "GET, POST"}
    assert errors.invalid_credentials(challenge="Bearer").headers == {"WWW-Authenticate": "Bearer"}
