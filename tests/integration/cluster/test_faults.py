"""What dies comes back: SMF restarts it and the cluster computes again."""

from __future__ import annotations

from .playbooks import Cluster, eventually

ENGINE = "svc:/pkgsrc/ipyparallel:engine"
CONTROLLER = "svc:/pkgsrc/ipyparallel:controller"


def start_pid(cluster: Cluster, role: str, fmri: str) -> int:
    return int(cluster.ssh(role, f"svcprop -p restarter/start_pid {fmri}"))


def controller_pid(cluster: Cluster) -> int:
    """The controller itself; the start_pid of a service of the contract model is its method's."""
    return int(cluster.ssh("controller", "pgrep -o -f '[i]pyparallel.controller'"))


def test_controller_killed_and_the_same_client_goes_on(cluster: Cluster) -> None:
    with cluster.client() as client:
        ids = eventually("two engines", lambda: client.ids if len(client.ids) == 2 else None)
        client[:].push({"kept": 42}, block=True)
        before = controller_pid(cluster)
        cluster.ssh("controller", f"kill -9 {before}")
        eventually(
            "SMF starts the controller again",
            lambda: controller_pid(cluster) != before,
        )
        answers = eventually(
            "the open client computes", lambda: client[ids].apply_async(sum, [1, 2]).get(timeout=5)
        )
        assert answers == [3, 3]
        assert client[ids].pull("kept", block=True) == [42, 42], "the engines lost their memory"


def test_engine_killed_comes_back_with_a_new_id(cluster: Cluster) -> None:
    with cluster.client() as client:
        ids = eventually("two engines", lambda: client.ids if len(client.ids) == 2 else None)
        before = start_pid(cluster, "engine", ENGINE)
        cluster.ssh("engine", f"kill -9 {before}")
        eventually(
            "a new id", lambda: len(client.ids) == 2 and max(client.ids) > max(ids), timeout=60
        )
        assert start_pid(cluster, "engine", ENGINE) != before
        assert client[:].apply_async(sum, [1, 2]).get(timeout=30) == [3, 3]


def test_an_engine_that_crashes_says_by_which_signal(cluster: Cluster) -> None:
    """svc.startd does not: illumos, cmd/svc/startd/restarter.c, stop_instance of a wait service."""
    with cluster.client() as client:
        ids = eventually("two engines", lambda: client.ids if len(client.ids) == 2 else None)
        client[ids].execute("import ctypes; ctypes.string_at(8)")
        eventually(
            "two new ids", lambda: len(client.ids) == 2 and min(client.ids) > max(ids), timeout=60
        )
        assert client[:].apply_async(sum, [1, 2]).get(timeout=30) == [3, 3]
    said = cluster.ssh("engine", "tail -n 400 /var/svc/log/pkgsrc-ipyparallel:engine.log")
    assert "Fatal Python error: Segmentation fault" in said
    assert "string_at" in said, "the traceback is part of it"


def test_an_engine_that_hears_the_heartbeat_late_is_used(cluster: Cluster) -> None:
    """By itself ipyparallel forgets a registration after 30 s, and so its engine for ever."""
    # of the controller's two processes, the one that beats
    heart = int(cluster.ssh("controller", "pgrep -n -f '[i]pyparallel.controller'"))
    with cluster.client() as client:
        ids = eventually("two engines", lambda: client.ids if len(client.ids) == 2 else None)
        cluster.ssh("controller", f"kill -STOP {heart}")
        try:
            cluster.ssh("engine", f"kill -9 {start_pid(cluster, 'engine', ENGINE)}")
            missed = "tail -n 1 /var/svc/log/pkgsrc-ipyparallel:engine.log"
            eventually(
                "the new engine has missed beats for 34 s",
                lambda: "(45 time(s) in a row)" in cluster.ssh("engine", missed),
            )
        finally:
            cluster.ssh("controller", f"kill -CONT {heart}")
        eventually("a new id", lambda: len(client.ids) == 2 and max(client.ids) > max(ids))
        assert client[:].apply_async(sum, [1, 2]).get(timeout=30) == [3, 3]


def test_sshd_killed_comes_back(cluster: Cluster) -> None:
    killed = cluster.ssh("engine", "kill -9 `cat /var/run/sshd.pid`; echo still logged in")
    assert "still logged in" in killed, "the login died with the listener"
    eventually("ssh answers", lambda: "online" in cluster.ssh("engine", "svcs -H -o state ssh"))


def test_controller_in_maintenance_fails_the_run_with_its_log(scratch: Cluster) -> None:
    scratch.play("site.yml", engines=0)
    scratch.ssh(
        "controller",
        "cp -p /opt/local/lib/svc/method/ipyparallel /root/method; "
        "printf '#!/bin/sh\\necho engine room on fire >&2\\nexit 96\\n' "
        "> /opt/local/lib/svc/method/ipyparallel; "
        f"svcadm restart {CONTROLLER}",
    )
    eventually(
        "maintenance",
        lambda: "maintenance" in scratch.ssh("controller", f"svcs -H -o state {CONTROLLER}"),
    )
    failed = scratch.play("site.yml", "--skip-tags", "ipython_service", engines=0, check=False)
    assert failed.code
    assert "maintenance" in failed.output
    assert "engine room on fire" in failed.output


def test_a_failing_user_script_is_named_with_its_log(scratch: Cluster) -> None:
    failed = scratch.play(
        "site.yml",
        engines=0,
        machine_user_script="#!/bin/sh\necho no such luck\nexit 3\n",
        check=False,
    )
    assert failed.code
    assert "mdata:execute" in failed.output
    assert "no such luck" in failed.output
    assert scratch.machines, "the evidence was deleted"
