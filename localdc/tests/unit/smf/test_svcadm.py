"""svcadm(8): verbs and options with their messages, exit codes and effects."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import CLIENT, PYTHON, Zone, depends
from .services import SLEEP, SMTP, A

B = "svc:/site/b:default"

SAYS = {
    "enable": (["enable", A], f"{A} enabled.\n"),
    "enable -t": (["enable", "-t", A], f"{A} temporarily enabled.\n"),
    "disable": (["disable", A], f"{A} disabled.\n"),
    "disable -t": (["disable", "-t", A], f"{A} temporarily disabled.\n"),
    "restart": (["restart", A], f"Action restart set for {A}.\n"),
    "refresh": (["refresh", A], f"Action refresh set for {A}.\n"),
    "mark": (["mark", "maintenance", A], f"Action maint_on set for {A}.\n"),
    "mark -I": (["mark", "-I", "maintenance", A], f"Action maint_on_immediate set for {A}.\n"),
    "mark -t": (["mark", "-t", "maintenance", A], f"Action maint_on_temporary set for {A}.\n"),
    "mark -It": (["mark", "-It", "maintenance", A], f"Action maint_on_immtemp set for {A}.\n"),
    "clear": (["clear", A], f"Action maint_off set for {A}.\n"),
    "mark degraded": (["mark", "degraded", A], f"Action degraded set for {A}.\n"),
    "mark -I degraded": (["mark", "-I", "degraded", A], f"Action degrade_immediate set for {A}.\n"),
}


@pytest.mark.parametrize("verbose", [True, False])
@pytest.mark.parametrize("case", SAYS)
def test_what_is_said(zone: Zone, case: str, verbose: bool) -> None:
    zone.service("a", ":true", ":true", "transient")
    zone.reaches(A, "online")
    argv, text = SAYS[case]
    if case == "clear":
        zone.ok("svcadm", "mark", "maintenance", A)
        zone.reaches(A, "maintenance")
    done = zone.run("svcadm", *["-v"] * verbose, *argv)
    assert (done.returncode, done.stdout, done.stderr) == (0, text if verbose else "", "")


@pytest.mark.parametrize(
    "argv",
    [[], ["frobnicate", A], ["enable"], ["enable", "-x", A], ["disable"], ["disable", "-r", A],
     ["restart"], ["refresh"], ["clear"], ["mark", "maintenance"], ["mark", "broken", A],
     ["mark", "-x", "maintenance", A], ["-S", "online", "restart", A], ["-S"]],
)  # fmt: skip
def test_usage(zone: Zone, argv: list[str]) -> None:
    done = zone.run("svcadm", *argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: svcadm [-S <state>] [-v] [cmd [args ... ]]\n")


REFUSES = {
    "no instance": (["enable", "nosuch"], 1, "Pattern 'nosuch' doesn't match any instances"),
    "restart has no -s": (["restart", "-s", A], 1, "Pattern '-s' doesn't match any instances"),
    "refresh has no -s": (["refresh", "-s", A], 1, "Pattern '-s' doesn't match any instances"),
    "several": (
        ["disable", "smtp"], 1,
        "Partial FMRI 'smtp' matches multiple instances:\n\tsvc:/network/smtp:relay\n"
        "\tsvc:/network/smtp:sendmail",
    ),
    "clear": (["clear", A], 1, f'Instance "{A}" is not in a maintenance or degraded state.'),
    "-t degraded": (["mark", "-t", "degraded", A], 2, "-t may not be used with degraded."),
    "-S": (["-S", "online", "clear"], 1, "State must be 'maintenance' or 'degraded'"),
    "a core": (["restart", "-d", A], 1, "restart -d (dump core) is not available in this zone"),
    "milestone": (
        ["milestone", "all"], 1,
        "milestones cannot be changed in this zone; use enable and disable",
    ),
}  # fmt: skip


def test_refusals(zone: Zone) -> None:
    zone.load(SMTP)
    zone.service("a", ":true", ":true", "transient")
    zone.reaches(A, "online")
    for case, (argv, code, message) in REFUSES.items():
        done = zone.run("svcadm", *argv)
        said = (done.returncode, done.stdout, done.stderr)
        assert said == (code, "", f"svcadm: {message}\n"), case
    assert zone.state(A) == "online"


def test_good_operands_beside_bad_ones(zone: Zone) -> None:
    zone.service("a", SLEEP, enabled=False)
    done = zone.run("svcadm", "enable", "nosuch", A)
    assert done.returncode == 1
    zone.reaches(A, "online")


class TestWaiting:
    def test_nothing_to_wait_for(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.ok("svcadm", "enable", "-s", A)
        zone.ok("svcadm", "enable", "-s", A)
        zone.ok("svcadm", "disable", "-s", A)
        zone.ok("svcadm", "disable", "-st", A)

    def test_degraded_is_enough(self, zone: Zone) -> None:
        zone.service("a", "sh -c 'sleep 1000 & exit 97'", enabled=False)
        zone.ok("svcadm", "enable", "-s", A)
        assert zone.state(A) == "degraded"

    @pytest.mark.parametrize(
        ("how", "code", "message"),
        [("disable", 3, f'Instance "{A}" has been disabled.'),
         ("delete", 3, f'Instance "{A}" was deleted.')],
    )  # fmt: skip
    def test_what_happens_meanwhile(
        self, zone: Zone, tmp_path: Path, how: str, code: int, message: str
    ) -> None:
        zone.service("a", f"sh -c 'until test -e {tmp_path}/x; do sleep 0.05; done'", ":true",
                     enabled=False)  # fmt: skip
        waiting = subprocess.Popen(
            [*PYTHON, CLIENT, "svcadm", "enable", "-s", A], env=zone.env, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        zone.wait(lambda: zone.state(A) == "offline*")
        if how == "disable":
            zone.ok("svcadm", "disable", A)
        else:
            zone.ok("svccfg", "delete", "-f", A)
        _out, text = waiting.communicate(timeout=20)
        assert (waiting.returncode, text) == (code, f"svcadm: {message}\n")
        (tmp_path / "x").touch()

    def test_a_dependency_that_comes(self, zone: Zone, tmp_path: Path) -> None:
        zone.service("a", f"sh -c 'until test -e {tmp_path}/x; do sleep 0.05; done'", ":true",
                     "transient")  # fmt: skip
        zone.service("b", SLEEP, enabled=False, extra=depends("d", "svc:/site/a"))
        waiting = subprocess.Popen(
            [*PYTHON, CLIENT, "svcadm", "enable", "-s", B], env=zone.env
        )  # fmt: skip
        zone.wait(lambda: zone.state(B) == "offline")
        (tmp_path / "x").touch()
        assert waiting.wait(20) == 0

    def test_an_instance_without_a_restarter(self, zone: Zone) -> None:
        zone.service("a", SLEEP, enabled=False)
        other = '<restarter><service_fmri value="svc:/network/inetd:default"/></restarter>'
        zone.load(f"""<service name="site/b" type="service" version="1">
