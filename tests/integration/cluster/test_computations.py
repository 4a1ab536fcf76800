"""What a computation may do without its engine, or another's, having to pay for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import cluster_of
from .playbooks import Cluster, DataCenter, eventually

ENGINES = [f"svc:/pkgsrc/ipyparallel:engine-{number}" for number in (1, 2)]
CRASH = """
import subprocess
crashes = [subprocess.run(["sh", "-c", "ulimit -c 0; kill -SEGV $$"]).returncode for _ in range(5)]
"""
STUBBORN = """
import subprocess
left = subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], **options)
"""


@pytest.fixture(scope="module")
def pair(data_center: DataCenter) -> Iterator[Cluster]:
    """A cluster of two engines on one machine."""
    for made in cluster_of(data_center, f"pair{os.getpid()}"):
        made.play("site.yml", engines=1, engines_per_machine=2)
        yield made


@pytest.fixture
def view(pair: Cluster) -> Iterator[Any]:
    with pair.client() as client:
        ids = eventually("two engines", lambda: client.ids if len(client.ids) == 2 else None)
        view = client[ids]
        view.scatter("kept", [1, 2], flatten=True, block=True)
        yield view


def pids(cluster: Cluster) -> list[int]:
    shown = [cluster.ssh("engine", f"svcprop -p restarter/start_pid {fmri}") for fmri in ENGINES]
    return [int(pid) for pid in shown]


def test_a_program_that_crashes(pair: Cluster, view: Any) -> None:
    """Fatal for the whole process group of a wait service without ignore_error = core (illumos,
    cmd/svc/startd/method.c; uts/common/contract/process.c)."""
    before = pids(pair)
    view.execute(CRASH, block=True)
    assert view.pull("crashes", block=True) == [5 * [-11]] * 2
    assert view.pull("kept", block=True) == [1, 2]
    assert pids(pair) == before


def test_a_program_that_an_operator_kills(pair: Cluster, view: Any) -> None:
    before = pids(pair)
    view.execute("import subprocess; solver = subprocess.Popen(['sleep', '600'])", block=True)
    solvers = view.pull("solver.pid", block=True)
    pair.ssh("engine", f"kill -9 {' '.join(map(str, solvers))}")
    view.execute("ended = solver.wait()", block=True)
    assert view.pull("ended", block=True) == [-9, -9]
    assert view.pull("kept", block=True) == [1, 2]
    assert pids(pair) == before


def test_a_computation_that_kills_its_process_group(pair: Cluster, view: Any) -> None:
    """All services of a zone share svc.startd's without need_session."""
    killer, other = view.client[view.targets[0]], view.client[view.targets[1]]
    # an engine's id does not say which instance it is
    (gone,) = [pid for pid in pids(pair) if pid == killer.apply_sync(os.getpid)]
    killer.execute("import os; os.killpg(0, 9)")
    eventually("SMF starts the engine again", lambda: gone not in pids(pair))
    assert other.pull("kept", block=True) == 2
    assert other.apply_sync(os.getpid) in pids(pair)


@pytest.mark.parametrize("session", [False, True])
def test_a_process_that_does_not_listen(pair: Cluster, view: Any, session: bool) -> None:
    """A stop method that is not over in its 60 s means maintenance."""
    view.push({"options": {"start_new_session": session}}, block=True)
    view.execute(STUBBORN, block=True)
    left = view.pull("left.pid", block=True)
    pair.ssh("engine", f"svcadm disable -s {ENGINES[0]} {ENGINES[1]}")
    assert pair.ssh("engine", f"ps -o pid= -p {','.join(map(str, left))} || true").strip() == ""
    pair.ssh("engine", f"svcadm enable -s {ENGINES[0]} {ENGINES[1]}")
