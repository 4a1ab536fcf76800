"""What names, tags and metadata may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localdc.api import tritontags
from localdc.api.errors import FieldError, invalid_argument, invalid_field, validation_failed
from localdc.api.model import Scalar

MACHINE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
# floor(255 / 4) * 3: the name must fit a field of 255 bytes once base64-encoded.
NAME_LIMIT = 189
CNS_NAME_LIMIT = 63


def is_uuid(text: object) -> bool:
    return isinstance(text, str) and UUID.fullmatch(text) is not None


def check_name(name: object, cns_enabled: bool) -> str:
    """A machine's name; raises 409."""
    if not isinstance(name, str):
        raise validation_failed("Invalid VM parameters", invalid_field("alias", "Not a string"))
    if len(name) > NAME_LIMIT:
        raise invalid_argument(f"Name cannot be longer than {NAME_LIMIT} characters.")
    if cns_enabled and len(name) > CNS_NAME_LIMIT:
        raise invalid_argument(
            f"Name cannot be longer than {CNS_NAME_LIMIT} characters, because you have"
            " triton_cns_enabled set on your Account."
        )
    if MACHINE_NAME.fullmatch(name) is None:
        raise validation_failed(
            "Invalid VM parameters: alias String does not match regexp: "
            "/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/",
            invalid_field("alias", f"{name!r} is not a valid machine name"),
        )
    return name


def name_taken(name: str) -> Exception:
    message = f"Already exists for this owner_uuid: {name}"
    return validation_failed(
        f"Invalid VM parameters: {message}", invalid_field("alias", message, "Duplicate")
    )


def is_scalar(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


def check_tags(tags: Mapping[str, Any]) -> dict[str, Scalar]:
    """Tags for a machine that there is; raises 409 ValidationFailed naming the first bad one."""
    bad = _bad_tag(tags)
    if bad:
        raise validation_failed("Invalid tag parameters", bad)
    return dict(tags)


def check_new_tags(tags: Mapping[str, Any]) -> dict[str, Scalar]:
    """Tags for a machine to be made; raises 409 (sdc-cloudapi, lib/machines.js, createVm)."""
    bad = _bad_tag(tags)
    if bad:
        which = ": Invalid tags" if bad["field"] == "tags" else ""
        raise validation_failed(f"Invalid VM parameters{which}", bad)
    return dict(tags)


def _bad_tag(tags: Mapping[str, Any]) -> FieldError | None:
    """What is wrong with the tags (sdc-vmapi, lib/common/validation.js, validMetadata)."""
    for key, value in tags.items():
        if not is_scalar(value):
            return invalid_field(f"tags.{key}", "Forbidden Data Type")
    for key, value in tags.items():
        problem = None
        if not key or len(key) > 255:
            problem = "a tag's name must have 1 to 255 characters"
        elif key.startswith("docker:"):
            problem = f'Special tag "{key}" not supported'
        elif key.startswith(tritontags.PREFIX):
            problem = tritontags.problem(key, value)
        if problem:
            return invalid_field("tags", problem)
    return None


def bad_metadata_key(key: str) -> str | None:
    """Why a metadata key is not possible; None when it is."""
    if not key or len(key) > 255:
        return "a metadata key must have 1 to 255 characters"
    if key.startswith("sdc:"):
        return f"{key} is read-only: the data center sets sdc: keys"
    return None


def check_metadata(metadata: Mapping[str, Any]) -> dict[str, Scalar]:
    """Raises 409 ValidationFailed naming the first bad entry."""
    for key, value in metadata.items():
        problem = bad_metadata_key(key)
        if problem is None and not is_scalar(value):
            problem = f'metadata "{key}" must be a string, a number or a boolean'
        if problem:
            raise validation_failed(
                "Invalid metadata parameters", invalid_field("customer_metadata", problem)
            )
    return dict(metadata)
