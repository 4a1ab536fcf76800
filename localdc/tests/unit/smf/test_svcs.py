"""svcs(1): columns, sorting, selection and layouts, character by character."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from localdc.smartos.smf.commands.svcs_run import processes, stime

from .conftest import Zone, depends, service
from .services import SLEEP, SMTP, A

B = "svc:/site/b:default"

# column: (width, cell of a disabled instance of svc:/network/smtp)
COLUMNS = {
    "CTID": (6, "-"), "DESC": (25, "Mail transfer"), "FMRI": (50, "svc:/network/smtp:relay"),
    "INST": (16, "relay"), "N": (1, "-"), "NSTA": (4, "-"), "NSTATE": (13, "-"), "S": (2, "d"),
    "SCOPE": (10, "localhost"), "SN": (2, "d-"), "SVC": (25, "network/smtp"), "STA": (4, "DIS"),
    "STATE": (14, "disabled"),
}  # fmt: skip


def test_columns(zone: Zone) -> None:
    zone.load(SMTP)
    for name, (width, cell) in COLUMNS.items():
        out = zone.ok("svcs", "-o", f"{name},inst", "relay")
        assert out == f"{name:<{width}} INST\n{cell:<{width}} relay\n", name
        assert zone.ok("svcs", "-H", "-o", name.lower(), "relay") == cell + "\n"
    out = zone.ok("svcs", "-H", "-o", "stime,zone", "relay")
    assert re.fullmatch(r"[ \d]\d:\d\d:\d\d \S+\n", out)


STATES = {
    # shell of the start method: (what STA, NSTA, S, N and SN show)
    "until test -e {flag}; do sleep 0.05; done": "OFF  ON   0  1 01",
    "exit 95": "MNT  -    m  - m-",
    "sleep 1000 & exit 97": "DGD  -    D  - D-",
    "sleep 1000 &": "ON   -    1  - 1-",
}


@pytest.mark.parametrize("script", STATES)
def test_states(zone: Zone, tmp_path: Path, script: str) -> None:
    zone.service("a", f"sh -c '{script.format(flag=tmp_path / 'flag')}'")
    line = STATES[script]
    zone.wait(lambda: zone.ok("svcs", "-aH", "-o", "sta,nsta,s,n,sn", A) == line + "\n")
    star = "*" if line.startswith("OFF") else ""
    word = zone.state(A).removesuffix("*") + star
    assert zone.ok("svcs", "-H", "-o", "state", A) == word + "\n"
    assert zone.ok("svcs", "-H", "-o", "sta", A) == line.split()[0] + star + "\n"
    # the asterisk is only where the next state is not shown
    assert zone.ok("svcs", "-H", "-o", "state,nstate", A).split()[0] == word.removesuffix("*")
    assert zone.ok("svcs", "-Hv", A).split()[0] == word.removesuffix("*")
    (tmp_path / "flag").touch()


def test_an_instance_that_nobody_manages(zone: Zone) -> None:
    zone.service("a", SLEEP)
    zone.ok("svccfg", "-s", "site/a", "add", "empty")
    assert zone.ok("svcs", "-aH", ":empty") == "-              -        svc:/site/a:empty\n"


def test_default_and_verbose_layout(zone: Zone) -> None:
    zone.service("a", SLEEP)
    zone.reaches(A, "online")
    time_ = r"[ \d]\d:\d\d:\d\d"
    header, row = zone.ok("svcs", A).splitlines()
    assert header == "STATE          STIME    FMRI"
    assert re.fullmatch(rf"online         {time_} {A}", row)
    header, row = zone.ok("svcs", "-v", A).splitlines()
    assert header == "STATE          NSTATE        STIME    CTID   FMRI"
    assert re.fullmatch(rf"online         -             {time_} (\d+) +{A}", row)
    assert row.index("svc:") == header.index("FMRI")
    assert zone.ok("svcs", "-H", A) == row[:15] + row[29:38] + A + "\n"


def test_what_is_listed(zone: Zone) -> None:
    zone.service("a", SLEEP)
    zone.service("b", SLEEP, enabled=False)
    zone.service("c", SLEEP)
    zone.ok("svcadm", "disable", "-st", "site/c")
    listed = zone.ok("svcs", "-H", "-o", "inst,svc").split()
    # temporarily disabled ones as well
    assert {"site/a", "site/c"} <= set(listed)
    assert "site/b" not in listed
    assert "site/b" in zone.ok("svcs", "-aH", "-o", "svc").split()
    assert zone.ok("svcs", "-aH", "-o", "fmri", "*site*").split() == [
        B, "svc:/site/c:default", A,
    ]  # fmt: skip


def test_sorting(zone: Zone) -> None:
    zone.load(
        service("b", SLEEP)
        + service("a", SLEEP, enabled=False)
        + service("m", "sh -c 'exit 95'")
        + service("o", SLEEP, extra=depends("d", "svc:/no/where"))
    )
    zone.reaches(B, "online")
    zone.reaches("svc:/site/m:default", "maintenance")

    def names(*options: str) -> str:
        out = zone.ok("svcs", "-aH", "-o", "svc", *options, "*site*").split()
        return "".join(name[-1] for name in out)

    # disabled < online < degraded < offline < maintenance
    assert names() == "abom"
    assert names("-s", "state") == "abom"
    assert names("-S", "state") == "moba"
    assert names("-s", "fmri") == "abmo"
    assert names("-S", "FMRI") == "omba"
    assert names("-S", "state", "-s", "svc") == "moba"
    assert names("-s", "nstate", "-S", "svc") == "omba"


def test_restarter(zone: Zone) -> None:
    zone.service("a", SLEEP)
    zone.load("""<service name="site/b" type="service" version="1">
