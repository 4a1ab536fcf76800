"""Service models, failures, limits and logs: smf_method(7) and svc.startd(8), row by row."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from embedded.center import alive
from localdc.smartos.smf.door import Door

from .conftest import Zone
from .services import SLEEP, pids


class TestContract:
    def test_log_of_a_life(self, zone: Zone) -> None:
        fmri = zone.service("a", SLEEP)
        zone.reaches(fmri, "online")
        zone.ok("svcadm", "disable", "-s", fmri)
        assert zone.lines(fmri) == [
            "Enabled.",
            'Executing start method ("sleep 1000 &").',
            'Method "start" exited with status 0.',
            "Stopping because service disabled.",
            "Executing stop method (:kill).",
        ]
        zone.ok("svcadm", "enable", "-s", fmri)
        assert zone.state(fmri) == "online"

    def test_restarts_when_all_processes_are_gone(self, zone: Zone) -> None:
        fmri = zone.service("a", SLEEP)
        zone.reaches(fmri, "online")
        (pid,) = pids(zone, fmri)
        os.kill(pid, signal.SIGKILL)
        zone.wait(lambda: pids(zone, fmri) not in ([], [pid]))
        zone.reaches(fmri, "online")
        assert "Stopping because all processes in service exited." in zone.lines(fmri)

    def test_restarts_for_a_signal_from_outside(self, zone: Zone) -> None:
        fmri = zone.service("a", "/bin/sh -c 'sleep 1000 & sleep 1000 &'")
        zone.reaches(fmri, "online")
        first, second = pids(zone, fmri)
        os.kill(first, signal.SIGKILL)
        zone.wait(lambda: not alive(second))
        zone.wait(lambda: len(pids(zone, fmri)) == 2)
        reason = "Stopping because process received fatal signal from outside the service."
        assert reason in zone.lines(fmri)

    def test_a_core_counts(self, zone: Zone) -> None:
        fmri = zone.service("a", "/bin/sh -c 'ulimit -c 0; sleep 1000 & sleep 1000 &'")
        zone.reaches(fmri, "online")
        os.kill(pids(zone, fmri)[0], signal.SIGSEGV)
        zone.wait(lambda: "Stopping because process dumped core." in zone.lines(fmri))

    def test_ignore_error(self, zone: Zone) -> None:
        tail = ('<property_group name="more" type="framework"/>')  # fmt: skip
        fmri = zone.service("a", "/bin/sh -c 'sleep 1000 & sleep 1000 &'", tail=tail)
        zone.ok("svccfg", "-s", "site/a", "setprop", "startd/ignore_error", "=", "astring:",
                '"core,signal"')  # fmt: skip
        zone.ok("svcadm", "refresh", fmri)
        zone.reaches(fmri, "online")
        first, second = pids(zone, fmri)
        os.kill(first, signal.SIGKILL)
        zone.wait(lambda: not alive(first))
        assert zone.state(fmri) == "online"
        assert alive(second)
        os.kill(second, signal.SIGKILL)
        zone.wait(lambda: "Stopping because all processes in service exited." in zone.lines(fmri))

    def test_daemons_that_leave_their_session_still_belong(self, zone: Zone) -> None:
        fmri = zone.service("a", "setsid sh -c 'setsid sleep 1000 &' &")
        zone.reaches(fmri, "online")
        zone.wait(lambda: len(pids(zone, fmri)) == 1)
        (pid,) = pids(zone, fmri)
        zone.ok("svcadm", "disable", "-s", fmri)
        assert not alive(pid)

    def test_too_quick(self, zone: Zone) -> None:
        fmri = zone.service("a", "true")
        zone.reaches(fmri, "maintenance")
        assert zone.prop(fmri, "restarter/auxiliary_state") == "restarting_too_quickly"
        assert zone.lines(fmri)[-1] == "Restarting too quickly, changing state to maintenance."
        assert zone.lines(fmri).count('Executing start method ("true").') == 4
        log = (zone.root / "var/svc/log/svc.startd.log").read_text()
        assert (
            "site/a:default failed repeatedly: transitioned to maintenance"
            " (see 'svcs -xv' for details)" in log
        )

    def test_critical_failure_properties(self, zone: Zone) -> None:
        """Five is the only sound count (illumos until 2026, method.c, method_rate_critical)."""
        fmri = zone.service("a", "true", enabled=False)
        script = """select site/a
