"""What svcadm and svccfg only ask for, and svc.startd's graph thread does a moment later.

Sources: illumos, cmd/svc/svccfg/svccfg_libscf.c (a refresh sets restarter_actions/refresh) and
cmd/svc/startd/graph.c (process_actions goes by time stamps; the running snapshot is made there).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from localdc.smartos.smf.bundle.manifest import load
from localdc.smartos.smf.door import Door

from .conftest import BEGIN, HEADER, PYTHON, Zone, service
from .services import A

# a busy machine may take the moment away, though not each time
TRIES = 20


@pytest.fixture
def door(zone: Zone) -> Iterator[Door]:
    """Requests without a process around them, which would take longer than the graph thread."""
    yield Door(str(zone.door))


def test_the_running_snapshot_is_made_later(zone: Zone, door: Door) -> None:
    zone.service("a", enabled=False, tail=CONFIG)
    late = 0
    for number in map(str, range(TRIES)):
        values = {"group": "config", "name": "x", "type": "astring", "values": [number]}
        door.call("setprop", fmri="svc:/site/a", **values)
        door.call("action", fmri=A, verb="refresh")
        late += zone.prop(A, "config/x") != number
        # svcprop -c sees it at once
        assert door.groups(A, "current", "config")["config"].props["x"].values == (number,)
        zone.wait(lambda n=number: zone.prop(A, "config/x") == n)  # type: ignore[misc]
    assert late > 0


CONFIG = """<property_group name="config" type="application">
<propval name="x" type="astring" value="none"/></property_group>"""


def test_what_is_asked_after_a_refresh_comes_after_it(
    zone: Zone, door: Door, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    zone.service("a", f"sh -c 'echo 0 >>{out}'", ":true", "transient")
    zone.reaches(A, "online")
    for number in range(1, 6):
        value = f"sh -c 'echo {number} >>{out}'"
        start = {"group": "start", "name": "exec", "type": "astring", "values": [value]}
        door.call("setprop", fmri="svc:/site/a", **start)
        door.call("action", fmri=A, verb="refresh")
        door.call("action", fmri=A, verb="restart")
        wanted = list(map(str, range(number + 1)))
        zone.wait(lambda w=wanted: len(out.read_text().split()) == len(w))  # type: ignore[misc]
        assert out.read_text().split() == wanted
        zone.reaches(A, "online")


def test_an_import_is_seen_later(zone: Zone, door: Door, tmp_path: Path) -> None:
    unseen = 0
    for number in range(TRIES):
        file = tmp_path / "m.xml"
        text = service(f"s{number}", enabled=False)
        file.write_text(f"{HEADER}{text}</service_bundle>")
        door.call("import", bundle=load(str(file)))
        fmri = f"svc:/site/s{number}:default"
        unseen += zone.state(fmri) == "-"
        # harmless: it is disabled
        door.call("action", fmri=fmri, verb="restart")
        zone.reaches(fmri, "disabled")
    assert unseen > 0


def test_enable_s_waits_for_an_instance_that_is_not_seen_yet(zone: Zone, tmp_path: Path) -> None:
    for number in range(3):
        file = tmp_path / "m.xml"
        file.write_text(f"{HEADER}{service(f's{number}', enabled=False)}</service_bundle>")
        assert zone.run("svccfg", "import", str(file)).returncode == 0
        done = zone.run("svcadm", "enable", "-s", f"site/s{number}")
        assert (done.returncode, done.stderr) == (0, "")
        assert zone.state(f"svc:/site/s{number}:default") == "online"


@pytest.mark.parametrize(("verb", "enabled"), [("enable", True), ("disable", False)])
def test_s_ends_where_nothing_is_to_be_done(zone: Zone, verb: str, enabled: bool) -> None:
    zone.service("a", ":true", ":true", "transient", enabled=enabled)
    zone.service("b", enabled=False)
    zone.reaches(A, "online" if enabled else "disabled")
    # in one process: the refresh of another instance must still be outstanding
    code = (
        f"{BEGIN}from localdc.smartos.smf import door; import sys; "
        "from localdc.smartos.smf.commands import svcadm; "
        "door.connect().call('action', fmri='svc:/site/b:default', verb='refresh'); "
        "sys.exit(svcadm.main(door.connect, sys.argv[1:]))"
    )
    for _ in range(TRIES):
        argv = [*PYTHON, code, verb, "-s", A]
        done = subprocess.run(argv, env=zone.env, timeout=60, check=False)
        assert done.returncode == 0


def test_nothing_that_was_asked_for_is_lost_in_a_halt(zone: Zone, door: Door) -> None:
    zone.service("a", enabled=False, tail=CONFIG)
    values = {"group": "config", "name": "x", "type": "astring", "values": ["last"]}
    door.call("setprop", fmri="svc:/site/a", **values)
    door.call("action", fmri=A, verb="refresh")
    assert zone.stop() == 0
    zone.start()
    assert zone.prop(A, "config/x") == "last"


def test_a_deleted_instance_is_passed_over(zone: Zone, door: Door) -> None:
    zone.service("a", enabled=False)
    zone.service("b", enabled=False)
    for fmri in (A, "svc:/site/b:default"):
        door.call("action", fmri=fmri, verb="refresh")
    door.call("delete", fmri="svc:/site/a")
    zone.wait(lambda: "Rereading configuration." in zone.lines("svc:/site/b:default"))
    assert not (zone.root / "var/svc/log/svc.startd.log").exists()
