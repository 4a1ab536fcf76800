"""Subcommands of svccfg, their messages and exit codes; who may read and write."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from localdc.smartos.smf.commands.lexer import commands
from localdc.smartos.smf.model import Property, PropertyGroup, SmfError
from localdc.smartos.smf.startd.authority import Authority

from .conftest import CLIENT, HEADER, PYTHON, Zone, service
from .services import A

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")


def refused(zone: Zone, *argv: str) -> str:
    done = zone.run("svccfg", *argv)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_lexer() -> None:
    text = 'setprop a/b = astring: "x \\"y\\" \\\\"\n# note\nlist # more\nsetprop c/d = (1\n 2)\n'
    found = [(line, [str(word) for word in words]) for line, words in commands(text)]
    assert found == [
        (1, ["setprop", "a/b", "=", "astring:", 'x "y" \\']),
        (3, ["list"]),
        (4, ["setprop", "c/d", "=", "(", "1", "2", ")"]),
    ]
    with pytest.raises(SmfError):
        list(commands('setprop a/b = "x'))


def test_editing(zone: Zone) -> None:
    zone.service("a", enabled=False)
    script = """select site/a
addpg config application
setprop config/url = astring: "tcp://10.0.0.1:2 # not a comment"
setprop config/n = count: 0x10
setprop config/list = astring: ("a b" "c")
setprop config/list = ("a b" "c" "d\\"e")
addpropvalue config/list astring: "f"
delpropvalue config/list c*
setprop config/gone = boolean: true
delprop config/gone
listprop config*
"""
    out = zone.ok("svccfg", "-f", "-", stdin=script)
    assert out == (
        "config       application\n"
        'config/list  astring  "a b" "d\\"e" "f"\n'
        "config/n     count    16\n"
        'config/url   astring  "tcp://10.0.0.1:2 # not a comment"\n'
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-s", "nosuch", "list"], "Pattern 'nosuch' doesn't match any instances or services"),
        (["-s", "site/a", "setprop no/x = count: 1"], 'No such property group "no".'),
        (["-s", "site/a", "setprop startd/x = 1"], "Type required for new properties."),
        (["-s", "site/a", "setprop startd/x = cuont: 1"], 'Unknown type "cuont".'),
        (["-s", "site/a", "setprop startd/x = count: -1"], 'Invalid "count" value "-1".'),
        (["-s", "site/a", 'setprop startd/x = astring: (a b)'],
         "Multiple string values or string values with spaces must be quoted with '\"'."),
        (["-s", "site/a", "setprop", "startd/x", "=", "astring:", "a b"],
         "Multiple string values or string values with spaces must be quoted with '\"'."),
        (["-s", "site/a", "addpg startd framework"], "Property group already exists."),
        (["-s", "site/a", "addpg 9 framework"], 'Invalid property group name "9".'),
        (["-s", "site/a", "delprop startd/x"], "No such property startd/x."),
        (["-s", "site/a", "delprop x/y"], 'No such property group "x".'),
        (["-s", "site/a", "delpg x"], 'No such property group "x".'),
        (["-s", "site/a", "add default"], "Instance already exists."),
        (["add", "site/a"], "Service already exists."),
        (["addpg x application"], "An entity is not selected."),
        (["-s", "site/a", "refresh"], "An instance is not selected."),
        (["frobnicate"], 'Unknown command "frobnicate".'),
    ],
)  # fmt: skip
def test_messages(zone: Zone, argv: list[str], message: str) -> None:
    zone.service("a", enabled=False)
    assert refused(zone, *argv) == f"svccfg: {message}\n"


def test_files_stop_at_the_first_error(zone: Zone, tmp_path: Path) -> None:
    zone.service("a", enabled=False)
    script = "select site/a\n\nsetprop x/y = count: 1\naddpg later application\n"
    done = zone.run("svccfg", "-f", "-", stdin=script)
    assert done.returncode == 1
    assert done.stderr == 'svccfg (<stdin>, line 3): No such property group "x".\n'
    file = tmp_path / "script"
    file.write_text(script)
    message = f'svccfg ({file}, line 3): No such property group "x".\n'
    assert refused(zone, "-f", str(file)) == message
    assert "later" not in zone.ok("svccfg", "-s", "site/a", "listpg")


def test_long_command_lines_are_cut(zone: Zone) -> None:
    zone.service("a", enabled=False)
    zone.ok("svccfg", "-s", "site/a", "addpg config application")
    long = "x" * 4000
    zone.ok("svccfg", "-s", "site/a", f"setprop config/v = astring: {long}")
    assert len(zone.ok("svcprop", "-c", "-p", "config/v", A)) < 2048
    zone.ok("svccfg", "-s", "site/a", "-f", "-", stdin=f"setprop config/v = astring: {long}\n")
    assert zone.ok("svcprop", "-c", "-p", "config/v", A) == long + "\n"


def test_added_instances_start_when_they_are_enabled(zone: Zone) -> None:
    zone.service("a", "sleep 1000 &", enabled=False)
    zone.ok("svccfg", "-s", "site/a", "add e3")
    assert zone.ok("svcs", "-aH", "-o", "state", ":e3") == "-\n"
    zone.ok("svcadm", "enable", "-s", "site/a:e3")
    assert zone.state("site/a:e3") == "online"


def test_general_enabled_is_followed(zone: Zone) -> None:
    zone.service("a", "sleep 1000 &", enabled=False)
    zone.ok("svccfg", "-s", A, "setprop general/enabled = boolean: true")
    zone.reaches(A, "online")


def test_delete(zone: Zone) -> None:
    zone.service("a", "sleep 1000 &")
    zone.reaches(A, "online")
    message = f"svccfg: Instance {A} may be running.  Use delete -f if it is not.\n"
    assert refused(zone, "delete", "site/a") == message
    zone.ok("svcadm", "disable", "-s", A)
    zone.ok("svccfg", "delete", "site/a")
    assert zone.run("svcs", "a").returncode == 1
    assert zone.run("svccfg", "-s", "site/a", "list").returncode == 1


def test_environment(zone: Zone) -> None:
    zone.service("a", enabled=False)
    zone.ok("svccfg", "-s", "site/a", "setenv", "HOME", "/x")
    zone.ok("svccfg", "-s", "site/a", "setenv", "B", "1")
    zone.ok("svccfg", "-s", "site/a", "setenv", "HOME", "/y")
    zone.ok("svccfg", "-s", "site/a", "unsetenv", "B")
    assert zone.ok("svcprop", "-c", "-p", "start/environment", A) == "HOME=/y\n"


def test_snapshots_and_revert(zone: Zone) -> None:
    zone.service("a", enabled=False)
    zone.ok("svccfg", "-s", "site/a", 'setprop start/exec = "other"')
    zone.ok("svccfg", "-f", "-", stdin=f"select {A}\nselectsnap initial\nrevert\nrefresh\n")
    assert zone.prop(A, "start/exec") == ":true"


def test_listing(zone: Zone) -> None:
    zone.service("a", enabled=False)
    assert "site/a" in zone.ok("svccfg", "list").splitlines()
    assert zone.ok("svccfg", "-s", "site/a", "list") == ":properties\ndefault\n"
    out = zone.ok("svccfg", "-s", A, "listprop")
    assert "restarter " in out
    assert "\tNONPERSISTENT" in out


def test_profile(zone: Zone, tmp_path: Path) -> None:
    zone.service("a", "sleep 1000 &", enabled=False)
    profile = tmp_path / "p.xml"
    head = HEADER.replace('type="manifest"', 'type="profile"')
    profile.write_text(
        head + '<service name="site/a" version="1" type="service">'
        '<instance name="default" enabled="true"/></service>'
        '<service name="site/none" version="1" type="service">'
        '<instance name="default" enabled="true"/></service></service_bundle>'
    )  # fmt: skip
    zone.ok("svccfg", "apply", str(profile))
    zone.reaches(A, "online")
    assert "instance name='default' enabled='true'" in zone.ok("svccfg", "extract")


def test_inventory_and_verbosity(zone: Zone, tmp_path: Path) -> None:
    file = tmp_path / "m.xml"
    file.write_text(HEADER + service("a", enabled=False) + "</service_bundle>")
    assert zone.ok("svccfg", "inventory", str(file)) == f"{A}\nsvc:/site/a\n"
    done = zone.run("svccfg", "-v", "import", str(file))
    assert done.stderr.splitlines()[-1] == "svccfg: Successful import."
    assert zone.ok("svccfg", "import", str(file)) == ""


def test_failed_import_changes_nothing(zone: Zone, tmp_path: Path) -> None:
    file = tmp_path / "bad.xml"
    file.write_text(HEADER + service("ok") + "<service/></service_bundle>")
    assert refused(zone, "import", str(file)).endswith("svccfg: Document is not valid.\n")
    assert "site/ok" not in zone.ok("svccfg", "list")
    missing = refused(zone, "import", "/no/such.xml")
    assert missing.endswith("svccfg: couldn't parse document\n")


SECRET = """<property_group name="config" type="application">
<propval name="exec_key" type="astring" value="s3cret"/>
<propval name="read_authorization" type="astring" value="solaris.smf.read.ipy"/>
</property_group>"""


@root_only
class TestOtherUsers:
    def ask(self, zone: Zone, *argv: str) -> tuple[int, str, str]:
        # the interpreter of the tests may be unreadable for others: drop root after the imports
        drop = CLIENT.replace(
            "run(",
            "import fnmatch, os, socket; from localdc.smartos.smf import door;"
            " from localdc.smartos.smf.commands import export, svcadm, svccfg, svcprop, svcs,"
            " svcs_table; os.setgroups([]); os.setgid(65534); os.setuid(65534); run(",
        )
        done = subprocess.run(
            [*PYTHON, drop, *argv], env=zone.env, capture_output=True, text=True, cwd="/"
        )
        return done.returncode, done.stdout, done.stderr

    def test_reading_is_free_but_for_secrets(self, zone: Zone) -> None:
        zone.service("a", enabled=False, tail=SECRET)
        assert self.ask(zone, "svcs", "-H", "-o", "state", "a") == (0, "disabled\n", "")
        assert self.ask(zone, "svcprop", "-p", "start/exec", "a") == (0, ":true\n", "")
        assert zone.prop(A, "config/exec_key") == "s3cret"
        for view in ([], ["-c"], ["-s", "initial"]):
            code, out, err = self.ask(zone, "svcprop", *view, "-p", "config/exec_key", "a")
            assert (code, out, err) == (1, "", "svcprop: Permission denied.\n")
        for argv in (["svcprop", "a"], ["svccfg", "-s", "site/a", "listprop"],
                     ["svccfg", "export", "-a", "site/a"], ["svcs", "-l", "a"]):  # fmt: skip
            code, out, err = self.ask(zone, *argv)
            assert code == 0
            assert "s3cret" not in out + err
        # asked for by name, the group is refused; in a list it has names and types
        refusal = (1, "", "svcprop: Permission denied.\n")
        assert self.ask(zone, "svcprop", "-p", "config", "a") == refusal
        assert "config/exec_key astring \n" in self.ask(zone, "svcprop", "a")[1]
        assert "s3cret" not in zone.ok("svccfg", "export", "site/a")
        assert "s3cret" in zone.ok("svccfg", "export", "-a", "site/a")

    def test_writing_needs_authorization(self, zone: Zone) -> None:
        zone.service("a", enabled=False)
        assert self.ask(zone, "svcadm", "enable", A) == (
            1, "", f"svcadm: {A}: Permission denied.\n",
        )  # fmt: skip
        for command in ("setprop start/exec = x", "addpg x application", "delpg start", "add e"):
            code, _out, err = self.ask(zone, "svccfg", "-s", "site/a", command)
            assert (code, err) == (1, "svccfg: Permission denied.\n"), command
        assert self.ask(zone, "svccfg", "delete", "-f", "site/a")[0] == 1
        assert self.ask(zone, "halt")[0] == 1

    @pytest.mark.parametrize(
        ("granted", "reads"),
        [
            ("solaris.smf.read.ipy", True), ("solaris.smf.read.*", True), ("solaris.*", True),
            ("solaris.smf.modify", True), ("solaris.smf.modify.application", True),
            # names that look as if they did
            ("solaris.smf.read", False), ("solaris.smf.manage", False),
            ("solaris.smf.modify.method", False),
        ],
    )  # fmt: skip
    def test_user_attr_grants(self, zone: Zone, granted: str, reads: bool) -> None:
        """illumos, cmd/svc/configd/rc_node.c, rc_node_property_may_read."""
        (zone.root / "etc/user_attr").write_text(f"#\nnobody::::auths={granted};type=normal\n")
        zone.service("a", enabled=False, tail=SECRET)
        answer = (0, "s3cret\n", "") if reads else (1, "", "svcprop: Permission denied.\n")
        assert self.ask(zone, "svcprop", "-p", "config/exec_key", "a") == answer

    @pytest.mark.parametrize("type", ["framework", "dependency", "method"])
    def test_groups_of_startd_cannot_be_protected(self, zone: Zone, type: str) -> None:
        zone.service("a", enabled=False, tail=SECRET.replace("application", type))
        assert self.ask(zone, "svcprop", "-p", "config/exec_key", "a") == (0, "s3cret\n", "")


def test_authority_reads_what_properties_say(tmp_path: Path) -> None:
    attributes = tmp_path / "user_attr"
    attributes.write_text("nobody::::auths=solaris.smf.manage.x,solaris.smf.value.y\n")
    authority = Authority(str(attributes))
    general = PropertyGroup(
        "framework", {"action_authorization": Property("astring", ["solaris.smf.manage.x"])}
    )
    authority.must_act(65534, {"general": general})
    with pytest.raises(SmfError):
        authority.must_act(65534, {})
    config = PropertyGroup(
        "application", {"value_authorization": Property("astring", ["solaris.smf.value.y"])}
    )
    authority.must_modify(65534, {"config": config}, "config", values=True)
    with pytest.raises(SmfError):
        authority.must_modify(65534, {"config": config}, "config")


def test_interactive_sessions(zone: Zone) -> None:
    zone.service("a", enabled=False)
    primary, secondary = os.openpty()
    process = subprocess.Popen(
        [*PYTHON, CLIENT, "svccfg"], env=zone.env, stdin=secondary, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd="/",
    )  # fmt: skip
    os.write(primary, b"select site/a\nfrobnicate\nlist\nend\n")
    out, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert out == "svc:> svc:/site/a> svc:/site/a> :properties\ndefault\nsvc:/site/a> "
    assert err == 'svccfg: Unknown command "frobnicate".\n'
    os.close(primary)
    os.close(secondary)


def test_types_from_templates(zone: Zone) -> None:
    tail = """<property_group name="config" type="application"/><template>
<common_name><loctext xml:lang="C">x</loctext></common_name>
<pg_pattern name="config" type="application" target="this">
<prop_pattern name="port" type="count"/></pg_pattern></template>"""
    zone.service("a", enabled=False, tail=tail)
    zone.ok("svccfg", "-s", "site/a", "setprop config/port = 80")
    assert zone.ok("svcprop", "-c", "-t", "-p", "config/port", A) == "config/port count 80\n"


def test_import_refreshes_the_instances_of_the_manifest(zone: Zone) -> None:
    zone.service("a", enabled=False, tail="<instance name='b' enabled='false'/>")
    zone.ok("svccfg", "-s", "site/a", "add c")
    zone.ok("svcadm", "disable", "site/a:c")
    zone.service("a", enabled=False, tail="<instance name='b' enabled='false'/>")
    assert "Rereading configuration." in zone.lines("svc:/site/a:b")
    assert "Rereading configuration." not in zone.lines("svc:/site/a:c")
