"""What svc.startd does about processes that die, services that start too often, and their logs."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from embedded.center import alive

from .conftest import Zone
from .services import SLEEP, TWO, A, pids, set_startd


class TestDeaths:
    @pytest.mark.parametrize(
        ("ignored", "number", "stays"),
        [("core", signal.SIGSEGV, True), ("core", signal.SIGKILL, False),
         ("signal", signal.SIGKILL, True), ("signal", signal.SIGSEGV, False),
         ("core,signal", signal.SIGSEGV, True), ("core,signal", signal.SIGKILL, True)],
    )  # fmt: skip
    def test_ignore_error(self, zone: Zone, ignored: str, number: int, stays: bool) -> None:
        zone.service("a", TWO)
        zone.reaches(A, "online")
        set_startd(zone, f'ignore_error = astring: "{ignored}"')
        first, second = pids(zone, A)
        os.kill(first, number)
        why = {
            signal.SIGSEGV: "process dumped core",
            signal.SIGKILL: "process received fatal signal from outside the service",
        }
        line = f"Stopping because {why[signal.Signals(number)]}."
        if stays:
            zone.wait(lambda: not alive(first))
            # what svc.startd does for a death it has done when it answers the next request
            assert zone.state(A) == "online"
            assert alive(second)
            assert line not in zone.lines(A)
        else:
            zone.wait(lambda: not alive(second))
            zone.reaches(A, "online")
            assert line in zone.lines(A)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
    def test_transient_services_are_not_followed(self, zone: Zone, number: int) -> None:
        zone.service("a", SLEEP, ":true", "transient")
        zone.service("other", SLEEP)
        zone.reaches(A, "online")
        zone.reaches("svc:/site/other:default", "online")
        pid = next(p for p in children(zone) if p not in pids(zone, "svc:/site/other:default"))
        os.kill(pid, number)
        zone.wait(lambda: not alive(pid))
        assert zone.state(A) == "online"
        assert zone.lines(A)[-1] == 'Method "start" exited with status 0.'

    @pytest.mark.parametrize("how", ["exit 0", "kill -9 $$", "kill -SEGV $$"])
    def test_wait_services_restart_without_a_pause(self, zone: Zone, how: str) -> None:
        command = f"sh -c 'ulimit -c 0; {how}'"
        zone.service("a", command, duration="child")
        started = f'Executing start method ("{command}").'
        zone.wait(lambda: zone.lines(A).count(started) > 12)
        assert "Failing too quickly, throttling." not in zone.lines(A)
        assert "Stopping because all processes in service exited." in zone.lines(A)
        zone.ok("svcadm", "disable", A)


def children(zone: Zone) -> list[int]:
    assert zone.process is not None
    pid = zone.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class TestThrottle:
    @pytest.mark.parametrize("setting", ["count", "period"])
    def test_one_of_the_critical_properties_is_not_enough(self, zone: Zone, setting: str) -> None:
        zone.service("a", "true", enabled=False)
        set_startd(zone, f"critical_failure_{setting} = integer: 2")
        zone.ok("svcadm", "enable", A)
        zone.reaches(A, "maintenance")
        # the fifth start is refused
        assert zone.lines(A).count('Executing start method ("true").') == 4

    def test_critical_properties_of_another_type_do_not_count(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        set_startd(zone, "critical_failure_count = count: 1",
                   "critical_failure_period = astring: short")  # fmt: skip
        assert zone.stop() == 0
        zone.start()
        zone.reaches(A, "online")

    def test_critical_period_is_a_mean(self, zone: Zone) -> None:
        """The fifth start is refused: the mean of the last ones is half a second, less than one."""
        zone.service("a", "sleep 0.5 &", enabled=False)
        set_startd(zone, "critical_failure_count = integer: 5",
                   "critical_failure_period = integer: 1")  # fmt: skip
        zone.ok("svcadm", "enable", A)
        zone.reaches(A, "maintenance")
        assert zone.lines(A).count('Executing start method ("sleep 0.5 &").') == 4

    @pytest.mark.parametrize("count", [2, 3, 4])
    def test_a_count_below_five_ends_with_the_next_start(self, zone: Zone, count: int) -> None:
        """Times are stored modulo five and read modulo the count (illumos until 2026, method.c):
        once that many starts have been slow enough, the next has a negative distance."""
        zone.service("a", "sleep 0.2 &", enabled=False)
        set_startd(zone, f"critical_failure_count = integer: {count}",
                   "critical_failure_period = integer: 0")  # fmt: skip
        zone.ok("svcadm", "enable", A)
        zone.reaches(A, "maintenance")
        assert zone.lines(A).count('Executing start method ("sleep 0.2 &").') == count
        assert zone.lines(A)[-1] == "Restarting too quickly, changing state to maintenance."

    @pytest.mark.parametrize(("count", "starts"), [(0, 0), (1, 0), (6, 5), (10, 9)])
    def test_a_count_that_cannot_be_kept_is_named(
        self, zone: Zone, count: int, starts: int
    ) -> None:
        """illumos divides by zero, or takes what lies behind the five times for further ones."""
        zone.service("a", "true", enabled=False)
        set_startd(zone, f"critical_failure_count = integer: {count}",
                   "critical_failure_period = integer: 0")  # fmt: skip
        zone.ok("svcadm", "enable", A)
        zone.reaches(A, "maintenance")
        assert zone.lines(A).count('Executing start method ("true").') == starts
        why = f"startd/critical_failure_count is {count}, and svc.startd keeps 5 start times"
        assert f"{why}: set it to 5." in zone.lines(A)
        assert zone.prop(A, "restarter/auxiliary_state") == "restarting_too_quickly"

    @pytest.mark.parametrize("verb", ["restart", "clear", "disable"])
    def test_history_is_forgotten(self, zone: Zone, verb: str) -> None:
        zone.service("a", SLEEP, enabled=False)
        set_startd(zone, "critical_failure_count = integer: 5",
                   "critical_failure_period = integer: 600")  # fmt: skip
        for _round in range(7):
            zone.ok("svcadm", "enable", "-s", A)
            if verb == "clear":
                zone.ok("svcadm", "mark", "maintenance", A)
                zone.reaches(A, "maintenance")
            started = zone.lines(A).count(f'Executing start method ("{SLEEP}").')
            zone.ok("svcadm", verb, A)
            if verb != "disable":
                zone.wait(lambda n=started: zone.lines(A).count(  # type: ignore[misc]
                    f'Executing start method ("{SLEEP}").') == n + 1)  # fmt: skip
        assert "Restarting too quickly, changing state to maintenance." not in zone.lines(A)

    def test_a_wait_service_is_held_for_a_second(self, zone: Zone) -> None:
        zone.service("a", "sh -c 'date +%%s.%%N >>times; exit 1'", duration="child", extra=(
            f'<method_context working_directory="{zone.root}"/>'))  # fmt: skip
        times = zone.root / "times"
        zone.wait(lambda: zone.lines(A).count("Failing too quickly, throttling.") == 2, 30)
        stamps = [float(line) for line in times.read_text().split()]
        assert stamps[5] - stamps[4] >= 1.0
        assert zone.state(A) != "maintenance"


class TestLogs:
    def test_file(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.reaches(A, "online")
        path = zone.root / "var/svc/log/site-a:default.log"
        assert path.stat().st_mode & 0o777 == 0o644
        assert zone.prop(A, "restarter/logfile") == str(path)
        stamp = r"\[ [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d "
        assert all(re.match(stamp, line) and line.endswith(" ]")
                   for line in zone.log(A).splitlines())  # fmt: skip

    def test_a_life(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.reaches(A, "online")
        zone.ok("svcadm", "refresh", A)
        zone.ok("svcadm", "restart", A)
        started = 'Method "start" exited with status 0.'
        zone.wait(lambda: zone.lines(A).count(started) == 2)
        zone.reaches(A, "online")
        zone.ok("svcadm", "mark", "maintenance", A)
        zone.reaches(A, "maintenance")
        zone.ok("svcadm", "clear", A)
        zone.reaches(A, "online")
        zone.ok("svcadm", "disable", "-s", A)
        starting = ['Executing start method ("sleep 1000 &").', started]
        stopping = "Executing stop method (:kill)."
        assert zone.lines(A) == [
            "Enabled.", *starting,
            "Rereading configuration.", "No 'refresh' method defined.  Treating as :true.",
            "Stopping because service restarting.", stopping, *starting,
            "Stopping for maintenance due to administrative_request.", stopping,
            "Leaving maintenance because clear requested.", "Enabled.", *starting,
            "Stopping because service disabled.", stopping,
        ]  # fmt: skip

    def test_disabled_while_offline(self, zone: Zone) -> None:
        from .conftest import depends

        zone.service("a", SLEEP, extra=depends("d", "svc:/no/where"))
        assert zone.prop(A, "restarter/auxiliary_state") == "enable_request"
        zone.ok("svcadm", "disable", "-s", A)
        assert zone.lines(A) == ["Enabled.", "Disabled."]
        assert zone.prop(A, "restarter/auxiliary_state") == "disable_request"