<create_default_instance enabled="true"/>
<restarter><service_fmri value="svc:/network/inetd:default"/></restarter></service>""")
    assert zone.ok("svcs", "-aH", "-o", "fmri", "-R", "network/inetd:default") == B + "\n"
    out = zone.ok("svcs", "-H", "-o", "fmri", "-R", "svc:/system/svc/restarter:default")
    assert A in out.split()
    assert B not in out.split()


class TestProcesses:
    def test_lines(self, zone: Zone) -> None:
        zone.service("a", "sh -c 'sleep 1000 & sleep 1000 &'")
        zone.reaches(A, "online")
        header, row, *lines = zone.ok("svcs", "-p", A).splitlines()
        assert header.startswith("STATE")
        assert row.endswith(A)
        assert len(lines) == 2
        for line in lines:
            assert re.fullmatch(r" {15}[ \d]\d:\d\d:\d\d   [ \d]{5}\d sleep", line)

    def test_long_names_and_the_dead(self, tmp_path: Path) -> None:
        import os
        import subprocess

        dead = subprocess.Popen(["true"])
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        assert processes([dead.pid]) == [f"{'':15}{'-':<8}   {dead.pid:>6} <defunct>"]
        dead.wait()
        assert processes([dead.pid]) == []


def test_times() -> None:
    now = time.time()
    assert stime(None) == "-"
    assert re.fullmatch(r"[ \d]\d:\d\d:\d\d", stime(now - 60))
    assert re.fullmatch(r"[A-Z][a-z]{2}_\d\d", stime(now - 2 * 24 * 3600))
    assert re.fullmatch(r"\d{4}", stime(now - 400 * 24 * 3600))


class TestLong:
    def test_every_line(self, zone: Zone) -> None:
        zone.service("b", SLEEP, enabled=False)
        tail = ("<template><common_name><loctext xml:lang='C'>The a</loctext></common_name>"
                "</template>")  # fmt: skip
        extra = (
            depends("d1", "svc:/site/b", grouping="optional_all")
            + depends("d2", "svc:/no/where", "svc:/site/b:default", grouping="require_any",
                      restart_on="error")
            + depends("d3", f"file://localhost{zone.root}/none", grouping="exclude_all",
                      type="path")
        )  # fmt: skip
        zone.service("a", SLEEP, extra=extra, tail=tail)
        zone.ok("svcadm", "enable", B)
        zone.reaches(A, "online")
        lines = zone.ok("svcs", "-l", A).splitlines()
        assert lines[:5] == [
            f"fmri         {A}", "name         The a", "enabled      true", "state        online",
            "next_state   none",
        ]  # fmt: skip
        assert re.fullmatch(
            r"state_time   [A-Z][a-z]+ [ \d]\d, \d{4} at \d\d:\d\d:\d\d [AP]M UTC", lines[5]
        )
        assert lines[6:8] == [
            f"logfile      {zone.root}/var/svc/log/site-a:default.log",
            "restarter    svc:/system/svc/restarter:default",
        ]  # fmt: skip
        assert re.fullmatch(r"contract_id  \d+", lines[8])
        assert lines[9:] == [
            "dependency   optional_all/none svc:/site/b (online)",
            "dependency   require_any/error svc:/no/where (absent) svc:/site/b:default (online)",
            f"dependency   exclude_all/none file://localhost{zone.root}/none (absent)",
        ]
        process = zone.ok("svcs", "-lp", A).splitlines()[-1]
        assert re.fullmatch(r"process      \d+ sleep 1000", process)

    def test_several(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.service("b", SLEEP, enabled=False)
        first, second = zone.ok("svcs", "-l", "a", "b").split("\n\n")
        assert first.startswith(f"fmri         {A}\n")
        assert second.startswith(f"fmri         {B}\n")
        assert "enabled      false\nstate        disabled\n" in second

    @pytest.mark.parametrize(("verb", "text"), [("enable", "true"), ("disable", "false")])
    def test_temporary(self, zone: Zone, verb: str, text: str) -> None:
        zone.service("a", SLEEP, enabled=verb == "disable")
        zone.ok("svcadm", verb, "-t", A)
        assert f"enabled      {text} (temporary)\n" in zone.ok("svcs", "-l", A)

    def test_a_dependency_on_several_instances(self, zone: Zone) -> None:
        zone.load(SMTP)
        zone.service("a", SLEEP, extra=depends("d", "svc:/network/smtp", "lrc:/etc/rc"))
        out = zone.ok("svcs", "-l", A)
        assert "require_all/none svc:/network/smtp (multiple) lrc:/etc/rc (invalid)\n" in out

    def test_no_match(self, zone: Zone) -> None:
        done = zone.run("svcs", "-l", "nosuch")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "svcs: Pattern 'nosuch' doesn't match any instances\n"


def test_log_paths(zone: Zone) -> None:
    zone.service("a", SLEEP)
    zone.service("b", SLEEP)
    logs = f"{zone.root}/var/svc/log/site-"
    assert zone.ok("svcs", "-L", "a", "b") == f"{logs}a:default.log\n{logs}b:default.log\n"
    assert zone.run("svcs", "-L", "nosuch").returncode == 1


class TestDependencies:
    @pytest.fixture
    def chain(self, zone: Zone) -> Zone:
        zone.service("a", SLEEP)
        extra = depends("d", "svc:/site/a", f"file://localhost{zone.root}", type="path")
        zone.service("b", SLEEP, extra=extra + depends("e", "svc:/site/a"))
        zone.service("c", SLEEP, extra=depends("d", "svc:/site/b:default"))
        return zone

    @pytest.mark.parametrize(
        ("option", "name", "found"),
        [("-d", "a", []), ("-d", "b", [A]), ("-d", "c", [B]), ("-D", "a", [B]),
         ("-D", "b", ["svc:/site/c:default"]), ("-D", "c", [])],
    )  # fmt: skip
    def test_direct_ones(self, chain: Zone, option: str, name: str, found: list[str]) -> None:
        assert chain.ok("svcs", option, "-H", "-o", "fmri", f"site/{name}").split() == found

    def test_options(self, chain: Zone) -> None:
        chain.reaches(B, "online")
        out = chain.ok("svcs", "-Dv", "site/a")
        assert out.splitlines()[0] == "STATE          NSTATE        STIME    CTID   FMRI"
        assert chain.ok("svcs", "-dHp", "-o", "svc", "site/b").splitlines()[1].endswith(" sleep")
        assert chain.run("svcs", "-d", "nosuch").returncode == 1


@pytest.mark.parametrize(
    "argv",
    [["-?"], ["-Q"], ["-l"], ["-L"], ["-lx", "a"], ["-dD", "a"], ["-l", "-H", "a"],
     ["-l", "-o", "fmri", "a"], ["-x", "-H"], ["-o", "none"], ["-s", "none"], ["-o"]],
)  # fmt: skip
def test_usage(zone: Zone, argv: list[str]) -> None:
    done = zone.run("svcs", *argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: svcs [-aHpv] [-o col[,col ... ]]" in done.stderr


def test_good_operands_beside_bad_ones(zone: Zone) -> None:
    zone.service("a", SLEEP)
    done = zone.run("svcs", "-H", "-o", "fmri", "nosuch", "a", "*a:default")
    assert (done.returncode, done.stdout) == (1, A + "\n")
    assert done.stderr == "svcs: Pattern 'nosuch' doesn't match any instances\n"


def test_an_instance_that_startd_has_not_seen(zone: Zone) -> None:
    """illumos, cmd/svc/svcs/svcs.c: sprint_state prints -, sprint_sta the letter for no state."""
    zone.ok("svccfg", "add", "site/new")
    zone.ok("svccfg", "-s", "site/new", "add", "x")
    cells = zone.ok("svcs", "-H", "-o", "sta,nsta,state,nstate,ctid,stime", "site/new:x").split()
    assert cells == ["?", "-", "-", "-", "-", "-"]
