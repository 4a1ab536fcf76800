"""ipyparallel_call with a real controller and real engines."""

from __future__ import annotations

import json
import signal

import pytest
from ansible.module_utils.ipp.probe import Probing

from embedded.free_ports import free_block

from .ipp_cluster import Ipp
from .modules_support import run_module


@pytest.fixture(scope="module")
def ipp(tmp_path_factory):
    cluster = Ipp(tmp_path_factory.mktemp("ipython"))
    cluster.connection("ipcontroller-client.json")
    yield cluster
    cluster.stop()


def call(cluster, expect="ok", **arguments):
    file = str(cluster.security / "ipcontroller-client.json")
    return run_module(
        "ipyparallel_call", expect=expect, **{"connection_file": file, "timeout": 20, **arguments}
    )


@pytest.fixture
def engine(ipp):
    """The id of an engine that has just registered, its process, and a client."""
    with ipp.client() as client:
        before = set(client.ids)
        process = ipp.engine()
        client.wait_for_engines(len(before) + 1, timeout=30)
        (number,) = set(client.ids) - before
        yield number, process, client
        ipp.kill(process)
        # its nanny would say so
        Probing(client, "127.0.0.1").purge([number])


def test_without_an_engine_nothing_is_sent(ipp):
    assert call(ipp)["skipped_because"] == "there is no engine"


def test_an_engine_computes(ipp, engine):
    number, _, _ = engine
    result = call(ipp)
    assert (result["engine"], result["changed"]) == (number, False)


def test_engines_that_compute_for_others_are_left_alone(ipp, engine):
    number, _, client = engine
    long = client[number].apply_async(__import__("time").sleep, 3)
    assert call(ipp)["skipped_because"] == "all engines compute for others"
    long.get(30)
    assert call(ipp)["engine"] == number


SPOILED = """
import ipyparallel.engine.kernel as kernel
def spoiled(*_, **__):
    {deed}
kernel.{name} = spoiled
"""
UNPACK, APPLY = "unpack_apply_message", "IPythonParallelKernel.do_apply"


@pytest.mark.parametrize(
    ("name", "deed", "said"),
    [
        (UNPACK, "import os; os.kill(os.getpid(), 11)", "died of it"),
        (UNPACK, "raise SystemError('unknown opcode 135')", "unknown opcode 135"),
        (
            APPLY,
            "return {'status': 'ok'}, __import__('ipyparallel').serialize.serialize_object(7)",
            "7",
        ),
    ],
)
def test_what_an_engine_answers_instead(ipp, engine, name, deed, said):
    number, _, client = engine
    client[number].execute(SPOILED.format(name=name, deed=deed), block=True)
    failed = call(ipp, expect="fail")
    assert "but not for this computer: engine" in failed.msg
    assert said in failed.msg, failed.msg
    assert "tunnel.log" in failed.msg


def test_one_engine_that_answers_is_enough(ipp, engine):
    """Another has died, and nobody knows yet."""
    number, _, client = engine
    frozen = ipp.engine()
    client.wait_for_engines(2, timeout=30)
    frozen.send_signal(signal.SIGSTOP)
    try:
        assert call(ipp)["engine"] == number
    finally:
        ipp.kill(frozen)
        Probing(client, "127.0.0.1").purge(set(client.ids) - {number})


def test_a_controller_that_does_not_answer(ipp, tmp_path):
    port = free_block(18)
    connection = {**ipp.connection("ipcontroller-client.json"), "registration": port}
    file = tmp_path / "client.json"
    file.write_text(json.dumps(connection))
    failed = call(ipp, expect="fail", connection_file=str(file), timeout=2)
    assert str(file) in failed.msg
    assert connection["key"] not in failed.msg
