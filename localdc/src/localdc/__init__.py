"""The embedded data center: CloudAPI on loopback, machines that look like SmartOS zones."""

from __future__ import annotations


class LocalDCError(Exception):
    """Something a user can act on, shown without a traceback; one or more full sentences."""
