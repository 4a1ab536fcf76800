"""Groupings and restart_on (smf(7)), and the order of starting and stopping."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from .conftest import Zone, depends, service
from .services import SLEEP, A

B = "svc:/site/b:default"


def user(zone: Zone, *, grouping: str, restart_on: str = "none", to: str = "svc:/site/a") -> str:
    extra = depends("d", to, grouping=grouping, restart_on=restart_on)
    return zone.service("user", SLEEP, extra=extra)


def test_require_all(zone: Zone) -> None:
    zone.service("a", SLEEP, enabled=False)
    fmri = user(zone, grouping="require_all")
    assert zone.state(fmri) == "offline"
    zone.ok("svcadm", "enable", A)
    zone.reaches(fmri, "online")


def test_require_any(zone: Zone) -> None:
    zone.service("a", SLEEP, enabled=False)
    zone.service("b", SLEEP, enabled=False)
    extra = depends("d", A, B, grouping="require_any")
    fmri = zone.service("user", SLEEP, extra=extra)
    assert zone.state(fmri) == "offline"
    zone.ok("svcadm", "enable", B)
    zone.reaches(fmri, "online")


@pytest.mark.parametrize("state", ["disabled", "maintenance", "absent", "impossible"])
def test_optional_all_does_not_wait_for_what_will_not_run(zone: Zone, state: str) -> None:
    if state == "disabled":
        zone.service("a", SLEEP, enabled=False)
    elif state == "maintenance":
        zone.service("a", "sh -c 'exit 95'")
    elif state == "impossible":
        zone.service("a", SLEEP, extra=depends("d", "svc:/site/nowhere"))
    fmri = user(zone, grouping="optional_all")
    zone.reaches(fmri, "online")


def test_optional_all_waits_for_what_is_coming(zone: Zone, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    zone.service("a", f"sh -c 'until test -e {flag}; do sleep 0.05; done; sleep 1000 &'")
    fmri = user(zone, grouping="optional_all")
    time.sleep(0.3)
    assert zone.state(fmri) == "offline"
    flag.touch()
    zone.reaches(fmri, "online")


def test_exclude_all(zone: Zone) -> None:
    zone.service("a", SLEEP, enabled=False)
    fmri = user(zone, grouping="exclude_all", restart_on="error")
    zone.reaches(fmri, "online")
    zone.ok("svcadm", "enable", A)
    zone.reaches(fmri, "offline")
    zone.ok("svcadm", "disable", A)
    zone.reaches(fmri, "online")


def test_files(zone: Zone, tmp_path: Path) -> None:
    file = tmp_path / "file"
    extra = depends("d", f"file://localhost{file}", type="path")
    fmri = zone.service("a", SLEEP, extra=extra)
    assert zone.state(fmri) == "offline"
    explained = zone.ok("svcs", "-x", fmri)
    assert f"Reason: Dependency file://localhost{file} is absent." in explained
    file.touch()
    zone.ok("svcadm", "refresh", fmri)
    zone.reaches(fmri, "online")


GROUPINGS = ("require_all", "require_any", "optional_all", "exclude_all")
# what each grouping says of two services: how many of them are up, may the user start?
SATISFIED = {
    "require_all": (False, False, True),
    "require_any": (False, True, True),
    "optional_all": (True, True, True),
    "exclude_all": (True, False, False),
}


@pytest.mark.parametrize("kind", ["instances", "services"])
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_groupings(zone: Zone, grouping: str, kind: str) -> None:
    zone.load(service("a", SLEEP, enabled=False) + service("b", SLEEP, enabled=False))
    names = (A, B) if kind == "instances" else ("svc:/site/a", "svc:/site/b")
    zone.service("user", SLEEP, extra=depends("d", *names, grouping=grouping), enabled=False)
    fmri = "svc:/site/user:default"
    for running, start in enumerate(SATISFIED[grouping]):
        if running:
            zone.ok("svcadm", "enable", "-s", (A, B)[running - 1])
        done = zone.run("svcadm", "enable", "-s", fmri)
        assert done.returncode == (0 if start else 4), (running, done.stderr)
        assert zone.state(fmri) == ("online" if start else "offline")
        zone.ok("svcadm", "disable", "-s", fmri)


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_files_by_grouping(zone: Zone, tmp_path: Path, grouping: str) -> None:
    """Files count when the service is refreshed; an optional one is as needed as any other."""
    paths = [tmp_path / "one", tmp_path / "two"]
    entities = [f"file://localhost{path}" for path in paths]
    zone.service("user", ":true", ":true", "transient",
                 extra=depends("d", *entities, grouping=grouping, type="path"))  # fmt: skip
    fmri = "svc:/site/user:default"
    table = SATISFIED["require_all" if grouping == "optional_all" else grouping]
    for there, start in enumerate(table):
        if there:
            paths[there - 1].touch()
        zone.ok("svcadm", "disable", "-s", fmri)
        zone.ok("svcadm", "enable", fmri)
        zone.ok("svcadm", "refresh", fmri)
        zone.reaches(fmri, "online" if start else "offline")


EVENTS = {
    # restart_on: (stop due to error, other stop, refresh)
    "none": (False, False, False),
    "error": (True, False, False),
    "restart": (True, True, False),
    "refresh": (True, True, True),
}


@pytest.mark.parametrize("grouping", ["require_all", "require_any", "optional_all"])
@pytest.mark.parametrize("restart_on", EVENTS)
def test_restart_on(zone: Zone, grouping: str, restart_on: str) -> None:
    zone.service("a", "sh -c 'sleep 1000 & sleep 1000 &'")
    extra = depends("d", "svc:/site/a", grouping=grouping, restart_on=restart_on)
    fmri = zone.service("user", SLEEP, extra=extra)
    zone.reaches(fmri, "online")
    stopped = "Stopping because dependency activity requires stop."
    expected = 0
    for number, event in enumerate(("error", "stop", "refresh")):
        if event == "error":
            lines = zone.ok("svcs", "-Hp", A).splitlines()
            os.kill(int(lines[1].split()[-2]), signal.SIGKILL)
            zone.wait(lambda: any("fatal signal" in line for line in zone.lines(A)))
        else:
            zone.ok("svcadm", "restart" if event == "stop" else "refresh", A)
        zone.reaches(A, "online")
        expected += EVENTS[restart_on][number]
        zone.wait(
            lambda n=expected: zone.lines(fmri).count(stopped) >= n,  # type: ignore[misc]
            why=lambda e=event: f"{e}\n{zone.log(fmri)}",
        )  # type: ignore[misc]
        zone.reaches(fmri, "online")
        assert zone.lines(fmri).count(stopped) == expected, event


@pytest.mark.parametrize("restart_on", EVENTS)
def test_exclude_all_stops_by_the_start_of_the_other(zone: Zone, restart_on: str) -> None:
    zone.service("a", SLEEP, enabled=False)
    fmri = user(zone, grouping="exclude_all", restart_on=restart_on)
    zone.reaches(fmri, "online")
    zone.ok("svcadm", "enable", "-s", A)
    # whatever restart_on says (propagate_start in graph.c)
    zone.reaches(fmri, "offline")


def test_disabling_a_required_service(zone: Zone) -> None:
    zone.service("a", SLEEP)
    fmri = user(zone, grouping="require_all", restart_on="restart")
    zone.reaches(fmri, "online")
    zone.ok("svcadm", "disable", "-s", A)
    zone.reaches(fmri, "offline")


def test_cycles_go_to_maintenance(zone: Zone) -> None:
    zone.load(
        service("a", SLEEP, extra=depends("d", "svc:/site/b"))
        + service("b", SLEEP, extra=depends("d", "svc:/site/a"))
    )
    zone.wait(lambda: "maintenance" in (zone.state(A), zone.state(B)))
    states = {fmri: zone.prop(fmri, "restarter/auxiliary_state") for fmri in (A, B)}
    assert "dependency_cycle" in states.values()


def test_invalid_dependencies_go_to_maintenance(zone: Zone) -> None:
    zone.service("a", SLEEP, enabled=False)
    script = """select site/a
