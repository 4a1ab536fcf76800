"""Exit codes, service models, limits and log lines, one row of smf_method(7) and svc.startd(8)
after the other."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from embedded.center import alive

from .conftest import Zone
from .services import SLEEP, TWO, A, pids, set_startd


def startd(zone: Zone) -> str:
    """svc.startd.log, each line without its time."""
    text = (zone.root / "var/svc/log/svc.startd.log").read_text()
    return "".join(line[16:] + "\n" for line in text.splitlines())


def moved(how: str, to: str = "maintenance") -> str:
    return f"svc.startd: site/a:default {how}: transitioned to {to} (see 'svcs -xv' for details)\n"


EXITS = {
    # exit status: (state, auxiliary state, attempts, the line in svc.startd.log)
    0: ("online", "dependencies_satisfied", 1, ""),
    1: ("maintenance", "fault_threshold_reached", 3, moved("failed")),
    94: ("online", "dependencies_satisfied", 1, ""),
    95: ("maintenance", "method_failed", 1, moved("failed fatally")),
    96: ("maintenance", "method_failed", 1, moved("misconfigured")),
    97: ("degraded", "method_failed", 1, ""),
    98: ("maintenance", "fault_threshold_reached", 3, moved("failed")),
    99: ("maintenance", "method_failed", 1, moved("failed")),
    100: ("maintenance", "method_failed", 1, moved("failed")),
    255: ("maintenance", "fault_threshold_reached", 3, moved("failed")),
}


@pytest.mark.parametrize("code", EXITS)
def test_exit_codes_of_start(zone: Zone, code: int) -> None:
    state, auxiliary, attempts, line = EXITS[code]
    command = f"sh -c 'sleep 1000 & exit {code}'"
    zone.service("a", command, stop="pkill -P 1 none; true")
    zone.reaches(A, state)
    assert zone.prop(A, "restarter/auxiliary_state") == auxiliary
    assert zone.lines(A) == ["Enabled."] + attempts * [
        f'Executing start method ("{command}").', f'Method "start" exited with status {code}.',
    ]  # fmt: skip
    status = int(zone.prop(A, "restarter/start_method_waitstatus"))
    assert os.waitstatus_to_exitcode(status) == code
    failure = f'svc.startd: {A}: Method "{command}" failed with exit status {code}.\n'
    log = startd(zone) if line else ""
    assert log == (attempts * failure + line if line else "")


@pytest.mark.parametrize(("code", "state"), [(0, "disabled"), (94, "disabled"),
                                             (95, "maintenance"), (1, "maintenance")])  # fmt: skip
def test_exit_codes_of_stop(zone: Zone, code: int, state: str) -> None:
    zone.service("a", ":true", f"sh -c &apos;exit {code}&apos;", "transient")
    zone.reaches(A, "online")
    zone.ok("svcadm", "disable", A)
    zone.reaches(A, state)
    attempts = 3 if code == 1 else 1
    assert zone.lines(A).count(f'Method "stop" exited with status {code}.') == attempts


@pytest.mark.parametrize(("code", "attempts", "state"), [(0, 1, "online"), (95, 1, "maintenance"),
                                                         (1, 3, "maintenance")])  # fmt: skip
def test_exit_codes_of_refresh(zone: Zone, code: int, attempts: int, state: str) -> None:
    command = f"sh -c &apos;exit {code}&apos;"
    zone.load(
        f"""<service name="site/a" type="service" version="1">
