"""Machines of other people in the same account, beside every cluster under test.

They carry the same tags, or are called as a machine of the cluster might be, and nothing here
was made by this project: whatever a playbook does to them is a fault.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from smartdc import Gone, NotFound
from smartdc.config import resolve

from .playbooks import FOREIGN, DataCenter, eventually

if TYPE_CHECKING:
    from smartdc import DataCenter as Api

Record = dict[str, Any]
IMAGE = "base-64-lts"

# What a play would leave: services, packages, users, files of the places that it writes to.
LOOK = (
    "svcs -aH -o fmri | sort; pkg_info | sort; cat /etc/passwd /etc/group; "
    "ls -R /opt/local/libexec /opt/custom /var/svc/manifest /root 2>/dev/null; true"
)


def tags_of(cluster: str) -> dict[str, Record]:
    """Tags of the foreign machines, by name, beside a cluster.

    `my-app`: characters that group names do not have become one that they do, so that this
    one's cluster looks like the other's.
    """
    return {
        "accounting-db": {"cluster": cluster, "role": "db"},
        "game-engine": {"cluster": cluster, "role": "engine"},
        "my-app": {"cluster": cluster.replace("_", "-"), "role": "engine", "owner": "my-app"}
        if "_" in cluster
        else {"cluster": f"{cluster}-2", "role": "controller"},
        "ipython-controller": {},
    }


NAMES = frozenset(FOREIGN)


@contextlib.contextmanager
def beside(data_center: DataCenter, cluster: str) -> Iterator[None]:
    """While a cluster is under test, foreign machines have its tags; they stay as they are."""
    with resolve(env=data_center.env, cwd=data_center.state).connect() as api:
        machines = _machines(api)
        _retag(api, machines, tags_of(cluster))
        before = {name: _seen(data_center, api, machine) for name, machine in machines.items()}
        yield
        after = {name: _seen(data_center, api, machine) for name, machine in machines.items()}
        # another cluster may be under test around this one
        _retag(api, machines, {name: machine["tags"] for name, machine in machines.items()})
        for name in machines:
            assert after[name] == before[name], f"{name} is not of {cluster}, and was touched"


def _retag(api: Api, machines: dict[str, Record], tags: dict[str, Record]) -> None:
    for name, machine in machines.items():
        with contextlib.suppress(Gone, NotFound):
            if tags[name]:
                api.replace_tags(machine["id"], tags[name])
            else:
                api.delete_tags(machine["id"])


def _machines(api: Api) -> dict[str, Record]:
    """The foreign machines, made when they are asked for first."""
    found = {str(m["name"]): m for m in api.list_machines() if m["name"] in NAMES}
    fitting = [p for p in api.packages() if p.get("brand") in (None, "joyent")]
    smallest = min(fitting, key=lambda package: int(package["memory"]))
    made = [
        api.create_machine(name, smallest["name"], image=IMAGE)
        for name in sorted(NAMES - found.keys())
    ]
    for machine in made:
        machine.poll_until("running", interval=0.3, timeout=120)
        record = api.get_machine(machine.id)
        found[str(record["name"])] = record
    return found


def _seen(data_center: DataCenter, api: Api, machine: Record) -> tuple[Record, str]:
    """What a client and its owner see of it; nothing when it is not there any more."""
    try:
        now = api.get_machine(machine["id"])
    except (Gone, NotFound):
        return {}, ""
    shown = {name: now[name] for name in ("name", "state", "package", "tags", "metadata", "ips")}
    if now["state"] != "running":
        return shown, ""
    address = str(now["primaryIp"])
    return shown, eventually("ssh to a foreign machine", lambda: data_center.ssh(address, LOOK))
