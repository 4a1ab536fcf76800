"""``svcs -x``: reasons, causes and impact, as explain.c of svcs(1) words them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .conftest import Zone, depends, service
from .services import SLEEP, A, pids

B, C = (f"svc:/site/{name}:default" for name in "bc")


def blocks(zone: Zone, *argv: str) -> list[list[str]]:
    """What is printed, a list of lines for each service, times and logs left out."""
    text = zone.ok("svcs", *argv).rstrip("\n")
    found = []
    for block in text.split("\n\n") if text else []:
        lines = block.splitlines()
        assert lines[1].startswith(" State: ")
        lines[1] = lines[1].partition(" since ")[0]
        found.append([line for line in lines if "/var/svc/log/" not in line])
    return found


def see(article: str) -> str:
    return f"   See: http://illumos.org/msg/SMF-8000-{article}"


def alone(state: str, reason: str, article: str, fmri: str = A) -> list[list[str]]:
    """The block of a service on which none depends."""
    return [[f"{fmri} (?)", f" State: {state}", f"Reason: {reason}", see(article),
             "Impact: This service is not running."]]  # fmt: skip


FAILURES = {
    # start method: (reason, article)
    "sh -c 'exit 1'": ("Start method failed repeatedly, last exited with status 1.", "KS"),
    "sh -c 'exit 95'": ("Start method exited with $SMF_EXIT_ERR_FATAL.", "KS"),
    "sh -c 'exit 96'": ("Start method exited with $SMF_EXIT_ERR_CONFIG.", "KS"),
    "sh -c 'exit 99'": ("Start method exited with status 99.", "KS"),
    "sh -c 'kill -9 $$'": ("Start method failed repeatedly, last died on Killed (9).", "KS"),
    "%{no/such}": ("Method failed.", "8Q"),
    "true": ("Restarting too quickly.", "L5"),
}  # fmt: skip


@pytest.mark.parametrize("start", FAILURES)
def test_failures(zone: Zone, start: str) -> None:
    zone.service("a", start)
    zone.reaches(A, "maintenance")
    assert blocks(zone, "-x") == alone("maintenance", *FAILURES[start])


def test_a_core(zone: Zone) -> None:
    zone.service("a", "sh -c 'ulimit -c unlimited; cd /tmp; kill -SEGV $$'")
    zone.reaches(A, "maintenance")
    dumped = int(zone.prop(A, "restarter/start_method_waitstatus")) & 0x80
    how = "dumped core on" if dumped else "died on"
    reason = f"Start method failed repeatedly, last {how} Segmentation fault (11)."
    assert blocks(zone, "-x") == alone("maintenance", reason, "KS")


def test_administrators(zone: Zone) -> None:
    zone.service("a", SLEEP)
    zone.reaches(A, "online")
    assert blocks(zone, "-x") == []
    assert blocks(zone, "-x", A) == [[f"{A} (?)", " State: online", "Impact: None."]]
    zone.ok("svcadm", "mark", "degraded", A)
    assert blocks(zone, "-x", A) == [
        [f"{A} (?)", " State: degraded", "Reason: Degraded by an administrator.", see("DX"),
         "Impact: None."],
    ]  # fmt: skip
    zone.ok("svcadm", "mark", "maintenance", A)
    zone.reaches(A, "maintenance")
    reason = "Maintenance requested by an administrator."
    assert blocks(zone, "-x") == alone("maintenance", reason, "63")
    zone.ok("svcadm", "clear", A)
    zone.ok("svcadm", "disable", "-st", A)
    assert blocks(zone, "-x") == []
    reason = "Temporarily disabled by an administrator."
    assert blocks(zone, "-x", A) == alone("disabled", reason, "1S")
    zone.ok("svcadm", "disable", A)
    assert blocks(zone, "-x", A) == alone("disabled", "Disabled by an administrator.", "05")


def test_a_start_that_takes_its_time(zone: Zone, tmp_path: Path) -> None:
    zone.service("a", f"sh -c 'until test -e {tmp_path}/flag; do sleep 0.05; done'")
    zone.wait(lambda: zone.state(A) == "offline*")
    assert blocks(zone, "-x") == alone("offline", "Start method is running.", "C4")
    (tmp_path / "flag").touch()


def test_a_stop_that_takes_its_time(zone: Zone, tmp_path: Path) -> None:
    stop = f"sh -c &apos;until test -e {tmp_path}/flag; do sleep 0.05; done&apos;"
    zone.service("a", SLEEP, stop)
    zone.reaches(A, "online")
    (pid,) = pids(zone, A)
    zone.ok("svcadm", "disable", A)
    assert blocks(zone, "-x", A) == [[f"{A} (?)", " State: online", "Impact: None."]]
    os.kill(pid, signal.SIGKILL)
    (tmp_path / "flag").touch()
    zone.reaches(A, "disabled")


SUMMARIES = {
    # how the service is that another waits for: (start method, enabled, what is said of it)
    "disabled": (SLEEP, False, "is disabled."),
    "fatal": ("sh -c 'exit 95'", True, "is not running because a method failed."),
    "repeatedly": ("sh -c 'exit 1'", True, "is not running because a method failed repeatedly."),
    "quickly": ("true", True, "was restarting too quickly."),
}  # fmt: skip


@pytest.mark.parametrize("case", SUMMARIES)
def test_who_waits_for_whom(zone: Zone, case: str) -> None:
    start, enabled, summary = SUMMARIES[case]
    zone.load(
        service("a", start, enabled=enabled)
        + service("b", SLEEP, extra=depends("d", "svc:/site/a"))
        + service("c", SLEEP, extra=depends("d", "svc:/site/b"))
    )
    zone.reaches(A, "maintenance" if enabled else "disabled")
    reason = [f"Reason: Service {A} {summary}"]
    if len(reason[0]) > 80:
        reason = [f"Reason: Service {A}", f"        {summary}"]
    assert blocks(zone, "-x", C) == [
        [f"{C} (?)", " State: offline", *reason, see("GE"),
         "Impact: This service is not running."],
    ]  # fmt: skip
    (block,) = blocks(zone, "-x")
    assert block[0] == f"{A} (?)"
    assert block[-1] == "Impact: 2 dependent services are not running.  (Use -v for list.)"
    (block,) = blocks(zone, "-xv")
    assert block[-3:] == ["Impact: 2 dependent services are not running:",
                          f"        {B}", f"        {C}"]  # fmt: skip
    (block,) = blocks(zone, "-xv", C)
    start_of_path = block.index(f"  Path: {C}")
    assert block[start_of_path + 1 : start_of_path + 3] == [" " * 10 + B, " " * 12 + A]


@pytest.mark.parametrize(
    ("grouping", "entities", "reasons"),
    [
        ("require_all", ["svc:/no/where"], ["Dependency svc:/no/where is absent."]),
        ("require_any", ["svc:/no/where", "svc:/no/one"],
         ["Dependency svc:/no/where is absent.", "Dependency svc:/no/one is absent."]),
        ("exclude_all", [A], [f"Service {A} is running."]),
    ],
)  # fmt: skip
def test_groupings(zone: Zone, grouping: str, entities: list[str], reasons: list[str]) -> None:
    zone.service("a", SLEEP)
    zone.reaches(A, "online")
    zone.service("b", SLEEP, extra=depends("d", *entities, grouping=grouping))
    (block,) = blocks(zone, "-x", B)
    assert [line for line in block if line.startswith("Reason: ")] == [
        f"Reason: {reason}" for reason in reasons
    ]


def test_files(zone: Zone, tmp_path: Path) -> None:
    fmri = f"file://localhost{tmp_path}/file"
    zone.service("a", SLEEP, extra=depends("d", fmri, type="path"))
    assert blocks(zone, "-x") == alone("offline", f"Dependency {fmri} is absent.", "E2")


def test_cycles_and_invalid_dependencies(zone: Zone) -> None:
    zone.load(
        service("a", SLEEP, extra=depends("d", "svc:/site/b"))
        + service("b", SLEEP, extra=depends("d", "svc:/site/a"))
    )
    zone.wait(lambda: "maintenance" in (zone.state(A), zone.state(B)))
    one = A if zone.state(A) == "maintenance" else B
    (block,) = blocks(zone, "-x", one)
    assert block[2:4] == ["Reason: Completes a dependency cycle.", see("HP")]
    zone.service("c", SLEEP, enabled=False, extra=depends("d", "svc:/site/a"))
    zone.ok("svccfg", "-s", "site/c", 'setprop d/grouping = astring: "some"')
    zone.ok("svcadm", "refresh", C)
    zone.ok("svcadm", "enable", C)
    zone.reaches(C, "maintenance")
    assert blocks(zone, "-x", C) == alone("maintenance", "Has invalid dependency.", "JA", C)


def test_documentation(zone: Zone) -> None:
    tail = """<template><common_name><loctext xml:lang="C">Something</loctext></common_name>
<documentation><manpage title="some" section="8" manpath="/opt/local/man"/>
<manpage title="any" section="5"/><doc_link name="x" uri="http://example.org/x"/>
</documentation></template>"""
    zone.service("a", "sh -c 'exit 95'", tail=tail)
    zone.reaches(A, "maintenance")
    (block,) = blocks(zone, "-x")
    assert block[0] == f"{A} (Something)"
    assert block[4:-1] == ["   See: http://example.org/x", "   See: any(5)", "   See: some(8)"]
    (block,) = blocks(zone, "-xv")
    assert block[5:-1] == ["   See: man -M /usr/share/man -s 5 any",
                           "   See: man -M /opt/local/man -s 8 some"]  # fmt: skip
    lines = zone.ok("svcs", "-x", A).splitlines()
    assert lines[-2] == f"   See: {zone.root}/var/svc/log/site-a:default.log"


def test_an_instance_that_nobody_manages(zone: Zone) -> None:
    zone.service("a", SLEEP)
    zone.reaches(A, "online")
    zone.ok("svccfg", "-s", "site/a", "add", "empty")
    done = zone.run("svcs", "-x")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == 'svc:/site/a:empty has no "restarter" property group; ignoring.\n'
