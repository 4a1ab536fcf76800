"""Fabric networks and machines on them, for tests."""

from __future__ import annotations

from typing import Any

from smartdc import DataCenter, Machine

from embedded.center import IMAGE, PACKAGE, Center, eventually

SUBNET = "192.168.77"
# One line of JSON for each target, then the end: `mdata-put` shows it through the API.
SCRIPT = """\
#!/bin/sh
for target in {targets}; do
    perl -MIO::Socket::INET -e '
        my $peer = IO::Socket::INET->new(PeerAddr => $ARGV[0], Timeout => 3);
        print $peer ? "yes " : "no ";
    ' "$target"
done > /tmp/reached
getent hosts {name} | head -1 | cut -d" " -f1 >> /tmp/reached
mdata-put reached "$(cat /tmp/reached)"
"""


class Fabrics:
    """Makes fabric networks and machines on them alone, and takes them away again."""

    def __init__(self, center: Center) -> None:
        self.center = center
        self._undo: list[tuple[DataCenter, str]] = []
        self._machines: list[Machine] = []

    def network(self, api: DataCenter, vlan: int, subnet: str = SUBNET, **more: Any) -> str:
        """subnet: the first three numbers of its addresses; those of an account do not overlap."""
        vlans = "fabrics/default/vlans"
        api.request("POST", vlans, data={"vlan_id": vlan, "name": f"vlan{vlan}"})
        self._undo.append((api, f"{vlans}/{vlan}"))
        wanted = {
            "name": f"net{vlan}",
            "subnet": f"{subnet}.0/24",
            "provision_start_ip": f"{subnet}.10",
            "provision_end_ip": f"{subnet}.99",
            "gateway": f"{subnet}.1",
            "resolvers": ["100.64.0.1"],
            **more,
        }
        made, _ = api.request("POST", f"{vlans}/{vlan}/networks", data=wanted)
        assert isinstance(made, dict)
        self._undo.append((api, f"{vlans}/{vlan}/networks/{made['id']}"))
        return str(made["id"])

    def machine(self, api: DataCenter, name: str, network: str, *targets: str) -> Machine:
        """A machine that tries to reach the targets (ADDRESS:PORT) at its first boot."""
        script = SCRIPT.format(
            targets=" ".join(targets), name="alpha.inst.localdc.localdc.triton.local"
        )
        metadata = {"user-script": script} if targets else {}
        made = api.create_machine(name, PACKAGE, image=IMAGE, networks=[network], metadata=metadata)
        self._machines.append(made)
        made.poll_until("running", interval=0.3, timeout=120)
        made.refresh()
        return made

    def reached(self, machine: Machine) -> list[str]:
        found = eventually(lambda: machine.get_metadata().get("reached"), 60)
        return str(found).split()

    def clear(self) -> None:
        self.center.delete(*self._machines)
        for api, path in reversed(self._undo):
            api.request("DELETE", path)