setprop startd/critical_failure_count = integer: 5
setprop startd/critical_failure_period = integer: 0
select default
refresh
"""
        zone.ok("svccfg", "-f", "-", stdin=script)
        zone.ok("svcadm", "enable", fmri)
        # a period of no time is never undercut
        zone.wait(lambda: zone.lines(fmri).count('Executing start method ("true").') > 12)
        zone.ok("svccfg", "-s", "site/a", "setprop startd/critical_failure_period = integer: 100")
        zone.ok("svcadm", "refresh", fmri)
        zone.reaches(fmri, "maintenance")
        assert zone.lines(fmri)[-1] == "Restarting too quickly, changing state to maintenance."


class TestStartFailures:
    def test_three_failures(self, zone: Zone) -> None:
        fmri = zone.service("a", "sh -c 'exit 7'")
        zone.reaches(fmri, "maintenance")
        assert zone.prop(fmri, "restarter/auxiliary_state") == "fault_threshold_reached"
        assert zone.lines(fmri).count('Method "start" exited with status 7.') == 3
        assert os.WEXITSTATUS(int(zone.prop(fmri, "restarter/start_method_waitstatus"))) == 7

    @pytest.mark.parametrize("code", [95, 96, 99, 100])
    def test_fatal_exits(self, zone: Zone, code: int) -> None:
        fmri = zone.service("a", f"sh -c 'exit {code}'")
        zone.reaches(fmri, "maintenance")
        assert zone.prop(fmri, "restarter/auxiliary_state") == "method_failed"
        assert zone.lines(fmri).count(f'Method "start" exited with status {code}.') == 1

    def test_killed_method(self, zone: Zone) -> None:
        fmri = zone.service("a", "sh -c 'kill -9 $$'")
        zone.reaches(fmri, "maintenance")
        assert zone.lines(fmri).count('Method "start" failed due to signal KILL.') == 3

    def test_time_limit(self, zone: Zone) -> None:
        fmri = zone.service("a", "sh -c 'sleep 1000'", timeout=1)
        zone.wait(lambda: any("timed out.  Killing contract" in x for x in zone.lines(fmri)))
        zone.reaches(fmri, "maintenance")
        assert zone.prop(fmri, "restarter/auxiliary_state") == "fault_threshold_reached"

    def test_time_limit_without_retry(self, zone: Zone) -> None:
        fmri = zone.service("a", "sleep 1000", timeout=1, enabled=False)
        zone.ok("svccfg", "-s", "site/a", "setprop startd/timeout_retry = boolean: false")
        zone.ok("svcadm", "refresh", fmri)
        zone.ok("svcadm", "enable", fmri)
        zone.reaches(fmri, "maintenance")
        assert sum("timed out" in line for line in zone.lines(fmri)) == 1
        assert zone.prop(fmri, "restarter/auxiliary_state") == "method_failed"

    def test_degraded(self, zone: Zone) -> None:
        fmri = zone.service("a", "sh -c 'sleep 1000 & exit 97'")
        zone.reaches(fmri, "degraded")
        zone.ok("svcadm", "clear", fmri)
        assert zone.state(fmri) == "online"

    def test_no_daemon(self, zone: Zone) -> None:
        fmri = zone.service("a", "sh -c 'exit 94'", stop=":true")
        zone.reaches(fmri, "online")
        assert zone.run("svcprop", "-q", "-p", "restarter/contract", fmri).returncode == 1

    def test_clear_tries_again(self, zone: Zone, tmp_path: Path) -> None:
        flag = tmp_path / "flag"
        fmri = zone.service("a", f"sh -c 'test -e {flag} || exit 95; sleep 1000 &'")
        zone.reaches(fmri, "maintenance")
        flag.touch()
        zone.ok("svcadm", "clear", fmri)
        zone.reaches(fmri, "online")
        assert "Leaving maintenance because clear requested." in zone.lines(fmri)
        done = zone.run("svcadm", "clear", fmri)
        assert done.returncode == 1
        assert done.stderr == (
            f'svcadm: Instance "{fmri}" is not in a maintenance or degraded state.\n'
        )

    def test_disable_and_enable_leave_maintenance(self, zone: Zone) -> None:
        fmri = zone.service("a", "sh -c 'exit 95'")
        zone.reaches(fmri, "maintenance")
        zone.ok("svcadm", "enable", fmri)
        assert zone.state(fmri) == "maintenance"
        zone.ok("svcadm", "disable", fmri)
        zone.reaches(fmri, "disabled")
        assert "Leaving maintenance because disable requested." in zone.lines(fmri)

    def test_missing_methods(self, zone: Zone) -> None:
        zone.load('<service name="site/m" type="service" version="1">'
                  '<create_default_instance enabled="true"/></service>')  # fmt: skip
        fmri = "svc:/site/m:default"
        zone.reaches(fmri, "online")
        assert "Method property group 'start' is not present." in zone.lines(fmri)
        zone.ok("svcadm", "refresh", fmri)
        assert zone.lines(fmri)[-2:] == [
            "Rereading configuration.", "No 'refresh' method defined.  Treating as :true.",
        ]  # fmt: skip


class TestStop:
    def test_time_limit_means_maintenance(self, zone: Zone) -> None:
        fmri = zone.service("a", "sh -c 'trap \"\" TERM; sleep 1000 & wait' &", timeout=1)
        zone.reaches(fmri, "online")
        done = zone.run("svcadm", "disable", "-s", fmri)
        assert done.returncode == 3
        assert done.stderr == f'svcadm: Instance "{fmri}" is in maintenance state.\n'
        assert any("Method or service exit timed out.  Killing" in x for x in zone.lines(fmri))

    def test_a_stop_method_waits_for_the_contract(self, zone: Zone, tmp_path: Path) -> None:
        flag, ended = tmp_path / "flag", tmp_path / "ended"
        start = f"sh -c 'until test -e {flag}; do sleep 0.05; done; touch {ended}' &"
        # it lets the process go, and does not wait for it
        fmri = zone.service("a", start, stop=f"sh -c &apos;touch {flag}&apos;")
        zone.reaches(fmri, "online")
        zone.ok("svcadm", "disable", "-s", fmri)
        assert ended.exists()
        assert 'Method "stop" exited with status 0.' in zone.lines(fmri)

    def test_kill_with_a_signal(self, zone: Zone, tmp_path: Path) -> None:
        out = tmp_path / "got"
        start = f"sh -c 'trap \"echo usr >{out}; exit\" USR1; while :; do sleep 0.05; done' &"
        fmri = zone.service("a", start, stop=":kill -USR1")
        zone.reaches(fmri, "online")
        zone.run("svcadm", "disable", "-s", fmri)
        assert out.read_text() == "usr\n"

    def test_kill_of_a_transient_service_is_an_error(self, zone: Zone) -> None:
        fmri = zone.service("a", ":true", stop=":kill", duration="transient")
        zone.reaches(fmri, "online")
        zone.ok("svcadm", "disable", fmri)
        zone.reaches(fmri, "maintenance")
        assert zone.lines(fmri)[-1] == (
            'Invalid use of ":kill" as stop method for transient service.'
        )


class TestWait:
    def test_restarts_at_once_after_success(self, zone: Zone) -> None:
        fmri = zone.service("w", "sleep 0.05", duration="child")
        zone.wait(lambda: zone.lines(fmri).count('Executing start method ("sleep 0.05").') > 8)
        lines = zone.lines(fmri)
        assert "Stopping because all processes in service exited." in lines
        assert "Failing too quickly, throttling." not in lines
        assert not any("exited with status" in line for line in lines)

    def test_fast_failures_are_throttled_never_maintenance(self, zone: Zone) -> None:
        fmri = zone.service("w", "sh -c 'exit 1'", duration="wait")
        zone.wait(lambda: zone.lines(fmri).count("Failing too quickly, throttling.") >= 2)
        assert zone.state(fmri) in ("offline", "offline*", "online", "online*")
        assert "Stopping because service exited with an error." in zone.lines(fmri)

    def test_configuration_error(self, zone: Zone) -> None:
        fmri = zone.service("w", "sh -c 'exit 96'", duration="child")
        zone.reaches(fmri, "maintenance")
        text = "Stopping because service exited with a configuration error."
        assert zone.lines(fmri)[-1] == text

    def test_missing_program(self, zone: Zone) -> None:
        fmri = zone.service("w", "/nonexistent/x -y", duration="child")
        zone.reaches(fmri, "maintenance")
        assert zone.lines(fmri)[-1] == (
            "Missing start method (/nonexistent/x), changing state to maintenance."
        )

    def test_killed_child_takes_its_group_along(self, zone: Zone) -> None:
        fmri = zone.service("w", "sh -c 'sleep 1000 & wait'", duration="child")
        zone.reaches(fmri, "online")
        zone.wait(lambda: len(pids(zone, fmri)) == 2)
        main = int(zone.prop(fmri, "restarter/start_pid"))
        (helper,) = [pid for pid in pids(zone, fmri) if pid != main]
        os.kill(main, signal.SIGKILL)
        zone.wait(lambda: not alive(helper))
        zone.wait(lambda: zone.prop(fmri, "restarter/start_pid") != str(main))
        zone.reaches(fmri, "online")

    @pytest.mark.parametrize(
        ("ignored", "number", "dies"),
        [("core,signal", signal.SIGKILL, False), ("signal,core", signal.SIGSEGV, False),
         ("signal", signal.SIGKILL, False), ("core", signal.SIGSEGV, False),
         ("core", signal.SIGKILL, True), ("signal", signal.SIGSEGV, True),
         # any other text is void
         ("core, signal", signal.SIGKILL, True), ("signal ", signal.SIGKILL, True)],
    )  # fmt: skip
    def test_ignored_errors_are_not_fatal_to_the_group(
        self, zone: Zone, ignored: str, number: int, dies: bool
    ) -> None:
        """illumos, cmd/svc/startd/method.c (fatal events) and libscf.c (the four literals)."""
        command = "sh -c 'ulimit -c 0; sleep 1000 & wait'"
        fmri = zone.service("w", command, duration="child", enabled=False)
        zone.ok("svccfg", "-s", "site/w", f'setprop startd/ignore_error = astring: "{ignored}"')
        zone.ok("svcadm", "refresh", fmri)
        zone.ok("svcadm", "enable", "-s", fmri)
        zone.wait(lambda: len(pids(zone, fmri)) == 2)
        main = int(zone.prop(fmri, "restarter/start_pid"))
        (helper,) = [pid for pid in pids(zone, fmri) if pid != main]
        os.kill(main, number)
        zone.wait(lambda: zone.prop(fmri, "restarter/start_pid") != str(main))
        zone.wait(lambda: alive(helper) is not dies)
        if not dies:
            os.kill(helper, signal.SIGKILL)

    @pytest.mark.skipif(os.geteuid() != 0, reason="the compute node is root")
    @pytest.mark.parametrize("ignored", ["", "core", "signal"])
    def test_a_member_that_dumps_core_takes_its_group_along(self, zone: Zone, ignored: str) -> None:
        """Whichever member it is (illumos, uts/common/contract/process.c, contract_process_core),
        as the compute node tells it."""
        command = "sh -c 'sleep 1000 & setsid sleep 1000 & wait'"
        fmri = zone.service("w", command, duration="child", enabled=False)
        value = f'setprop startd/ignore_error = astring: "{ignored}"'
        zone.ok("svccfg", "-s", "site/w", f"{value}\nsetprop startd/need_session = boolean: true")
        zone.ok("svcadm", "refresh", fmri)
        zone.ok("svcadm", "enable", "-s", fmri)
        zone.wait(lambda: len(pids(zone, fmri)) == 3)
        main = int(zone.prop(fmri, "restarter/start_pid"))
        same, apart = sorted(set(pids(zone, fmri)) - {main}, key=lambda p: os.getsid(p) == p)
        door = Door(str(zone.door))
        # one that crashed in a session of its own, one that is gone and has left its parent
        door.call("core", pids=[str(apart)], group=apart)
        zone.wait(lambda: alive(apart) is (ignored == "core"))
        assert alive(main) and alive(same)
        door.call("core", pids=["999999999", str(main)], group=main)
        if ignored == "core":
            assert alive(main) and alive(same) and zone.state(fmri) == "online"
            return
        zone.wait(lambda: not alive(main) and not alive(same))
        zone.wait(lambda: zone.prop(fmri, "restarter/start_pid") != str(main))
        zone.reaches(fmri, "online")
        assert "Stopping because all processes in service exited." in zone.lines(fmri)

    @pytest.mark.skipif(os.geteuid() != 0, reason="the compute node is root")
    def test_a_member_of_a_contract_service_that_dumps_core(self, zone: Zone) -> None:
        fmri = zone.service("a", "sh -c 'sh -c \"sleep 1000; true\" & sleep 1000 &'")
        zone.reaches(fmri, "online")
        zone.wait(lambda: len(pids(zone, fmri)) == 3)
        grandchild = pids(zone, fmri)[-1]
        Door(str(zone.door)).call("core", pids=[str(grandchild)], group=os.getpgid(grandchild))
        zone.wait(lambda: "Stopping because process dumped core." in zone.lines(fmri))

    def test_only_the_group_of_the_dead_is_killed(self, zone: Zone) -> None:
        """CT_PR_PGRPONLY; and others of that group, which is svc.startd's, are in no danger."""
        command = "sh -c 'setsid sleep 1000 & sleep 1000 & wait'"
        other = zone.service("other", SLEEP)
        zone.reaches(other, "online")
        fmri = zone.service("w", command, duration="child")
        zone.reaches(fmri, "online")
        zone.wait(lambda: len(pids(zone, fmri)) == 3)
        main = int(zone.prop(fmri, "restarter/start_pid"))
        apart, same = sorted(set(pids(zone, fmri)) - {main}, key=lambda p: os.getsid(p) != p)
        os.kill(main, signal.SIGKILL)
        zone.wait(lambda: not alive(same))
        assert alive(apart) and all(map(alive, pids(zone, other)))
        os.kill(apart, signal.SIGKILL)

    def test_one_that_fails_too_quickly_holds_the_others_up(self, zone: Zone) -> None:
        """The one wait thread sleeps for a second (illumos, restarter.c, stop_instance)."""
        failing = zone.service("fail", "sh -c 'exit 1'", duration="child")
        fmri = zone.service("w", "sleep 1000", duration="child")
        zone.reaches(fmri, "online")
        throttled = "Failing too quickly, throttling."
        for _try in range(5):
            pid = int(zone.prop(fmri, "restarter/start_pid"))
            seen = zone.lines(failing).count(throttled)
            zone.wait(lambda n=seen: zone.lines(failing).count(throttled) > n)  # type: ignore[misc]
            assert zone.state(failing) == "online*"
            os.kill(pid, signal.SIGTERM)
            zone.wait(lambda p=pid: not alive(p))  # type: ignore[misc]
            if zone.state(failing) == "online*":
                # svc.startd has reaped it by now, and done no more about it
                assert zone.state(fmri) == "online"
                assert zone.prop(fmri, "restarter/start_pid") == str(pid)
                break
            zone.wait(lambda p=pid: zone.prop(fmri, "restarter/start_pid") != str(p))  # type: ignore[misc]
        else:
            pytest.fail("five times the second was over too soon to see anything")
        zone.wait(lambda: zone.prop(fmri, "restarter/start_pid") != str(pid))

    def test_disable_stops_it_for_good(self, zone: Zone) -> None:
        fmri = zone.service("w", "sleep 1000", duration="child")
        zone.reaches(fmri, "online")
        pid = int(zone.prop(fmri, "restarter/start_pid"))
        zone.ok("svcadm", "disable", "-s", fmri)
        assert not alive(pid)
        assert zone.lines(fmri).count('Executing start method ("sleep 1000").') == 1

    def test_restart_gives_a_new_process(self, zone: Zone) -> None:
        fmri = zone.service("w", "sleep 1000", duration="child")
        zone.reaches(fmri, "online")
        old = zone.prop(fmri, "restarter/start_pid")
        zone.ok("svcadm", "restart", fmri)
        zone.wait(lambda: zone.prop(fmri, "restarter/start_pid") not in ("", old))
        zone.reaches(fmri, "online")
        assert "Stopping because service restarting." in zone.lines(fmri)


