"""Client of CloudAPI, the interface of SmartDataCenter (Triton).

    from smartdc import DataCenter
    sdc = DataCenter('https://cloudapi.example.com', key_id='/acme/keys/laptop')

or, with the settings of the environment, a profile, or the embedded data center:

    sdc = DataCenter()

``DataCenter`` and its machines have the interface of 2013 (``smartdc.compat``); :class:`Client`, on
which they are built, has plain dicts.  docs/smartdc.md tells more.
"""

from __future__ import annotations

from typing import Any

from .client import Client
from .compat import (
    DEFAULT_LOCATION,
    KNOWN_LOCATIONS,
    TELEFONICA_LOCATIONS,
    DataCenter,
    LegacyDataCenter,
    Machine,
    Snapshot,
    wait_many,
)
from .config import Settings, resolve
from .errors import (
    APIError,
    ConfigError,
    Gone,
    MachineFailed,
    NoDataCenter,
    NotFound,
    SmartDCError,
    WaitTimeout,
)
from .throttle import TokenBucket
from .version import __version__

__all__ = [
    "DEFAULT_LOCATION",
    "KNOWN_LOCATIONS",
    "TELEFONICA_LOCATIONS",
    "APIError",
    "Client",
    "ConfigError",
    "DataCenter",
    "Gone",
    "LegacyDataCenter",
    "Machine",
    "MachineFailed",
    "NoDataCenter",
    "NotFound",
    "Settings",
    "SmartDCError",
    "Snapshot",
    "TokenBucket",
    "WaitTimeout",
    "__version__",
    "connect",
    "resolve",
    "wait_many",
]


def connect(profile: str | None = None, **options: Any) -> DataCenter:
    """The data center that is configured here (see :func:`smartdc.config.resolve`).

    :param options: for the constructor of :class:`DataCenter`
    """
    return DataCenter.of(resolve(profile), **options)
