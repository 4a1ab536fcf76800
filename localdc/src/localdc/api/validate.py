"""What names, tags and metadata may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localdc.api.errors import invalid_argument, invalid_field, validation_failed
from localdc.api.model import Scalar

MACHINE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
# floor(255 / 4) * 3: the name must fit a field of 255 bytes once base64-encoded.
NAME_LIMIT = 189
CNS_NAME_LIMIT = 63

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_SERVICE = re.compile(
    r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?(:[0-9]{1,5})?(:[a-z][a-z0-9-]*=[^,:]+)*",
    re.IGNORECASE,
)
_DOMAIN = re.compile(rf"({_LABEL.pattern})(\.({_LABEL.pattern}))*\.?", re.IGNORECASE)


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
    """Raises 409 ValidationFailed naming the first bad tag."""
    for key, value in tags.items():
        problem = _bad_tag(key, value)
        if problem:
            raise validation_failed("Invalid tag parameters", invalid_field("tags", problem))
    return dict(tags)


def _bad_tag(key: str, value: object) -> str | None:
    if not key or len(key) > 255:
        return "a tag's name must have 1 to 255 characters"
    if not is_scalar(value):
        return f'tag "{key}" must be a string, a number or a boolean'
    if key.startswith("docker:"):
        return f'tag "{key}": "docker:*" tags are reserved'
    if not key.startswith("triton."):
        return None
    return _bad_triton_tag(key, value)


def _bad_triton_tag(key: str, value: object) -> str | None:
    if key == "triton.cns.services":
        names = value.split(",") if isinstance(value, str) else []
        if names and all(_SERVICE.fullmatch(name.strip()) for name in names):
            return None
        return f'tag "{key}" must be a list of DNS labels, separated by commas'
    if key in ("triton.cns.disable", "triton.placement.exclude_virtual_servers"):
        if isinstance(value, bool) or value in ("true", "false"):
            return None
        return f'tag "{key}" must be true or false'
    if key in ("triton.cns.reverse_ptr", "triton.network.public", "triton.cns.instance_ptr"):
        if isinstance(value, str) and _DOMAIN.fullmatch(value):
            return None
        return f'tag "{key}" must be a DNS name'
    if key == "triton.cns.acme_challenge":
        return None if isinstance(value, str) else f'tag "{key}" must be a string'
    return f'tag "{key}": unrecognized special triton tag'


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


def flag(params: Mapping[str, Any], name: str) -> bool:
    """True for JSON true, and for `true` in a query in any case."""
    value = params.get(name)
    return value is True or (isinstance(value, str) and value.lower() == "true")