class TestTransient:
    def test_processes_are_not_followed(self, zone: Zone) -> None:
        fmri = zone.service("t", "true", stop=":true", duration="transient")
        zone.reaches(fmri, "online")
        assert zone.lines(fmri)[-1] == 'Method "start" exited with status 0.'
        assert zone.ok("svcs", "-H", "-o", "ctid", fmri).strip() == "-"


class TestMaintenance:
    def test_mark(self, zone: Zone) -> None:
        fmri = zone.service("a", SLEEP)
        zone.reaches(fmri, "online")
        (pid,) = pids(zone, fmri)
        zone.ok("svcadm", "mark", "maintenance", fmri)
        zone.reaches(fmri, "maintenance")
        assert not alive(pid)
        assert "Stopping for maintenance due to administrative_request." in zone.lines(fmri)
        assert zone.prop(fmri, "restarter/auxiliary_state") == "administrative_request"

    def test_mark_immediate_leaves_processes(self, zone: Zone) -> None:
        fmri = zone.service("a", SLEEP)
        zone.reaches(fmri, "online")
        (pid,) = pids(zone, fmri)
        zone.ok("svcadm", "mark", "-I", "maintenance", fmri)
        zone.reaches(fmri, "maintenance")
        assert alive(pid)
        os.kill(pid, signal.SIGKILL)


