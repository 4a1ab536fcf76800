"""Programs that crash inside a service: an event of its contract, whoever's children they are."""

from __future__ import annotations

import pytest
from smartdc import Machine

from embedded.center import Center, eventually

Pair = tuple[Machine, Machine]
# a child crashes whenever the file is there, and they are counted
VICTIM = """#!/bin/sh
ulimit -c 0
count=0
while sleep 0.05; do
    [ -e /tmp/crash ] || continue
    rm /tmp/crash
    sh -c 'kill -SEGV $$'
    count=$((count + 1))
    echo $count >/tmp/crashes
done
"""
MANIFEST = """<?xml version="1.0"?>
<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">
<service_bundle type="manifest" name="victim"><service name="site/victim" type="service"
version="1"><create_default_instance enabled="false"/>
<exec_method type="method" name="start" exec="/root/victim" timeout_seconds="60"/>
<exec_method type="method" name="stop" exec=":kill" timeout_seconds="60"/>
<property_group name="startd" type="framework">
<propval name="duration" type="astring" value="child"/>
<propval name="ignore_error" type="astring" value="{}"/>
<propval name="need_session" type="boolean" value="true"/>
</property_group></service></service_bundle>
"""
FMRI = "svc:/site/victim:default"


@pytest.mark.parametrize("ignored", ["", "core,signal"])
def test_a_child_that_crashes(center: Center, pair: Pair, ignored: str) -> None:
    """illumos, cmd/svc/startd/method.c and uts/common/contract/process.c: SIGKILL for the process
    group, the service's own process included, unless startd/ignore_error names it."""
    address = pair[0].public_ips[0]
    doctor = center.run("doctor", check=False).stdout
    if "only those of daemons" in doctor:
        pytest.skip("this host tells nobody of crashes")

    def pid() -> str:
        return center.ssh(address, f"touch /tmp/crash; svcprop -p restarter/start_pid {FMRI}")

    def crashes() -> int:
        return int(center.ssh(address, "cat /tmp/crashes 2>/dev/null || echo 0"))

    files = {"/root/victim": VICTIM, "/root/victim.xml": MANIFEST.format(ignored)}
    for path, text in files.items():
        center.ssh(address, f"cat >{path} <<'END'\n{text}END\nchmod 0755 {path}")
    center.ssh(
        address, f"rm -f /tmp/crash*; svccfg import /root/victim.xml; svcadm enable -s {FMRI}"
    )
    try:
        first = pid()
        # svc.startd is told in the time that it takes to collect the dead, and may be late for one
        eventually(lambda: pid() != first or crashes() >= (3 if ignored else 100))
        assert (pid() == first) == bool(ignored)
        if not ignored:
            log = center.ssh(address, f"cat $(svcs -L {FMRI})")
            assert "Stopping because all processes in service exited." in log
    finally:
        center.ssh(address, f"svcadm disable -s {FMRI}; svccfg delete -f site/victim")


KILLER = """#!/bin/sh
trap '' TERM INT
kill 0
kill -INT 0
"""


def test_a_service_that_signals_its_process_group(center: Center, pair: Pair) -> None:
    """Without need_session that of svc.startd (illumos, cmd/svc/startd/method.c), which init would
    start again (startd.c, die_handler): the zone does not halt."""
    machine = pair[1]
    address = machine.public_ips[0]
    manifest = MANIFEST.format("").replace("victim", "killer").replace("child", "transient")
    files = {"/root/killer": KILLER, "/root/killer.xml": manifest.replace("need_", "no_")}
    for path, text in files.items():
        center.ssh(address, f"cat >{path} <<'END'\n{text}END\nchmod 0755 {path}")
    center.ssh(address, "svccfg import /root/killer.xml")

    def halts() -> int:
        return center.ssh(address, "cat /var/svc/log/svc.startd.log || :").count("coming down")

    before = halts()
    try:
        # sshd may be in the group, and not answer for a moment
        center.ssh(address, "svcadm enable site/killer", check=False)
        eventually(lambda: "online" in center.ssh(address, "svcs -H -o state killer", check=False))
        assert halts() == before
    finally:
        center.ssh(address, "svccfg delete -f site/killer", check=False)
    # and it halts when the data center says so
    machine.stop()
    machine.poll_until("stopped", interval=0.3, timeout=60)
    machine.start()
    machine.poll_until("running", interval=0.3, timeout=60)
    assert halts() == before + 1
