"""`python -m localdc` in the repository, by a Python that localdc is not installed in."""

import sys

sys.exit(
    f"localdc is not installed in this Python, {sys.executable}. Install it with `make setup`, "
    "then: .venv/bin/python -m localdc"
)