<create_default_instance enabled="true"/>
<exec_method type="method" name="refresh" exec="{command}" timeout_seconds="9"/>
<exec_method type="method" name="start" exec="{SLEEP.replace("&", "&amp;")}" timeout_seconds="9"/>
<exec_method type="method" name="stop" exec=":kill" timeout_seconds="9"/></service>"""
    )
    zone.reaches(A, "online")
    zone.ok("svcadm", "refresh", A)
    zone.wait(lambda: zone.lines(A).count(f'Method "refresh" exited with status {code}.')
              == attempts)  # fmt: skip
    zone.reaches(A, state)
    assert "Rereading configuration." in zone.lines(A)


@pytest.mark.parametrize(
    "command", [":kill TERM", ":kill -SIGTERM", ":kill -NONE", ":kill -999", ":what"]
)
def test_what_is_no_token_goes_to_the_shell(zone: Zone, command: str) -> None:
    zone.service("a", SLEEP, stop=command)
    zone.reaches(A, "online")
    (pid,) = pids(zone, A)
    zone.ok("svcadm", "disable", A)
    zone.reaches(A, "maintenance")
    assert zone.lines(A).count(f'Executing stop method ("{command}").') == 3
    assert 'Method "stop" exited with status 127.' in zone.lines(A)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("command", [":kill", ":kill -9", ":kill -HUP", ":kill -USR1"])
def test_kill(zone: Zone, command: str) -> None:
    zone.service("a", "setsid sleep 1000 &", stop=command)
    zone.reaches(A, "online")
    zone.wait(lambda: len(pids(zone, A)) == 1)
    (pid,) = pids(zone, A)
    zone.ok("svcadm", "disable", "-s", A)
    assert not alive(pid)
    assert zone.lines(A)[-1] == "Executing stop method (:kill)."


@pytest.mark.parametrize("value", ["count: 0", "count: 18446744073709551615", "integer: -1"])
def test_no_time_limit(zone: Zone, value: str) -> None:
    zone.service("a", "sleep 0.1", enabled=False, stop=":true", duration="transient")
    zone.ok("svccfg", "-s", "site/a", f"setprop start/timeout_seconds = {value}")
    zone.ok("svcadm", "refresh", A)
    zone.ok("svcadm", "enable", "-s", A)
    assert "Method or service exit timed out" not in zone.log(A)


def test_a_time_limit_that_is_no_number_means_maintenance(zone: Zone) -> None:
    zone.service("a", SLEEP, enabled=False)
    zone.ok("svccfg", "-s", "site/a", "setprop start/timeout_seconds = astring: abc")
    zone.ok("svcadm", "refresh", A)
    zone.ok("svcadm", "enable", A)
    zone.reaches(A, "maintenance")
    assert zone.lines(A)[-1] == "Method property 'start/timeout_seconds' is not a number."


def test_true_runs_nothing(zone: Zone) -> None:
    zone.service("a", ":true", ":true", "transient")
    zone.reaches(A, "online")
    zone.ok("svcadm", "disable", "-s", A)
    assert zone.lines(A) == [
        "Enabled.", "Executing start method (null).", "Stopping because service disabled.",
        "Executing stop method (null).",
    ]  # fmt: skip


def test_tokens_reach_the_process_as_single_words(zone: Zone, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = tmp_path / "words"
    script.write_text(f'#!/bin/sh\nfor word; do echo "<$word>"; done >{out}\n')
    script.chmod(0o755)
    tail = """<property_group name="config" type="application">
<propval name="odd" type="astring" value="a b;$(id)&amp;'`&quot;\\|&lt;(x)^"/>
<property name="list" type="astring"><astring_list><value_node value="p q"/>
<value_node value="r"/></astring_list></property></property_group>
<property_group name="application" type="application">
<propval name="bare" type="count" value="7"/></property_group>"""
    zone.load("""<service name="site/other" type="service" version="1">
