"""ipyparallel_ready and ipcontroller_facts with a real controller and real engines."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import ipyparallel
import pytest
from ansible.module_utils.ipp.probe import Probing

from embedded.free_ports import free_block

from .ipp_cluster import Ipp
from .modules_support import run_module

HERE = socket.gethostname()


@pytest.fixture(scope="module")
def ipp(tmp_path_factory):
    cluster = Ipp(tmp_path_factory.mktemp("ipython"))
    cluster.engine()
    cluster.engine()
    yield cluster
    cluster.stop()


@pytest.fixture
def own(tmp_path):
    """A cluster for tests that break it."""
    (tmp_path / "ipython").mkdir()
    cluster = Ipp(tmp_path / "ipython")
    yield cluster
    cluster.stop()


def ready(cluster, check=False, expect="ok", **arguments):
    options = {"ipython_dir": str(cluster.directory), "timeout": 20, "machines": [HERE]}
    return run_module("ipyparallel_ready", check=check, expect=expect, **{**options, **arguments})


def test_facts(ipp):
    result = run_module("ipcontroller_facts", ipython_dir=str(ipp.directory))
    facts = result["ansible_facts"]
    assert not result["changed"]
    assert facts["ipcontroller_url"] == f"tcp://127.0.0.1:{ipp.base}"
    assert facts["ipcontroller_exec_key"] == ipp.info["key"]
    assert facts["ipcontroller_client"]["mux"] == ipp.base + 10
    profile = str(ipp.directory / "profile_default")
    assert run_module("ipcontroller_facts", profile_dir=profile)["ansible_facts"] == facts


def test_facts_of_no_controller(tmp_path):
    options = {"ipython_dir": str(tmp_path), "timeout": 1}
    failed = run_module("ipcontroller_facts", expect="fail", **options)
    assert "there is no" in failed.msg and "svcs -xv" in failed.msg
    assert "ansible_facts" not in run_module("ipcontroller_facts", check=True, **options)


def test_ready(ipp):
    result = ready(ipp, engines_per_machine=2)
    assert not result["changed"]
    assert result["ids"] == [0, 1] and result["missing"] == [] and result["purged"] == []
    assert {engine["machine"] for engine in result["engines"]} == {HERE}
    assert sorted(e["pid"] for e in result["engines"]) == sorted(e.pid for e in ipp.engines)
    assert result["blocked"] == {"direct": [], "task": [], "broadcast": [], "stdout": []}


@pytest.mark.parametrize("alias", ["127.0.0.1", HERE.upper()])
def test_machines_are_known_by_aliases(ipp, alias):
    machines = [{"name": "engine-001", "aliases": [alias]}]
    result = ready(ipp, machines=machines, engines_per_machine=2)
    assert {engine["machine"] for engine in result["engines"]} == {"engine-001"}


def test_missing_machines_are_named(ipp):
    failed = ready(
        ipp, expect="fail", machines=[HERE, "engine-007"], engines_per_machine=2, timeout=2
    )
    assert "engine-007 has 0 of 2 engines" in failed.msg and HERE not in failed.msg
    assert failed["missing"] == [{"machine": "engine-007", "have": 0, "want": 2}]
    assert failed["ids"] == [0, 1]


def test_no_engines_wanted(ipp):
    assert ready(ipp, machines=[])["missing"] == []


def test_busy_engines_count(ipp, tmp_path):
    client, done = ipp.client(), tmp_path / "done"
    work = f"import os, time\nwhile not os.path.exists({str(done)!r}): time.sleep(0.02)"
    try:
        client.wait_for_engines(2, timeout=60, interactive=False)
        client[:].execute(work, block=False)
        result = ready(ipp, engines_per_machine=2, probe_timeout=1)
    finally:
        done.touch()
        client.close()
    assert sorted(result["busy"]) == [0, 1] and result["purged"] == []
    deadline = time.monotonic() + 20
    while ready(ipp, engines_per_machine=2)["busy"]:
        assert time.monotonic() < deadline


def test_an_engine_that_the_client_has_not_heard_of(ipp, monkeypatch):
    clients = []

    class Deaf(ipyparallel.Client):
        """The first one hears of no engine, as if all had registered while it connected."""

        def __init__(self, *args, **kwargs):
            clients.append(self)
            super().__init__(*args, **kwargs)

        def _update_engines(self, engines):
            if self is not clients[0]:
                super()._update_engines(engines)

    monkeypatch.setattr(ipyparallel, "Client", Deaf)
    assert ready(ipp, engines_per_machine=2)["ids"] == [0, 1]
    assert len(clients) == 2


def held_up(pid, request):
    """The request, while the process that is to answer it takes a second to get to it."""

    def late(*arguments):
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(1.0, os.kill, (pid, signal.SIGCONT)).start()
        request(*arguments)

    return late


def test_engines_that_come_late(own):
    own.engine()
    result = ready(own)
    assert result["ids"] == [0]
    own.kill(own.engines[0])
    own.engine()
    again = ready(own, probe_timeout=2)
    assert [e["pid"] for e in again["engines"]] == [own.engines[1].pid]


def test_ghosts_are_purged_after_a_restart_of_the_controller(own, monkeypatch):
    own.engine()
    own.engine()
    first = ready(own, engines_per_machine=2)
    (dead,) = [e["id"] for e in first["engines"] if e["pid"] == own.engines[0].pid]
    own.kill(own.controller)
    own.kill(own.engines[0])
    own.controller = own.start_controller()
    own.engine()
    predicted = ready(own, check=True, engines_per_machine=2, probe_timeout=2)
    assert predicted["changed"] and predicted["purged"] == [dead]
    with monkeypatch.context() as patch:
        patch.setattr(Probing, "purge", held_up(own.controller.pid, Probing.purge))
        result = ready(own, engines_per_machine=2, probe_timeout=2)
    assert result["changed"] and result["purged"] == [dead] and len(result["ids"]) == 2
    assert str(dead) not in own.known_engines(), "it is gone when the module ends"
    assert not ready(own, engines_per_machine=2)["changed"]


def test_blocked_paths_are_named(own):
    closed = free_block(2)
    client = own.client()
    try:
        for number, channel in enumerate(("mux", "task", "broadcast", "iopub")):
            own.engine(**{channel: [closed, closed + 1] if channel == "broadcast" else closed})
            client.wait_for_engines(number + 1, timeout=60, interactive=False)
    finally:
        client.close()
    failed = ready(own, expect="fail", engines_per_machine=4, probe_timeout=2, timeout=120)
    assert failed["elapsed"] < 60, "no use to wait until the time is up"
    assert failed["blocked"] == {"direct": [0], "task": [1], "broadcast": [2], "stdout": [0, 3]}
    for probe in failed["blocked"]:
        assert f"probe {probe!r}" in failed.msg
    assert HERE in failed.msg


def test_no_controller(tmp_path):
    options = {"ipython_dir": str(tmp_path), "machines": ["a"], "timeout": 1}
    failed = run_module("ipyparallel_ready", expect="fail", **options)
    assert "no controller" in failed.msg
    assert not run_module("ipyparallel_ready", check=True, **options)["changed"]


def test_controller_that_does_not_answer(own):
    own.engine()
    ready(own)
    own.kill(own.controller)
    failed = ready(own, expect="fail", timeout=3)
    assert "does not answer" in failed.msg


@pytest.mark.parametrize("entry", [7, {"host": "a"}])
def test_wrong_machines(ipp, entry):
    assert "machines" in ready(ipp, expect="fail", machines=[entry]).msg
