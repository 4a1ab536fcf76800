"""Accept and Accept-Version: what a client takes, in which version."""

from __future__ import annotations

from collections.abc import Mapping

from localdc.api.errors import invalid_version, not_acceptable
from localdc.api.http import versions
from localdc.api.http.versions import Version

_GROUPS = {
    "json": ("application/json", "application/*", "*/*", "application/javascript"),
    "text": ("text/plain", "text/*"),
    "other": ("application/octet-stream", "text/javascript"),
}


def version_of(headers: Mapping[str, str], method: str, path: str) -> Version:
    """Raises 400 InvalidVersion.  `Api-Version` is no request header of CloudAPI."""
    wanted = headers.get("accept-version") or headers.get("x-api-version") or "*"
    version = versions.best(wanted)
    if version is None:
        raise invalid_version(f"{wanted} is not supported by {method} {path}")
    return version


def prefers_text(accept: str | None) -> bool:
    """True when text/plain is wanted rather than JSON; raises 406."""
    if not accept:
        return False
    weights = dict.fromkeys(_GROUPS, 0.0)
    for entry in accept.split(","):
        kind, *options = (part.strip().lower() for part in entry.split(";"))
        weight = 1.0
        for option in options:
            if option.startswith("q="):
                try:
                    weight = float(option[2:])
                except ValueError:
                    weight = 0.0
        group = next((name for name, kinds in _GROUPS.items() if kind in kinds), None)
        if group:
            weights[group] = max(weights[group], weight)
    if not any(weights.values()):
        raise not_acceptable(
            "Server accepts: application/json,text/plain,application/octet-stream,"
            "application/javascript"
        )
    return weights["text"] > weights["json"]
