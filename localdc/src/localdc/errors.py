"""The error that the command line shows without a traceback."""

from __future__ import annotations


class LocalDCError(Exception):
    """Something a user can act on; the message is one or more full sentences."""
