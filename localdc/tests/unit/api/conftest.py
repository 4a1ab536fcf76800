from __future__ import annotations

import pytest

from .harness import Running
from .signer import Key


@pytest.fixture(scope="session")
def key():
    return Key("rsa")


@pytest.fixture
def start(tmp_path, key):
    running = []

    def start(path=None, **kwargs):
        dc = Running(path or tmp_path / "state.db", key, **kwargs)
        running.append(dc)
        return dc

    yield start
    for dc in running:
        dc.stop()


@pytest.fixture
def dc(start):
    return start()


@pytest.fixture(scope="session")
def shared(tmp_path_factory, key):
    """A data center for tests that leave nothing behind in it."""
    dc = Running(tmp_path_factory.mktemp("shared") / "state.db", key)
    yield dc
    dc.stop()
