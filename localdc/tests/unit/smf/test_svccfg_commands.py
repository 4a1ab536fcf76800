"""svccfg(8): every subcommand, its forms, messages and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import HEADER, Zone, service
from .services import A

S = "svc:/site/a"
TAIL = '<property_group name="config" type="application"/>'


@pytest.fixture
def ready(zone: Zone) -> Zone:
    zone.service("a", enabled=False, tail=TAIL)
    return zone


def script(*lines: str, selected: str = "site/a") -> str:
    return "\n".join([f"select {selected}", *lines, ""])


# what a script prints, the service site/a selected
PRINTS: dict[str, tuple[list[str], str]] = {
    "list": (["list"], ":properties\ndefault\n"),
    "list pattern": (["list def*"], "default\n"),
    "list of an instance": (["select default", "list"], ":properties\n"),
    "list of all": (["unselect", "list site/*"], "site/a\n"),
    "add": (["add e0", "list e*"], "e0\n"),
    "add a service": (["unselect", "add site/new", "list site/*"], "site/a\nsite/new\n"),
    "delete": (["add e0", "delete e0", "list e*"], ""),
    "delete :instance": (["add e0", "delete :e0", "list e*"], ""),
    "select below": (["select default", "list"], ":properties\n"),
    "select :instance": (["select :default", "list"], ":properties\n"),
    "unselect": (["select default", "unselect", "list d*"], "default\n"),
    "listpg": (["listpg config"], "config  application\n"),
    "addpg": (["addpg more framework", "listpg m*"], "method_context  x\n"),
    "delpg": (["delpg config", "listpg config"], ""),
    "setprop": (["setprop config/n = count: 5", "listprop config/*"], "config/n  count    5\n"),
    "setprop, type known": (
        ["setprop config/n = count: 5", "setprop config/n = 0x10", "listprop config/n"],
        "config/n  count    16\n",
    ),
    "setprop, another type": (
        ["setprop config/n = count: 5", "setprop config/n = astring: x", "listprop config/n"],
        "config/n  astring  x\n",
    ),
    "setprop of a list": (
        ['setprop config/l = astring: ("a b" "c")', "listprop config/l"],
        'config/l  astring  "a b" "c"\n',
    ),
    "setprop of numbers": (
        ["setprop config/l = count: (1 2)", "listprop config/l"], "config/l  count    1 2\n",
    ),
    "setprop to nothing": (
        ["setprop config/l = astring: ()", "listprop config/l"], "config/l  astring\n",
    ),
    "setprop over lines": (
        ["setprop config/l = astring: (", '"a"', '"b"', ")", "listprop config/l"],
        'config/l  astring  "a" "b"\n',
    ),
    "quotes": (
        ['setprop config/s = astring: "a \\"b\\" \\\\ (c)"', "listprop config/s"],
        'config/s  astring  "a \\"b\\" \\\\ (c)"\n',
    ),
    "an empty string": (
        ['setprop config/s = astring: ""', "listprop config/s"], 'config/s  astring  ""\n',
    ),
    "a comment": (["setprop config/s = astring: x # y", "listprop config/s"],
                  "config/s  astring  x\n"),
    "delprop": (
        ["setprop config/s = astring: x", "delprop config/s", "listprop config/s"], "",
    ),
    "delprop of a group": (["delprop config", "listpg config"], ""),
    "addpropvalue": (
        ["addpropvalue config/l count: 1", "addpropvalue config/l 2", "listprop config/l"],
        "config/l  count    1 2\n",
    ),
    "delpropvalue": (
        ['setprop config/l = astring: ("ab" "ac" "x")', "delpropvalue config/l a*",
         "listprop config/l"], "config/l  astring  x\n",
    ),
    "delpropvalue of nothing": (
        ["setprop config/l = astring: x", "delpropvalue config/l y", "listprop config/l"],
        "config/l  astring  x\n",
    ),
    "setenv": (
        ["setenv A 1", "setenv B 2", "setenv A 3", "listprop start/environment"],
        'start/environment  astring  "B=2" "A=3"\n',
    ),
    "setenv -m": (
        ["setenv -m stop A 1", "listprop stop/environment"], "stop/environment  astring  A=1\n",
    ),
    "setenv, the service's start": (
        ["select default", "setenv A 1", "select site/a", "listprop start/environment"],
        "start/environment  astring  A=1\n",
    ),
    "setenv -i": (
        ["select default", "setenv -i A 1", "listprop method*"],
        "method_context              framework\nmethod_context/environment  astring  A=1\n",
    ),
    "setenv -i -m": (
        ["select default", "setenv -i -m start A 1", "listprop start/*"],
        "start/environment  astring  A=1\n",
    ),
    "setenv -s": (
        ["select default", "setenv -s A 1", "unselect", "listprop method_context/*"],
        "method_context/environment  astring  A=1\n",
    ),
    "unsetenv": (
        ["setenv A 1", "setenv B 2", "unsetenv A", "listprop start/environment"],
        "start/environment  astring  B=2\n",
    ),
    "refresh": (["select default", "refresh"], ""),
    "listsnap": (["select default", "listsnap"], "initial\nlast-import\nrunning\n"),
    "set": (["set -v", "set -V"], ""),
    "end": (["end", "no such command"], ""),
    "exit": (["exit", "no such command"], ""),
    "a semicolon is a word's": (
        ["setprop config/s = astring: a;b", "listprop config/s"], "config/s  astring  a;b\n",
    ),
}  # fmt: skip
PRINTS["addpg"] = (["addpg more framework", "listpg m*"], "more  framework\n")


@pytest.mark.parametrize("case", PRINTS)
def test_output(ready: Zone, case: str) -> None:
    lines, out = PRINTS[case]
    done = ready.run("svccfg", "-f", "-", stdin=script(*lines))
    assert (done.returncode, done.stdout, done.stderr) == (0, out, "")


def test_listprop_is_aligned_and_marks_what_does_not_persist(ready: Zone) -> None:
    ready.ok("svcadm", "enable", "-s", A)
    lines = ready.ok("svccfg", "-s", A, "listprop").splitlines()
    label = max(len(line.split()[0]) for line in lines)
    assert all(line[label : label + 2] == "  " and line[label + 2] != " " for line in lines)
    assert f"{'restarter':<{label}}  framework\tNONPERSISTENT" in lines
    assert f"{'restarter/state':<{label}}  astring  online" in lines
    assert f"{'general/enabled':<{label}}  boolean  true" in lines
    # what the service has is not shown
    assert not any(line.startswith("start/exec") for line in lines)


QUOTE = "Multiple string values or string values with spaces must be quoted with '\"'."
# message, and the script that leads to it at its last line
REFUSED: dict[str, list[str]] = {
    "Pattern 'nosuch' doesn't match any instances or services": ["select nosuch"],
    "Pattern 'none' doesn't match any instances or services": ["delete none"],
    'No such property group "no".': ["setprop no/x = count: 1"],
    "Type required for new properties.": ["setprop config/x = 1"],
    'Unknown type "cuont".': ["setprop config/x = cuont: 1"],
    'Invalid "count" value "-1".': ["setprop config/x = count: -1"],
    'Invalid "boolean" value "yes".': ["setprop config/x = boolean: yes"],
    QUOTE: ["setprop config/x = astring: (a b)"],
    'Property name "x" must be of the form property-group/property.': ["setprop x = count: 1"],
    "Property group already exists.": ["addpg config application"],
    'Invalid property group name "9".': ["addpg 9 application"],
    'Invalid property name "9".': ["setprop config/9 = count: 1"],
    'Invalid property group type "9".': ["addpg x 9"],
    'No such property group "none".': ["delpg none"],
    "No such property config/none.": ["delprop config/none"],
    "Instance already exists.": ["add default"],
    "Service already exists.": ["unselect", "add site/a"],
    'Invalid instance name "0".': ["add 0"],
    'Invalid service name "site/9".': ["unselect", "add site/9"],
    "An entity is not selected.": ["unselect", "listprop"],
    "An instance is not selected.": ["refresh"],
    'No such property group "halt".': ["setenv -m halt A 1"],
    "Cannot add entities to instances.": ["select default", "add x"],
    'Unknown command "frobnicate".': ["frobnicate"],
    'No such snapshot "later".': ["select default", "revert later"],
    'Invalid environment variable "A=B".': ['setenv "A=B" 1'],
    f'"{A}" does not specify a service.': [f"export {A}"],
}


@pytest.mark.parametrize("message", REFUSED)
def test_messages(ready: Zone, tmp_path: Path, message: str) -> None:
    lines = [*REFUSED[message], "add never"]
    failing = len(lines)
    done = ready.run("svccfg", "-f", "-", stdin=script(*lines))
    assert done.returncode == 1
    assert done.stderr == f"svccfg (<stdin>, line {failing}): {message}\n"
    file = tmp_path / "script"
    file.write_text(script(*lines))
    done = ready.run("svccfg", "-f", str(file))
    assert (done.returncode, done.stderr) == (1, f"svccfg ({file}, line {failing}): {message}\n")
    # nothing after the error was done
    assert "never" not in ready.ok("svccfg", "-s", "site/a", "list")
    if len(REFUSED[message]) == 1:
        done = ready.run("svccfg", "-s", "site/a", REFUSED[message][0])
        assert (done.returncode, done.stderr) == (1, f"svccfg: {message}\n")


SYNTAX = [
    "addpg x", "addpg", "delpg", "setprop config/x", "setprop config/x = ", "delprop",
    "addpropvalue config/x", "delpropvalue config/x", "setenv A", "unsetenv", "select", "add",
    "delete", "listprop a b", "list a b", "import", "validate a b", "apply", "export", "inventory",
    "restore", "setprop config/x = count: (1", "set -x",
]  # fmt: skip


@pytest.mark.parametrize("line", SYNTAX)
def test_syntax_errors(ready: Zone, line: str) -> None:
    done = ready.run("svccfg", "-s", "site/a", line)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(("svccfg: Syntax error", "svccfg: Could not"))


@pytest.mark.parametrize("argv", [["-?"], ["-x"], ["-f"], ["-f", "-", "list"], ["-s"]])
def test_usage(ready: Zone, argv: list[str]) -> None:
    done = ready.run("svccfg", *argv)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage:\tsvccfg [-v] [-s FMRI] [-f file]\n")


def test_standard_input_and_files_that_are_missing(ready: Zone) -> None:
    assert ready.ok("svccfg", stdin=script("list d*")) == "default\n"
    done = ready.run("svccfg", "-f", "/no/such")
    assert done.returncode == 1
    assert done.stderr == "svccfg: Could not open file /no/such: No such file or directory\n"
    done = ready.run("svccfg", "-s", "nosuch", "list")
    assert (done.returncode, done.stderr) == (
        1, "svccfg: Pattern 'nosuch' doesn't match any instances or services\n",
    )  # fmt: skip


class TestDelete:
    @pytest.mark.parametrize("word", ["site/a", S])
    def test_a_running_instance_needs_force(self, zone: Zone, word: str) -> None:
        zone.service("a", "sleep 1000 &")
        zone.reaches(A, "online")
        done = zone.run("svccfg", "delete", word)
        assert (done.returncode, done.stderr) == (
            1, f"svccfg: Instance {A} may be running.  Use delete -f if it is not.\n",
        )  # fmt: skip
        pid = int(zone.prop(A, "restarter/start_pid"))
        assert pid
        (row,) = zone.ok("svcs", "-Hp", "-o", "fmri", A).splitlines()[1:]
        zone.ok("svccfg", "delete", "-f", word)
        assert zone.run("svcs", A).returncode == 1
        # the processes live on, as on the real thing
        survivor = int(row.split()[-2])
        assert Path(f"/proc/{survivor}").exists()
        import os

        os.kill(survivor, 9)

    def test_patterns(self, zone: Zone) -> None:
        for name in ("a", "b"):
            zone.service(name, enabled=False)
        zone.ok("svccfg", "delete", "svc:/site/*")
        # a pattern names instances where it fits any, and services where it does not
        assert zone.ok("svcs", "-aH", "-o", "fmri", "*").split() == [
            "svc:/system/svc/restarter:default"
        ]
        zone.ok("svccfg", "delete", "svc:/site/*")
        assert zone.ok("svccfg", "list", "site/*") == ""


class TestFiles:
    def test_import_of_several(self, zone: Zone, tmp_path: Path) -> None:
        good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
        good.write_text(HEADER + service("good", enabled=False) + "</service_bundle>")
        bad.write_text(HEADER + "<thing/></service_bundle>")
        done = zone.run("svccfg", "import", str(bad), str(good))
        assert done.returncode == 1
        assert "svccfg: Document is not valid.\n" in done.stderr
        zone.reaches("svc:/site/good:default", "disabled")

    def test_verbose_import(self, zone: Zone, tmp_path: Path) -> None:
        file = tmp_path / "m.xml"
        file.write_text(HEADER + service("a", enabled=False) + "</service_bundle>")
        done = zone.run("svccfg", "-v", "import", str(file))
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.splitlines() == [
            f'svccfg: Taking "initial" snapshot for {A}.',
            f'svccfg: Taking "last-import" snapshot for {A}.',
            f"svccfg: Refreshed {A}.", "svccfg: Successful import.",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("<service_bundle", "couldn't parse document"),
            ("<service_bundle type='manifest' name='x'/>", '"{0}" document has no DTD'),
            (HEADER.replace("/usr/share", "/opt/share") + "</service_bundle>",
             '"{0}" document DTD unknown; not service bundle?'),
            (HEADER + "<thing/></service_bundle>", "Document is not valid."),
            (HEADER + "<service name='9' type='service' version='1'/></service_bundle>",
             "Validation failed."),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("command", ["validate", "import"])
    def test_refused_documents(
        self, zone: Zone, tmp_path: Path, command: str, text: str, message: str
    ) -> None:
        file = tmp_path / "m.xml"
        file.write_text(text)
        done = zone.run("svccfg", command, str(file))
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == "svccfg: " + message.format(file)

    def test_validate_takes_instances(self, ready: Zone) -> None:
        assert ready.ok("svccfg", "validate", A) == ""
        done = ready.run("svccfg", "validate", "nosuch")
        assert done.returncode == 1

    def test_export(self, ready: Zone, tmp_path: Path) -> None:
        text = ready.ok("svccfg", "export", "site/a")
        assert text.startswith(
            "<?xml version='1.0'?>\n<!DOCTYPE service_bundle SYSTEM"
            " '/usr/share/lib/xml/dtd/service_bundle.dtd.1'>\n"
            "<service_bundle type='manifest' name='export'>\n"
        )
        out = tmp_path / "out.xml"
        ready.ok("svccfg", "export", "site/a", ">", str(out))
        assert out.read_text() == text
        assert ready.ok("svccfg", "-f", "-", stdin=f"export {S}\n") == text
        done = ready.run("svccfg", "export", "nosuch")
        assert (done.returncode, done.stderr) == (
            1, "svccfg: Pattern 'nosuch' doesn't match any instances or services\n",
        )  # fmt: skip


class TestSnapshots:
    """Methods run from `running`; edits act after a refresh."""

    def views(self, zone: Zone, path: str) -> dict[str, str]:
        options = {"running": [], "-c": ["-c"], "initial": ["-s", "initial"],
                   "last-import": ["-s", "last-import"], "start": ["-s", "start"]}  # fmt: skip
        return {
            name: zone.run("svcprop", *argv, "-p", path, A).stdout.strip()
            for name, argv in options.items()
        }

    def test_edits_imports_and_starts(self, zone: Zone) -> None:
        def tail(value: int) -> str:
            return f"""<property_group name="config" type="application">