<property_group name="config" type="application"><propval name="far" type="astring" value="away"/>
</property_group></service>""", "other.xml")  # fmt: skip
    far = "%{svc:/site/other/:properties/config/far}"
    start = f"{script} %{{config/odd}} %{{config/list}} %{{config/list,}} %{{config/list:}}"
    zone.service("a", f"{start} %{{bare}} {far} %% %r %m %s %i %f", ":true", "transient", tail=tail)
    zone.reaches(A, "online")
    assert out.read_text().splitlines() == [
        "<a b;$(id)&'`\"\\|<(x)^>", "<p q>", "<r>", "<p q,r>", "<p q:r>", "<7>", "<away>", "<%>",
        "<svc.startd>", "<start>", "<site/a>", "<default>", f"<{A}>",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["start", "stop"])
def test_method_without_exec(zone: Zone, name: str) -> None:
    zone.service("a", SLEEP, enabled=False)
    zone.ok("svccfg", "-s", "site/a", f"delprop {name}/exec")
    zone.ok("svcadm", "refresh", A)
    zone.ok("svcadm", "enable", "-s", A)
    if name == "stop":
        zone.ok("svcadm", "disable", A)
        zone.reaches(A, "disabled")
    assert f"Method property '{name}/exec is not present." in zone.lines(A)


class TestLimits:
    @pytest.mark.parametrize("seconds", ["0", "-1"])
    def test_none(self, zone: Zone, tmp_path: Path, seconds: str) -> None:
        flag = tmp_path / "flag"
        start = f"sh -c 'until test -e {flag}; do sleep 0.05; done'"
        zone.load(f"""<service name="site/a" type="service" version="1">
<create_default_instance enabled="true"/>
<exec_method type="method" name="start" exec="{start}" timeout_seconds="{seconds}"/>
<exec_method type="method" name="stop" exec=":true" timeout_seconds="{seconds}"/>
<property_group name="startd" type="framework">
<propval name="duration" type="astring" value="transient"/></property_group></service>""")
        zone.wait(lambda: zone.state(A) == "offline*")
        flag.touch()
        zone.reaches(A, "online")

    def test_start(self, zone: Zone) -> None:
        zone.service("a", "sh -c 'sleep 1000'", timeout=1, enabled=False)
        set_startd(zone, "timeout_retry = boolean: false")
        zone.ok("svcadm", "enable", A)
        zone.reaches(A, "maintenance")
        line = zone.lines(A)[-1]
        assert re.fullmatch(r"Method or service exit timed out\.  Killing contract \d+\.", line)
        assert startd(zone) == f"svc.startd: {A}: {line}\n" + moved("timed out")
        assert zone.prop(A, "restarter/auxiliary_state") == "method_failed"

    def test_stop_kills_and_means_maintenance(self, zone: Zone) -> None:
        zone.service("a", "sh -c 'trap \"\" TERM; sleep 1000 & wait' &", timeout=1)
        zone.reaches(A, "online")
        zone.wait(lambda: len(pids(zone, A)) == 2)
        members = pids(zone, A)
        zone.ok("svcadm", "restart", A)
        zone.reaches(A, "maintenance")
        assert not any(map(alive, members))
        assert zone.prop(A, "restarter/auxiliary_state") == "method_failed"

    def test_none_for_the_start_of_a_wait_service(self, zone: Zone) -> None:
        zone.service("a", "sleep 1000", duration="child", timeout=1)
        zone.reaches(A, "online")
        pid = int(zone.prop(A, "restarter/start_pid"))
        # a second one with the same limit shows that the time is over
        zone.load(SECOND, "second.xml")
        zone.reaches("svc:/site/second:default", "maintenance")
        assert alive(pid)
        assert zone.state(A) == "online"


SECOND = """<service name="site/second" type="service" version="1">
<create_default_instance enabled="true"/>
<exec_method type="method" name="start" exec="sleep 1000" timeout_seconds="1"/>
<exec_method type="method" name="stop" exec=":kill" timeout_seconds="1"/>
<property_group name="startd" type="framework">
<propval name="timeout_retry" type="boolean" value="false"/></property_group></service>"""

AUXILIARY = {
    "restart": "restart_request", "refresh": "dependencies_satisfied", "disable": "disable_request",
}  # fmt: skip


@pytest.mark.parametrize("verb", AUXILIARY)
def test_auxiliary_states(zone: Zone, tmp_path: Path, verb: str) -> None:
    flag = tmp_path / "flag"
    stop = f"sh -c &apos;until test -e {flag}; do sleep 0.05; done; kill $(cat {flag}.pid)&apos;"
    zone.service("a", f"sh -c 'sleep 1000 & echo $! >{flag}.pid'", stop)
    zone.reaches(A, "online")
    assert zone.prop(A, "restarter/auxiliary_state") == "dependencies_satisfied"
    zone.ok("svcadm", verb, A)
    zone.wait(lambda: zone.prop(A, "restarter/auxiliary_state") == AUXILIARY[verb])
    flag.touch()
    zone.reaches(A, "disabled" if verb == "disable" else "online")


@pytest.mark.parametrize("name", ["utmpx_prefix", "need_session"])
def test_properties_that_change_nothing_here_are_accepted(zone: Zone, name: str) -> None:
    zone.service("a", SLEEP, enabled=False, tail="")
    value = 'astring: "co"' if name == "utmpx_prefix" else "boolean: true"
    set_startd(zone, f"{name} = {value}")
    zone.ok("svcadm", "enable", "-s", A)


def process_groups(zone: Zone, fmri: str) -> set[int]:
    return {os.getpgid(pid) for pid in pids(zone, fmri)}


@pytest.mark.parametrize("duration", ["contract", "child"])
def test_services_share_the_group_of_startd(zone: Zone, duration: str) -> None:
    """exec_method calls setpgrp for startd/need_session only (illumos, cmd/svc/startd/method.c)."""
    command = "sleep 1000" if duration == "child" else TWO
    first = zone.service("a", command, duration=duration)
    second = zone.service("b", command, duration=duration, enabled=False)
    assert zone.process is not None
    zone.reaches(first, "online")
    zone.wait(lambda: process_groups(zone, first) == {zone.process.pid})
    zone.ok("svccfg", "-s", "site/b", "setprop startd/need_session = boolean: true")
    zone.ok("svcadm", "refresh", second)
    zone.ok("svcadm", "enable", "-s", second)
    start = int(zone.prop(second, "restarter/start_pid"))
    zone.wait(lambda: process_groups(zone, second) == {start})


def test_startd_has_a_group_of_its_own(zone: Zone) -> None:
    """Otherwise kill 0 in a method would reach whoever started it."""
    assert zone.process is not None
    assert os.getpgid(zone.process.pid) == zone.process.pid


# fork(2) as in a zone that is full, while the file is there that says why
FULL = """
import errno, os
def fork(real=os.fork):
    try:
        with open({path!r}) as file:
            number = getattr(errno, file.read())
    except FileNotFoundError:
        return real()
    raise OSError(number, os.strerror(number))