addpg d dependency
setprop d/grouping = astring: require_some
setprop d/restart_on = astring: none
setprop d/type = astring: service
setprop d/entities = fmri: svc:/site/b
"""
    zone.ok("svccfg", "-f", "-", stdin=script)
    zone.ok("svcadm", "refresh", A)
    zone.ok("svcadm", "enable", A)
    zone.reaches(A, "maintenance")
    assert zone.prop(A, "restarter/auxiliary_state") == "invalid_dependency"


def test_dependents(zone: Zone) -> None:
    zone.service("a", SLEEP)
    zone.reaches(A, "online")
    extra = ('<dependent name="b_a" grouping="require_all" restart_on="none">'
             '<service_fmri value="svc:/site/a"/></dependent>')  # fmt: skip
    zone.service("b", SLEEP, extra=extra, enabled=False)
    assert zone.ok("svcprop", "-p", "b_a/entities", A) == "svc:/site/b\n"
    zone.ok("svcadm", "disable", "-s", A)
    zone.ok("svcadm", "enable", A)
    assert zone.state(A) == "offline"
    zone.ok("svcadm", "enable", B)
    zone.reaches(A, "online")


def test_shutdown_in_reverse_order(zone: Zone, tmp_path: Path) -> None:
    out = tmp_path / "order"

    def one(name: str, *needs: str) -> str:
        extra = depends("d", *needs) if needs else ""
        stop = f"sh -c &apos;echo {name} >>{out}; kill -9 $(cat {tmp_path}/{name})&apos;"
        start = f"sh -c 'sleep 1000 & echo $! >{tmp_path}/{name}'"
        return service(name, start, stop, extra=extra)

    zone.load(one("a") + one("b", "svc:/site/a") + one("c", "svc:/site/b") + one("z"))
    zone.reaches("svc:/site/c:default", "online")
    zone.reaches("svc:/site/z:default", "online")
    assert zone.stop() == 0
    order = out.read_text().split()
    assert sorted(order) == ["a", "b", "c", "z"]
    assert order.index("c") < order.index("b") < order.index("a")
    assert zone.lines(A)[-2].startswith("Executing stop method")


def test_order_of_starting(zone: Zone, tmp_path: Path) -> None:
    out = tmp_path / "order"

    def one(name: str, *needs: str) -> str:
        extra = depends("d", *needs) if needs else ""
        return service(name, f"sh -c 'echo {name} >>{out}'", ":true", "transient", extra=extra)

    names = "edcba"
    body = "".join(one(n, *([f"svc:/site/{chr(ord(n) - 1)}"] if n > "a" else [])) for n in names)
    zone.load(body)
    zone.reaches("svc:/site/e:default", "online")
    assert out.read_text().split() == list("abcde")
