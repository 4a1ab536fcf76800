"""Formats, messages and exit codes of svcs, svcadm and svcprop."""

from __future__ import annotations

import re

import pytest

from .conftest import Zone, depends, service
from .services import SLEEP, SMTP, A


class TestSvcs:
    def test_default_layout(self, zone: Zone) -> None:
        zone.load(SMTP)
        lines = zone.ok("svcs").splitlines()
        assert lines[0] == "STATE          STIME    FMRI"
        row = next(line for line in lines if line.endswith(":sendmail"))
        assert re.fullmatch(r"online         [ \d]\d:\d\d:\d\d svc:/network/smtp:sendmail", row)
        assert "relay" not in "".join(lines)
        assert "disabled" in zone.ok("svcs", "-a", "smtp")

    def test_verbose_layout(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.reaches(A, "online")
        header, row = zone.ok("svcs", "-v", A).splitlines()
        assert header == "STATE          NSTATE        STIME    CTID   FMRI"
        assert re.fullmatch(r"online         -             .{8} \d+ +" + A, row)

    @pytest.mark.parametrize(
        "word", ["sendmail", ":sendmail", "smtp:sendmail", "network/smtp:sendmail",
                 "svc:/network/smtp:sendmail", "*sendmail", "network/*mail"],
    )  # fmt: skip
    def test_names(self, zone: Zone, word: str) -> None:
        zone.load(SMTP)
        assert zone.ok("svcs", "-H", "-o", "fmri", word) == "svc:/network/smtp:sendmail\n"

    @pytest.mark.parametrize("word", ["mail", "network", "network/smt", "nosuch"])
    def test_not_names(self, zone: Zone, word: str) -> None:
        zone.load(SMTP)
        done = zone.run("svcs", word)
        assert done.returncode == 1
        assert done.stdout == "STATE          STIME    FMRI\n"
        assert done.stderr == f"svcs: Pattern '{word}' doesn't match any instances\n"

    @pytest.mark.parametrize("argv", [["-l"], ["-o", "nonsense"], ["-Q"], ["-l", "-H", "a"]])
    def test_usage(self, zone: Zone, argv: list[str]) -> None:
        done = zone.run("svcs", *argv)
        assert done.returncode == 2
        assert "Usage: svcs" in done.stderr

    def test_columns(self, zone: Zone) -> None:
        zone.load(SMTP)
        columns = "sta,nsta,state,nstate,ctid,inst,svc,scope,desc"
        out = zone.ok("svcs", "-H", "-o", columns, "sendmail")
        assert out.split() == ["ON", "-", "online", "-", "-", "sendmail", "network/smtp",
                               "localhost", "Mail", "transfer"]  # fmt: skip
        assert zone.ok("svcs", "-H", "-o", "STA,NSTA", "sendmail") == "ON   -\n"

    def test_sorting(self, zone: Zone) -> None:
        zone.load(SMTP)
        down = zone.ok("svcs", "-aH", "-o", "fmri", "-S", "fmri").split()
        assert down == sorted(down, reverse=True)
        states = zone.ok("svcs", "-aH", "-o", "state").split()
        assert states == sorted(states, key=["disabled", "online"].index)

    def test_processes(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.reaches(A, "online")
        line = zone.ok("svcs", "-Hp", A).splitlines()[1]
        assert re.fullmatch(r" {15}[ \d]\d:\d\d:\d\d   +\d+ sleep", line)

    def test_dependencies_and_dependents(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.service("b", SLEEP, extra=depends("d", "svc:/site/a"))
        assert zone.ok("svcs", "-H", "-o", "fmri", "-d", "b") == A + "\n"
        assert zone.ok("svcs", "-H", "-o", "fmri", "-D", "a") == "svc:/site/b:default\n"

    def test_long(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        extra = depends("d", "svc:/site/a", restart_on="error") + depends("e", "svc:/no/where")
        zone.service("b", SLEEP, extra=extra)
        zone.ok("svcadm", "disable", "-st", "a")
        zone.ok("svcadm", "enable", "-s", "a")
        lines = zone.ok("svcs", "-l", "a").splitlines()
        assert [line.split()[0] for line in lines] == [
            "fmri", "enabled", "state", "next_state", "state_time", "logfile", "restarter",
            "contract_id",
        ]  # fmt: skip
        assert lines[0] == f"fmri         {A}"
        assert lines[1] == "enabled      true"
        assert lines[3] == "next_state   none"
        out = zone.ok("svcs", "-l", "b")
        assert "dependency   require_all/error svc:/site/a (online)\n" in out
        assert "dependency   require_all/none svc:/no/where (absent)\n" in out

    def test_temporary_is_said(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.ok("svcadm", "disable", "-t", A)
        assert "enabled      false (temporary)\n" in zone.ok("svcs", "-l", A)

    def test_log_path(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        assert zone.ok("svcs", "-L", "a") == f"{zone.root}/var/svc/log/site-a:default.log\n"

    def test_explanations(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.reaches(A, "online")
        done = zone.run("svcs", "-x")
        assert (done.returncode, done.stdout) == (0, "")
        assert "Impact: None." in zone.ok("svcs", "-x", "a")
        zone.load(service("bad", "sh -c 'exit 1'"), "bad.xml")
        zone.load(service("user", SLEEP, extra=depends("d", "svc:/site/bad")), "user.xml")
        zone.reaches("svc:/site/bad:default", "maintenance")
        out = zone.ok("svcs", "-x").splitlines()
        assert out[0] == "svc:/site/bad:default (?)"
        assert out[1].startswith(" State: maintenance since ")
        assert out[2] == "Reason: Start method failed repeatedly, last exited with status 1."
        assert out[3] == "   See: http://illumos.org/msg/SMF-8000-KS"
        assert out[4] == f"   See: {zone.root}/var/svc/log/site-bad:default.log"
        assert out[5] == "Impact: 1 dependent service is not running.  (Use -v for list.)"
        assert "svc:/site/user:default" in zone.ok("svcs", "-xv")
        zone.ok("svcadm", "disable", A)
        assert "Reason: Disabled by an administrator." in zone.ok("svcs", "-x", A)


class TestSvcadm:
    def test_silence_and_verbosity(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        assert zone.ok("svcadm", "enable", A) == ""
        assert zone.ok("svcadm", "-v", "enable", A) == f"{A} enabled.\n"
        assert zone.ok("svcadm", "-v", "disable", "-t", A) == f"{A} temporarily disabled.\n"
        assert zone.ok("svcadm", "-v", "restart", A) == f"Action restart set for {A}.\n"

    def test_usage(self, zone: Zone) -> None:
        for argv in (
            [],
            ["enable"],
            ["frobnicate", "a"],
            ["enable", "-x", "a"],
            ["mark", "x", "a"],
        ):
            assert zone.run("svcadm", *argv).returncode == 2

    def test_no_match(self, zone: Zone) -> None:
        done = zone.run("svcadm", "enable", "nosuch")
        assert done.returncode == 1
        assert done.stderr == "svcadm: Pattern 'nosuch' doesn't match any instances\n"

    def test_restart_has_no_s(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        done = zone.run("svcadm", "restart", "-s", A)
        assert done.returncode == 1
        assert done.stderr == "svcadm: Pattern '-s' doesn't match any instances\n"

    def test_ambiguity(self, zone: Zone) -> None:
        zone.load(SMTP)
        done = zone.run("svcadm", "enable", "smtp")
        assert done.returncode == 1
        assert done.stderr == (
            "svcadm: Partial FMRI 'smtp' matches multiple instances:\n"
            "\tsvc:/network/smtp:relay\n\tsvc:/network/smtp:sendmail\n"
        )
        zone.ok("svcadm", "enable", "*smtp*")
        assert zone.state("relay") == "online"

    def test_persistent_and_temporary(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.ok("svcadm", "disable", "-t", A)
        assert zone.prop(A, "general_ovr/enabled") == "false"
        assert zone.ok("svcprop", "-c", "-p", "general/enabled", A) == "true\n"
        zone.ok("svcadm", "enable", A)
        assert zone.run("svcprop", "-q", "-p", "general_ovr/enabled", A).returncode == 1
        assert zone.prop(A, "general/enabled") == "true"

    def test_disable_with_comment(self, zone: Zone) -> None:
        zone.service("a", SLEEP)
        zone.ok("svcadm", "disable", "-c", "for repair", A)
        assert "comment      for repair\n" in zone.ok("svcs", "-l", A)

    def test_waiting_for_maintenance(self, zone: Zone) -> None:
        zone.service("a", "sh -c 'sleep 0.3; exit 95'", enabled=False)
        done = zone.run("svcadm", "enable", "-s", A)
        assert done.returncode == 3
        assert done.stderr == f'svcadm: Instance "{A}" is in maintenance state.\n'

    def test_waiting_for_a_dependency_that_fails(self, zone: Zone) -> None:
        b = zone.service("b", "sh -c 'sleep 1; exit 95'", enabled=False)
        zone.service("a", SLEEP, enabled=False, extra=depends("d", "svc:/site/b"))
        zone.ok("svcadm", "enable", b)
        done = zone.run("svcadm", "enable", "-s", A)
        assert zone.state(b) == "maintenance"
        assert done.returncode == 4
        assert done.stderr == f'svcadm: Instance "{A}" has unsatisfied dependencies.\n'

    def test_waiting_in_vain(self, zone: Zone) -> None:
        zone.service("a", SLEEP, enabled=False, extra=depends("d", "svc:/no/where"))
        done = zone.run("svcadm", "enable", "-s", A)
        assert done.returncode == 4
        assert done.stderr == f'svcadm: Instance "{A}" has unsatisfied dependencies.\n'

    def test_recursion(self, zone: Zone) -> None:
        zone.service("a", SLEEP, enabled=False)
        zone.service("b", SLEEP, enabled=False, extra=depends("d", "svc:/site/a"))
        zone.service("c", SLEEP, enabled=False, extra=depends("d", "svc:/site/b"))
        zone.ok("svcadm", "enable", "-rs", "c")
        assert zone.state(A) == "online"

    def test_restart_of_a_stopped_service_is_silent(self, zone: Zone) -> None:
        zone.service("a", SLEEP, enabled=False)
        zone.ok("svcadm", "restart", A)
        assert zone.state(A) == "disabled"

    def test_restart_forgets_fast_failures(self, zone: Zone) -> None:
        fmri = zone.service("a", SLEEP)
        for number in range(8):
            zone.reaches(fmri, "online")
            zone.ok("svcadm", "restart", fmri)
            zone.wait(lambda n=number: zone.log(fmri).count("Executing start") == n + 2)  # type: ignore[misc]
        zone.reaches(fmri, "online")
