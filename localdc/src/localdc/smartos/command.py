"""How every command of a zone begins and ends."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

EXIT_BROKEN_PIPE = 1
EXIT_INTERRUPTED = 130


def run(main: Callable[[], int]) -> NoReturn:
    """Run `main` and end the process with the status that it returns.

    The interpreter is not taken down before: that would take a tenth of a command's time.
    A reader that has gone (``svcs | head -1``) and a keyboard interrupt say nothing.
    """
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        status = EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    os._exit(status)
