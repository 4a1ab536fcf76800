"""Exit statuses that the SMF commands share, and what they say of a wrong command line."""

from __future__ import annotations

EXIT_FATAL = 1
EXIT_USAGE = 2


class Usage(Exception):
    """The command line is wrong; exit status 2, the text goes to stderr."""
