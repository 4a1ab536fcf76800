"""The programs in Python that the scripts of the roles run in machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import zmq

from embedded.wheels import make_wheel

from .ansible_runs import load
from .recording_zone import ROLES

SERVICE = ROLES / "ipython_service/files"
UNMET = ROLES / "pkgsrc/files/unmet.py"
PROGRAMS = [SERVICE / "heartbeat.py", SERVICE / "next_id.py", UNMET]
Hearts = Callable[[int], int]


@pytest.fixture
def heartbeat() -> ModuleType:
    return load("roles/ipython_service/files/heartbeat.py")


@pytest.fixture
def heart() -> Iterator[Hearts]:
    """Opens a socket of a kind of ZeroMQ's; one that publishes also beats. Returns its port."""
    context, done = zmq.Context(), threading.Event()
    threads: list[threading.Thread] = []

    def beat(socket: zmq.Socket[bytes], publishes: bool) -> None:
        while not done.wait(0.05):
            if publishes:
                socket.send(b"1.0")
        socket.close(0)

    def make(kind: int) -> int:
        socket = context.socket(kind)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        threads.append(threading.Thread(target=beat, args=(socket, kind == zmq.PUB)))
        threads[-1].start()
        return port

    yield make
    done.set()
    for thread in threads:
        thread.join()
    context.term()


def test_a_heart_that_beats(heartbeat: ModuleType, heart: Hearts) -> None:
    assert heartbeat.wait("127.0.0.1", heart(zmq.PUB), os.getpid(), 30) == 0


def test_a_heart_that_does_not(
    heartbeat: ModuleType, heart: Hearts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.2)
    assert heartbeat.wait("127.0.0.1", heart(zmq.ROUTER), os.getpid(), 30) == 3


def test_a_controller_that_does_not_listen(heartbeat: ModuleType) -> None:
    assert heartbeat.wait("127.0.0.1", 1, os.getpid(), 0.2) == 1


def test_a_controller_that_has_ended(heartbeat: ModuleType) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert heartbeat.wait("127.0.0.1", 1, ended.pid, 30) == 2


def corrected(file: Path) -> str:
    subprocess.run([sys.executable, "-I", "-S", SERVICE / "next_id.py", file], check=True)
    return file.read_text()


@pytest.mark.parametrize(
    ("taken", "next_id", "expected"), [([], 0, 0), ([0, 3], 0, 4), ([3], 7, 7), ([10, 9], 0, 11)]
)
def test_the_next_id_is_higher_than_all(
    tmp_path: Path, taken: list[int], next_id: int, expected: int
) -> None:
    engines = {str(number): f"uuid-{number}" for number in taken}
    file = tmp_path / "engines.json"
    file.write_text(json.dumps({"engines": engines, "next_id": next_id}))
    assert json.loads(corrected(file)) == {"engines": engines, "next_id": expected}


def test_ids_that_cannot_be_read_are_left(tmp_path: Path) -> None:
    file = tmp_path / "engines.json"
    file.write_text("{")
    assert corrected(file) == "{"
    subprocess.run([sys.executable, SERVICE / "next_id.py", tmp_path / "none"], check=True)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the distributions plain 2.0 and fancy 1.0 are, which has two extras."""
    directory = tmp_path_factory.mktemp("environment")
    more = 'plain>=2; extra == "more"\nProvides-Extra: more'
    newer = 'plain>=3; extra == "newer"\nProvides-Extra: newer'
    wheels = [
        make_wheel(directory / "wheels", "plain", "2.0", {"plain.py": ""}),
        make_wheel(directory / "wheels", "fancy", "1.0", {"fancy.py": ""}, (more, newer)),
    ]
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", directory / "site", *wheels], check=True)
    return directory / "site"


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        ("plain", True),
        ("plain==2.*", True),
        ("plain<2", False),
        ("nosuch", False),
        ('nosuch; python_version < "3"', True),
        ("fancy[more]", True),
        ("fancy[newer]", False),
        ("fancy[more,newer]", False),
        ("fancy[unknown]", True),
    ],
)
def test_requirements_that_are_not_met(environment: Path, requirement: str, met: bool) -> None:
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNMET.read_text(), requirement],
        env={**os.environ, "PYTHONPATH": str(environment)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == ("\n" if met else f"{requirement}\n")


def test_what_is_no_requirement(environment: Path) -> None:
    command = [sys.executable, "-c", UNMET.read_text(), "=plain"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, "InvalidRequirement" in said.stderr) == (1, True)


@pytest.mark.parametrize("role", ["controller", "engine"])
def test_a_machine_that_configures_itself_gets_them(
    boot_scripts: dict[str, Path], role: str
) -> None:
    text = boot_scripts[role].read_text()
    for program in PROGRAMS:
        last = program.read_text().strip().splitlines()[-1]
        assert last.replace("'", "'\"'\"'") in text, program