<create_default_instance enabled="false"/>{other}</service>""")
        done = zone.run("svcadm", "enable", "-s", B)
        assert done.returncode == 3
        assert done.stderr == (
            f'svcadm: Instance "{B}" is misconfigured (lacks "restarter" property group).\n'
        )


class TestState:
    """-S acts on every instance in a state."""

    def test_clear(self, zone: Zone) -> None:
        for name in "ab":
            zone.service(name, SLEEP)
            zone.reaches(f"svc:/site/{name}:default", "online")
        zone.ok("svcadm", "mark", "maintenance", A)
        zone.reaches(A, "maintenance")
        assert zone.ok("svcadm", "-v", "-S", "maintenance", "clear") == (
            f"Action maint_off set for {A}.\n"
        )
        zone.reaches(A, "online")

    def test_restart(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.service("b", SLEEP, enabled=False)
        zone.reaches(A, "online")
        out = zone.ok("svcadm", "-v", "-S", "disabled", "restart")
        assert out == f"Action restart set for {B}.\n"


def test_recursive_and_temporary(zone: Zone) -> None:
    zone.service("a", SLEEP, enabled=False)
    zone.service("b", SLEEP, enabled=False, extra=depends("d", "svc:/site/a"))
    zone.ok("svcadm", "enable", "-rst", B)
    for fmri in (A, B):
        assert zone.state(fmri) == "online"
        assert zone.ok("svcprop", "-c", "-p", "general/enabled", fmri) == "false\n"
        assert zone.prop(fmri, "general_ovr/enabled") == "true"
    zone.stop()
    zone.start()
    # a boot forgets it
    assert zone.state(B) == "disabled"