os.fork = fork
"""


@pytest.mark.parametrize("duration", ["contract", "child"])
@pytest.mark.parametrize(
    ("error", "attempts", "auxiliary"),
    [("EAGAIN", 3, "fault_threshold_reached"), ("ENOMEM", 1, "method_failed")],
)
def test_failed_forks(zone: Zone, duration: str, error: str, attempts: int, auxiliary: str) -> None:
    """EAGAIN, as of max-lwps, is tried twice more at once; then, or with any other error, follows
    maintenance, the wait model included (illumos, cmd/svc/startd/method.c, method_run)."""
    fmri = zone.service("a", "sleep 1000 &", duration=duration, enabled=False)
    zone.stop()
    full = zone.root / "full"
    zone.preface = FULL.format(path=str(full))
    zone.start()
    full.write_text(error)
    zone.ok("svcadm", "enable", fmri)
    zone.reaches(fmri, "maintenance")
    assert zone.prop(fmri, "restarter/auxiliary_state") == auxiliary
    why = f"svc.startd: {fmri}: Couldn't fork to execute method sleep 1000 &: "
    assert startd(zone).count(why) == attempts
    # the line that a method is executed is the child's
    assert zone.lines(fmri)[-1] == "Enabled."
    full.unlink()
    zone.ok("svcadm", "clear", fmri)
    zone.reaches(fmri, "online")
