"""svcprop(1): every option, form of operand, message and exit status."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import CLIENT, PYTHON, Zone
from .services import A

S = "svc:/site/a"
TAIL = """<property_group name="config" type="application">
<propval name="n" type="count" value="5"/><propval name="s" type="astring" value="a b"/>
<property name="void" type="astring"/>
<property name="list" type="astring"><astring_list><value_node value=""/><value_node value="x;y"/>
</astring_list></property></property_group>"""


@pytest.fixture
def ready(zone: Zone) -> Zone:
    zone.service("a", ":true", ":true", "transient", tail=TAIL)
    zone.reaches(A, "online")
    zone.ok("svccfg", "-s", A, "addpg own application")
    zone.ok("svccfg", "-s", A, "setprop own/x = count: 1")
    return zone


GROUP = (
    'config/list astring "" x\\;y\nconfig/n count 5\nconfig/s astring a\\ b\nconfig/void astring \n'
)
FULL = "".join(f"{A}/:properties/{line}\n" for line in GROUP.splitlines())
SAYS = {
    "one property": (["-p", "config/n", A], "5\n"),
    "several values": (["-p", "config/list", A], '"" x\\;y\n'),
    "no value": (["-p", "config/void", A], "\n"),
    "two properties": (["-p", "config/n", "-p", "config/s", A], "5\na\\ b\n"),
    "-t": (["-t", "-p", "config/n", A], "config/n count 5\n"),
    "-t without a value": (["-t", "-p", "config/void", A], "config/void astring \n"),
    "-f": (["-f", "-p", "config/n", A], f"{A}/:properties/config/n count 5\n"),
    "-v": (["-v", "-p", "config/n", A], "5\n"),
    "-q": (["-q", "-p", "config/n", A], ""),
    "a group": (["-p", "config", A], GROUP),
    "a group -f": (["-f", "-p", "config", A], FULL),
    "mixed": (["-p", "config/n", "-p", "config", A], "config/n count 5\n" + GROUP),
    "two entities": (
        ["-p", "config/n", A, S],
        f"{A}/:properties/config/n count 5\n{S}/:properties/config/n count 5\n",
    ),
    "-c": (["-c", "-p", "own/x", A], "1\n"),
    "-C": (["-C", "-p", "own/x", A], "1\n"),
    "-C general": (["-C", "-p", "general/enabled", A], "true\n"),
    "-s": (["-s", "initial", "-p", "config/n", A], "5\n"),
    "-s, a volatile group": (["-s", "start", "-p", "restarter/state", A], "online\n"),
    "of a service": (["-p", "config/n", S], "5\n"),
    "abbreviation": (["-p", "config/n", "a:default"], "5\n"),
    "pattern": (["-p", "config/n", "*/a:*"], "5\n"),
    "group operand": ([f"{A}/:properties/config"], GROUP),
    "group operand, -p": (["-p", "n", f"{A}/:properties/config"], "5\n"),
    "property operand": ([f"{A}/:properties/config/n"], "5\n"),
    "property operand, -t": (["-t", f"{A}/:properties/config/n"], "config/n count 5\n"),
}  # fmt: skip


def test_output(ready: Zone) -> None:
    for case, (argv, out) in SAYS.items():
        done = ready.run("svcprop", *argv)
        assert (done.returncode, done.stdout, done.stderr) == (0, out, ""), case


def test_everything(ready: Zone) -> None:
    lines = ready.ok("svcprop", A).splitlines()
    assert {"general/enabled boolean true", "restarter/state astring online"} <= set(lines)
    # edited, but not refreshed
    assert not any(line.startswith("own/") for line in lines)
    assert "own/x count 1" in ready.ok("svcprop", "-c", A).splitlines()
    assert "start/exec astring :true" not in ready.ok("svcprop", "-C", A).splitlines()


NO_GROUP = f"Couldn't find property group `no' for instance `{A}'."
NO_PROPERTY = f"Couldn't find property `config/no' for instance `{A}'."
REFUSES = {
    "no group": (["-p", "no", A], 1, NO_GROUP),
    "no group of a property": (["-p", "no/x", A], 1, NO_GROUP),
    "no property": (["-p", "config/no", A], 1, NO_PROPERTY),
    "no property of a service": (
        ["-p", "config/no", S], 1, f"Couldn't find property `config/no' for service `{S}'.",
    ),
    "-q": (["-q", "-p", "config/no", A], 1, ""),
    "-qv": (["-qv", "-p", "config/no", A], 1, NO_PROPERTY),
    "not refreshed": (
        ["-p", "own/x", A], 1, f"Couldn't find property group `own' for instance `{A}'.",
    ),
    "no entity": (["nosuch"], 1, "Pattern 'nosuch' doesn't match any entities"),
    "no entity -q": (["-q", "nosuch"], 1, ""),
    "no such snapshot": (["-s", "later", A], 1, "No such snapshot."),
    "snapshot name": (["-s", "9", A], 1, "Invalid snapshot name."),
    "snapshot of a service": (["-s", "initial", S], 1, "Only instances have snapshots."),
    "component": (["-p", "9/x", A], 2, "Invalid component name `9'."),
    "too many components": (
        ["-p", "a/b", f"{A}/:properties/config"], 2,
        f"-p argument `a/b' has too many components for property group `{A}/:properties/config'.",
    ),
    "wait for an instance": (["-w", A], 2, "Cannot wait for an instance."),
    "wait for a service": (["-w", S], 2, "Cannot wait for a service."),
    "wait for nothing": (["-w", "-p", "no/x", A], 1, "Not found."),
    "wait for no property": (["-w", "-p", "general/no", A], 1, "Not found."),
}  # fmt: skip


def test_refusals(ready: Zone) -> None:
    for case, (argv, code, message) in REFUSES.items():
        done = ready.run("svcprop", *argv)
        line = f"svcprop: {message}\n" if message else ""
        assert (done.returncode, done.stdout, done.stderr) == (code, "", line), case


@pytest.mark.parametrize(
    "argv",
    [[], ["-Cc", A], ["-C", "-s", "initial", A], ["-w", "-c", A], ["-w", "-p", "a/b", A, S],
     ["-w", "-p", "a/b", "-p", "a/c", A], ["-a", A], ["-p"], ["-p", "a/b/c", A],
     ["-p", "config/n", f"{A}/:properties/config/n"]],
)  # fmt: skip
def test_usage(ready: Zone, argv: list[str]) -> None:
    done = ready.run("svcprop", *argv)
    assert done.returncode == 2
    assert "Usage: svcprop [-fqtv] [-C | -c | -s snapshot]" in done.stderr


WAITS = {
    "a property": (["-p", "general/enabled", A], "false\n"),
    "a group": (["-p", "general", A], "general/enabled boolean false\n"),
    "-f": (["-f", "-p", "general/enabled", A],
           f"{A}/:properties/general/enabled boolean false\n"),
    "-q": (["-q", "-p", "general/enabled", A], ""),
    "group operand": ([f"{A}/:properties/general"], "general/enabled boolean false\n"),
    "property operand": ([f"{A}/:properties/general/enabled"], "false\n"),
}  # fmt: skip


def test_waiting(ready: Zone) -> None:
    waiting = {
        case: subprocess.Popen(
            [*PYTHON, CLIENT, "svcprop", "-w", *argv], env=ready.env, stdout=subprocess.PIPE,
            text=True,
        )
        for case, (argv, _out) in WAITS.items()
    }  # fmt: skip
    ready.wait(lambda: connections(ready) == len(waiting))
    assert ready.process is not None
    everybody = [ready.process.pid, *(process.pid for process in waiting.values())]
    # asleep all at once: nobody has anything left to do
    ready.wait(lambda: all(asleep(pid) for pid in 2 * everybody))
    assert all(process.poll() is None for process in waiting.values())
    ready.ok("svcadm", "disable", A)
    for case, process in waiting.items():
        out, _none = process.communicate(timeout=10)
        assert (process.returncode, out) == (0, WAITS[case][1]), case


def asleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def connections(zone: Zone) -> int:
    """Clients whose connection to the door is open."""
    assert zone.process is not None
    links = Path(f"/proc/{zone.process.pid}/fd").iterdir()
    return sum(str(link.readlink()).startswith("socket:") for link in links) - 1
