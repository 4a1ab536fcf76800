"""The interface of smartdc 0.2 (2013) on today's client: what docs/smartdc.md describes."""

from __future__ import annotations

from .datacenter import DEFAULT_LOCATION, KNOWN_LOCATIONS, TELEFONICA_LOCATIONS, DataCenter
from .legacy import LegacyDataCenter
from .machine import Machine, Snapshot
from .waiting import wait_many, wait_one

__all__ = [
    "DEFAULT_LOCATION",
    "KNOWN_LOCATIONS",
    "TELEFONICA_LOCATIONS",
    "DataCenter",
    "LegacyDataCenter",
    "Machine",
    "Snapshot",
    "wait_many",
    "wait_one",
]
