"""What holds for all tests."""

from embedded.termination import pytest_configure

__all__ = ["pytest_configure"]
