"""What names, tags and metadata may be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from localdc.api import tritontags
from localdc.api.errors import FieldError, invalid_argument, invalid_field, validation_failed
from localdc.api.model import Scalar

MACHINE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
"""sdc-vmapi, lib/common/validation.js, ALIAS_RE."""
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
# floor(255 / 4) * 3: the name must fit a field of 255 bytes once base64-encoded
# (sdc-vmapi, lib/common/validation.js, alias).
NAME_LIMIT = 189
# A label of DNS (sdc-cloudapi, lib/machines.js, create and rename).
CNS_NAME_LIMIT = 63
# Tags of sdc-docker (sdc-vmapi, lib/common/validation.js, DOCKER_TAG_DEFAULT_RE).
_DOCKER = re.compile(
    r"sdc_docker\Z|docker:label:triton\.|docker:label:(?:com|io|org)\.docker(?:project)?\."
)


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
    """sdc-vmapi, lib/common/validation.js, validateUniqueAlias."""
    message = f"Already exists for this owner_uuid: {name}"
    return validation_failed(
        f"Invalid VM parameters: {message}", invalid_field("alias", message, "Duplicate")
    )


def is_scalar(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


def check_tags(tags: Mapping[str, Any]) -> dict[str, Scalar]:
    """Tags for a machine that there is; raises 409 ValidationFailed naming the first bad one.

    Those of sdc-docker cannot be set (sdc-vmapi, lib/endpoints/metadata.js, addMetadata).
    """
    bad = _bad_tag(tags)
    docker = next((key for key in tags if _DOCKER.match(key)), None)
    if bad is None and docker is not None:
        bad = invalid_field("tags", f'Special tag "{docker}" not supported')
    if bad:
        raise validation_failed("Invalid tag parameters", bad)
    return dict(tags)


def check_removed_tags(tags: Iterable[str]) -> None:
    """Raises 409 ValidationFailed for a tag of sdc-docker.

    Source: sdc-vmapi, lib/common/validation.js, validDeleteMetadata.
    """
    for key in tags:
        if _DOCKER.match(key):
            problem = f'Special tag "{key}" may not be deleted'
            raise validation_failed("Invalid tag parameters", invalid_field("tags", problem))


def check_new_tags(tags: Mapping[str, Any]) -> dict[str, Scalar]:
    """Tags for a machine to be made; raises 409 (sdc-cloudapi, lib/machines.js, createVm)."""
    bad = _bad_tag(tags)
    if bad:
        which = ": Invalid tags" if bad["field"] == "tags" else ""
        raise validation_failed(f"Invalid VM parameters{which}", bad)
    return dict(tags)


def _bad_tag(tags: Mapping[str, Any]) -> FieldError | None:
    """What is wrong with the tags (sdc-vmapi, lib/common/validation.js, validMetadata)."""
    bad = _bad_value("tags", tags)
    if bad:
        return bad
    for key, value in tags.items():
        problem = tritontags.problem(key, value) if key.startswith(tritontags.PREFIX) else None
        if problem:
            return invalid_field("tags", problem)
    return None


def _bad_value(what: str, entries: Mapping[str, Any]) -> FieldError | None:
    for key, value in entries.items():
        if not is_scalar(value):
            return invalid_field(f"{what}.{key}", "Forbidden Data Type")
    return None


def check_metadata(
    metadata: Mapping[str, Any], message: str = "Invalid metadatum parameters"
) -> dict[str, Scalar]:
    """Raises 409 ValidationFailed naming the first bad entry.

    Source: sdc-vmapi, lib/common/validation.js, validMetadata, which has no rule for names.
    """
    bad = _bad_value("customer_metadata", metadata)
    if bad:
        raise validation_failed(message, bad)
    return dict(metadata)
