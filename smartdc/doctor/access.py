"""Whether the data center answers, takes the key, and has the same time of day."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from ..client import Client
from ..config import Settings
from ..errors import (
    APIError,
    ClockSkew,
    Disabled,
    Forbidden,
    RequestError,
    Unauthorized,
    Unreachable,
)
from ..ssh import LoginKey
from ..transport import decode
from .finding import Finding

MAX_SKEW = 300
"""Seconds between the clocks from which on requests are refused (http-signature, lib/parser.js)."""
TOLERABLE = 60
EQUAL = 3
"""Seconds: a Date has whole ones, and the answer was on its way."""
BY_HAND = 1.0
"""Seconds for a signature from which on a person takes part in it, by a touch or a click."""


@dataclass
class Access:
    """What the first request has shown."""

    findings: list[Finding] = field(default_factory=list)
    accepted: bool = False
    """Whether further requests make sense."""
    account: Mapping[str, Any] | None = None
    """What GetAccount answers; None when a sub-user may not ask."""


def knock(api: Client, settings: Settings) -> Access:
    """Ask who the account is: the cheapest request that needs a signature."""
    access = Access()
    where = f"{settings.name} ({settings.url}), settings from: {settings.source}"
    try:
        response = api.send("GET", ())
        access.account = decode(response, dict)
        refusal: RequestError | None = None
    except APIError as error:
        refusal, response = error, error.response
    except RequestError as error:
        refusal, response = error, None
    received = time.time()
    access.accepted = refusal is None or (
        isinstance(refusal, Forbidden) and not isinstance(refusal, Disabled)
    )
    answered = access.accepted or isinstance(refusal, ClockSkew | Unauthorized | Disabled)
    if settings.embedded and isinstance(refusal, Unreachable):
        access.findings.append(embedded("the embedded one does not run"))
        return access
    if not answered:
        access.findings.append(Finding("Data center", "problem", f"{where}: {refusal}"))
        return access
    access.findings += [
        Finding("Data center", "ok", where),
        clock(response, received),
        key(api, settings, None if access.accepted else refusal),
    ]
    return access


def embedded(why: str) -> Finding:
    """Where site.yml starts the embedded data center."""
    says = f"{why}: site.yml would start the embedded one; can it run? python -m localdc doctor"
    return Finding("Data center", "ok", says)


def clock(response: requests.Response | None, received: float) -> Finding:
    """How far this computer's clock is from the one that an answer's Date was read from.

    :param received: seconds since 1970 by this computer's clock
    """
    text = response.headers.get("Date") if response is not None else None
    try:
        difference = received - parsedate_to_datetime(text or "").timestamp()
    except (ValueError, TypeError):
        return Finding("Clock", "not known", "the data center's answer has no time")
    if abs(difference) < EQUAL:
        return Finding("Clock", "ok", "the same as the data center's")
    way = "ahead of" if difference > 0 else "behind"
    says = f"{abs(difference):.0f} s {way} the data center's, which allows {MAX_SKEW} s"
    if abs(difference) > MAX_SKEW:
        return Finding("Clock", "problem", f"{says}: set this computer's clock (NTP)")
    if abs(difference) > TOLERABLE:
        return Finding("Clock", "note", f"{says}: set this computer's clock (NTP)")
    return Finding("Clock", "ok", says)


def key(api: Client, settings: Settings, refusal: RequestError | None) -> Finding:
    """Which key signs, for whom, and whether it was taken."""
    if isinstance(refusal, ClockSkew):
        return Finding("Key", "not known", "requests are refused for their time, before the key")
    if refusal is not None:
        return Finding("Key", "problem", str(refusal))
    assert api.auth is not None  # settings always name a key
    name = LoginKey.of(api.auth.signer).name
    says = f"{name} is accepted as {whose(settings)}"
    if api.auth.slowest > BY_HAND:
        return Finding(
            "Key",
            "note",
            f"{says}; a signature took {api.auth.slowest:.0f} s, and a run needs hundreds: take a "
            "key that wants no touch and no confirmation",
        )
    return Finding("Key", "ok", says)


def whose(settings: Settings) -> str:
    """The account or its sub-user, as a person says it."""
    who = f"account {settings.account}"
    if settings.user:
        who = f"sub-user {settings.user} of {who}"
    return f"{who}, acting for {settings.act_as}" if settings.act_as else who


def cns(account: Mapping[str, Any] | None) -> Finding:
    """Whether machines of the account have names (CloudAPI, GetAccount)."""
    enabled = (account or {}).get("triton_cns_enabled")
    if not isinstance(enabled, bool):
        return Finding("CNS", "not known", "the account cannot be read, or does not say it")
    if enabled:
        return Finding("CNS", "ok", "on: machines have names")
    return Finding(
        "CNS",
        "ok",
        "off, so machines have addresses only; nothing needs names but controller_address=cns. "
        "To have them: triton account update triton_cns_enabled=true",
    )