<propval name="n" type="count" value="{value}"/></property_group>"""

        zone.service("a", "sleep 1000 &", tail=tail(1))
        zone.reaches(A, "online")
        every = ("running", "-c", "initial", "last-import", "start")
        assert self.views(zone, "config/n") == dict.fromkeys(every, "1")
        zone.ok("svccfg", "-s", "site/a", "setprop config/n = 2")
        assert self.views(zone, "config/n") == dict.fromkeys(every, "1") | {"-c": "2"}
        zone.ok("svcadm", "refresh", A)
        assert self.views(zone, "config/n") == {
            "running": "2", "-c": "2", "initial": "1", "last-import": "1", "start": "1",
        }  # fmt: skip
        zone.ok("svcadm", "restart", A)
        zone.wait(lambda: self.views(zone, "config/n")["start"] == "2")
        zone.ok("svccfg", "-s", "site/a", "setprop config/n = 1")
        zone.service("a", "sleep 1000 &", tail=tail(3))
        assert self.views(zone, "config/n") == {
            "running": "3", "-c": "3", "initial": "1", "last-import": "3", "start": "2",
        }  # fmt: skip

    def test_selected_snapshots_are_read_only_views(self, ready: Zone) -> None:
        ready.ok("svccfg", "-s", "site/a", "setprop config/n = count: 1")
        lines = script("selectsnap initial", "listprop config*", selected=A)
        assert "config/n" not in ready.ok("svccfg", "-f", "-", stdin=lines)

    def test_revert(self, ready: Zone) -> None:
        ready.ok("svccfg", "-s", "site/a", "setprop config/n = count: 1")
        ready.ok("svccfg", "-s", A, "revert initial")
        assert ready.run("svcprop", "-q", "-c", "-p", "config/n", A).returncode == 1