def test_requests_during_a_method_wait_their_turn(zone: Zone) -> None:
    fmri = zone.service("a", "sh -c 'sleep 0.5; sleep 1000 &'", enabled=False)
    zone.ok("svcadm", "enable", fmri)
    assert zone.ok("svcs", "-H", "-o", "STA,NSTA", fmri) == "OFF  ON\n"
    assert zone.state(fmri) == "offline*"
    zone.ok("svcadm", "disable", "-s", fmri)
    assert zone.state(fmri) == "disabled"
    assert zone.lines(fmri)[-2:] == [
        "Stopping because service disabled.", "Executing stop method (:kill).",
    ]  # fmt: skip


def test_logs_are_rotated(zone: Zone) -> None:
    fmri = zone.service("a", "true", stop=":true", duration="transient")
    zone.reaches(fmri, "online")
    log = zone.root / "var/svc/log/site-a:default.log"
    log.write_text("x" * (1 << 20) + "end\n")
    zone.ok("svcadm", "restart", fmri)
    zone.wait(lambda: log.stat().st_size < 1000)
    assert "end\n" in (log.parent / "site-a:default.log.0").read_text()


def test_session(zone: Zone) -> None:
    fmri = zone.service("a", "sleep 1000", duration="child", enabled=False)
    zone.ok("svccfg", "-s", "site/a", "setprop startd/need_session = boolean: true")
    zone.ok("svcadm", "refresh", fmri)
    zone.ok("svcadm", "enable", "-s", fmri)
    pid = int(zone.prop(fmri, "restarter/start_pid"))
    zone.wait(lambda: os.getsid(pid) == pid)
