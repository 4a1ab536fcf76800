from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from embedded.sockets import listens
from smartdc import DataCenter

from .fake_cloud import FakeCloud, VirtualTime, serving, write_key

MAKERS: dict[str, Callable[[], Any]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.fixture(scope="session")
def private_keys() -> dict[str, Any]:
    return {name: make() for name, make in MAKERS.items()}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's real keys, agent, profiles or variables take part."""
    for name in [n for n in os.environ if n.startswith(("SDC_", "TRITON_", "LOCALDC_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


@pytest.fixture
def url(cloud: FakeCloud) -> Iterator[str]:
    with serving(cloud) as base:
        yield base


@pytest.fixture
def time_() -> VirtualTime:
    """The time of the clients of ``connect``."""
    return VirtualTime()


@pytest.fixture
def connect(
    cloud: FakeCloud, url: str, home: Path, private_keys: dict[str, Any], time_: VirtualTime
) -> Iterator[Callable[..., DataCenter]]:
    """A client of the fake data center, signed with an ed25519 key."""
    key = private_keys["ed25519"]
    path = write_key(home / ".ssh" / "id_ed25519", key)
    fingerprint = cloud.allow("/acme/keys/laptop", key.public_key())
    made: list[DataCenter] = []

    def make(**options: Any) -> DataCenter:
        options = {
            "key_id": fingerprint,
            "login": "acme",
            "secret": str(path),
            "rate": None,
            "sleep": time_.sleep,
            "clock": time_,
            **options,
        }
        made.append(DataCenter(url, **options))
        return made[-1]

    yield make
    for dc in made:
        dc.close()


@pytest.fixture
def sdc(connect: Callable[..., DataCenter]) -> DataCenter:
    return connect()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real ssh-agent behind a socket whose path is longer than a socket address holds."""
    if not shutil.which("ssh-agent"):
        pytest.skip("needs ssh-agent")
    short = tmp_path / "s"
    directory = tmp_path / ("d" * 60) / ("e" * 60)
    directory.mkdir(parents=True)
    # the agent itself could not bind such a path
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", "a.sock"], cwd=directory, stdout=subprocess.DEVNULL
    )
    sock = directory / "a.sock"
    short.symlink_to(sock)
    for _ in range(200):
        if listens(short):
            break
        threading.Event().wait(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
    yield str(sock)
    process.send_signal(signal.SIGTERM)
    process.wait()
