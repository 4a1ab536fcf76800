"""`python -m localdc`."""

import sys

try:
    from localdc.commands.cli import main

    status = main()
except ModuleNotFoundError as error:
    if str(error.name).startswith("localdc"):
        raise
    sys.exit(
        f"localdc needs the package {error.name}, which this Python, {sys.executable}, does not "
        "have. Install it with `make setup`, then: .venv/bin/python -m localdc"
    )
sys.exit(status)
