"""Tokens, context and environment of methods (smf_method(7))."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from localdc.smartos.smf.model import Property, PropertyGroup, SmfError
from localdc.smartos.smf.startd.methods import expand

from .conftest import Zone

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change credentials")
GROUPS = {
    "config": PropertyGroup("application", {
        "port": Property("count", ["80"]),
        "words": Property("astring", ["a b", "c;d"]),
    }),
    "application": PropertyGroup("application", {"x": Property("astring", ["$(id)'\""])}),
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "expanded"),
    [
        ("run %m %s %i %r %%", "run start site/x e0 svc.startd %"),
        ("run %f", "run svc:/site/x:e0"),
        ("run -p %{config/port}", "run -p 80"),
        ("run %{config/words}", r"run a\ b c\;d"),
        ("run %{config/words,}", r"run a\ b,c\;d"),
        ("run %{config/words:}", r"run a\ b:c\;d"),
        ("run %{x}", r"run $\(id\)\'\""),
        ("run %{svc:/site/x:e0/:properties/config/port}", "run 80"),
    ],
)
def test_tokens(command: str, expanded: str) -> None:
    assert expand(command, "svc:/site/x:e0", "start", GROUPS) == expanded


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("run %{config/no}", 'property "config/no" not found'),
        ("run %{no}", 'property "no" not found'),
        ("run %q", "unknown method token"),
        ("run %", "unknown method token"),
        ("run %{config", "unterminated"),
    ],
)
def test_bad_tokens(command: str, problem: str) -> None:
    with pytest.raises(SmfError) as caught:
        expand(command, "svc:/site/x:e0", "start", GROUPS)
    assert str(caught.value).startswith(f'Could not expand method tokens in "{command}": {problem}')


def test_a_missing_property_means_maintenance(zone: Zone) -> None:
    fmri = zone.service("a", "run %{config/no}")
    zone.reaches(fmri, "maintenance")
    assert zone.lines(fmri)[-1] == (
        'Could not expand method tokens in "run %{config/no}": property "config/no" not found.'
    )


def show(zone: Zone, tmp_path: Path, what: str, extra: str = "") -> list[str]:
    """What a start method sees: the output of the shell commands `what`."""
    out = tmp_path / "out"
    script = tmp_path / "method"
    script.write_text(f"#!/bin/sh\n({what}) > {out}\n")
    script.chmod(0o755)
    tmp_path.chmod(0o777)
    fmri = zone.service("show", str(script), stop=":true", duration="transient", extra=extra)
    zone.reaches(fmri, "online")
    return out.read_text().splitlines()


def test_environment(zone: Zone, tmp_path: Path) -> None:
    zone.stop()
    (tmp_path / "etc/default").mkdir(parents=True)
    (tmp_path / "etc/default/init").write_text("# x\nTZ=Europe/Berlin\nLC_ALL=C\nPATH=/no\n")
    zone.start()
    lines = dict(line.split("=", 1) for line in show(zone, tmp_path, "env"))
    for shell in ("PWD", "OLDPWD", "SHLVL", "_"):
        lines.pop(shell, None)
    assert lines.pop("SMF_ZONENAME")
    assert lines == {
        "PATH": "/usr/sbin:/usr/bin", "TZ": "Europe/Berlin", "LC_ALL": "C",
        "SMF_FMRI": "svc:/site/show:default", "SMF_METHOD": "start",
        "SMF_RESTARTER": "svc:/system/svc/restarter:default",
    }  # fmt: skip


def test_method_environment(zone: Zone, tmp_path: Path) -> None:
    extra = ('<method_context><method_environment><envvar name="A" value="b c=d"/>'
             '<envvar name="PATH" value="/bin:/usr/bin"/><envvar name="SMF_METHOD" value="x"/>'
             "</method_environment></method_context>")  # fmt: skip
    lines = show(zone, tmp_path, 'echo "$A $PATH $SMF_METHOD"; pwd', extra)
    # a context without a credential has the home of root as its directory
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert lines == ["b c=d /bin:/usr/bin start", home]


def test_input_and_output(zone: Zone, tmp_path: Path) -> None:
    lines = show(zone, tmp_path, "readlink /proc/self/fd/0; echo to-the-log >&2; umask")
    assert lines == ["/dev/null", "0022"]
    assert "to-the-log" in zone.log("svc:/site/show:default")


def test_signals_are_as_by_default(zone: Zone, tmp_path: Path) -> None:
    masks = show(zone, tmp_path, "grep -E 'Sig(Blk|Ign)' /proc/self/status")
    # 32 and 33 are the C library's own: no program can change what it inherits
    own = 1 << 31 | 1 << 32
    assert [int(mask.split()[1], 16) & ~own for mask in masks] == [0, 0]


@root_only
def test_credential(zone: Zone, tmp_path: Path) -> None:
    extra = ('<method_context working_directory="/tmp"><method_credential user="nobody"'
             ' group="daemon" supp_groups="bin,4"/></method_context>')  # fmt: skip
    lines = show(zone, tmp_path, "id -un; id -gn; id -G; pwd; echo ${HOME-none}", extra)
    assert lines == ["nobody", "daemon", "1 2 4", "/tmp", "none"]


@root_only
def test_default_groups(zone: Zone, tmp_path: Path) -> None:
    extra = ('<method_context working_directory="/"><method_credential user="nobody"'
             ' group=":default" supp_groups=":default"/></method_context>')  # fmt: skip
    nobody = pwd.getpwnam("nobody")
    assert show(zone, tmp_path, "id -u; id -g", extra) == [str(nobody.pw_uid), str(nobody.pw_gid)]


@root_only
def test_a_credential_means_home(zone: Zone) -> None:
    extra = '<method_context><method_credential user="nobody"/></method_context>'
    fmri = zone.service("a", "true", extra=extra)
    zone.reaches(fmri, "maintenance")
    home = pwd.getpwnam("nobody").pw_dir
    assert "svc.startd could not set context for method: " in zone.lines(fmri)
    assert f'chdir: No such file or directory ("{home}")' in zone.lines(fmri)
    assert 'Method "start" exited with status 96.' in zone.lines(fmri)
    assert zone.prop(fmri, "restarter/auxiliary_state") == "method_failed"


def test_only_the_first_command_runs(zone: Zone, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    fmri = zone.service("a", f"true && touch {flag}", stop=":true", duration="transient")
    zone.reaches(fmri, "online")
    assert not flag.exists()


def test_methods_run_from_the_running_snapshot(zone: Zone, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fmri = zone.service("a", f"sh -c 'echo one >>{out}'", stop=":true", duration="transient")
    zone.reaches(fmri, "online")
    exec_ = f"setprop start/exec = \"sh -c 'echo two >>{out}'\""
    zone.ok("svccfg", "-s", "site/a", exec_)
    zone.ok("svcadm", "restart", fmri)
    zone.wait(lambda: out.read_text() == "one\none\n")
    zone.ok("svcadm", "refresh", fmri)
    zone.ok("svcadm", "restart", fmri)
    zone.wait(lambda: out.read_text() == "one\none\ntwo\n")
