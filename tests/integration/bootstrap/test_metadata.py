"""Machines that configure themselves are those that are configured over SSH."""

from __future__ import annotations

import re

import pytest

from smartdc.config import resolve

from ..cluster.playbooks import REPOSITORY, Cluster, eventually

ENGINE = "svc:/pkgsrc/ipyparallel:engine"
CONTROLLER = "svc:/pkgsrc/ipyparallel:controller"
SECURITY = "/opt/local/share/ipython/profile_default/security"

# What a boot, a running process or a login leaves behind differs between any two machines.
FILES = r"""find / -xdev \( -path /proc -o -path /tmp -o -path /var/tmp -o -path /var/svc
-o -path /usr -o -path /opt/.pkgsrc
-o -path /etc/svc -o -path /system -o -path /dev -o -path /root/.ansible
-o -path '*/profile_*/pid' -o -path '*/profile_*/log' -o -path /var/log -o -path /var/run \)
-prune -o -printf '%M %u:%g %p %l\n' | sort""".replace("\n", " ")
PROPERTIES = (
    f"svcprop -c {ENGINE} {CONTROLLER} | grep -E '/properties/|config/|general/|startd/|/exec' "
    "| grep -v -e config/url -e config/exec_key | sort"
)
ASPECTS = {
    "packages": "pkg_info | sort; readlink /opt/local/libexec/ipyparallel/python3",
    "files": FILES,
    "contents": "cd /opt/local; cksum lib/svc/manifest/* lib/svc/method/*; cksum /etc/user_attr",
    "users": "cat /etc/passwd /etc/group /etc/user_attr",
    "properties": PROPERTIES,
    "service": "svccfg export ipyparallel",
    "running": "svcs -H -o state,fmri 'svc:/pkgsrc/ipyparallel:*' | sort",
}


@pytest.mark.parametrize("role", ["controller", "engine"])
@pytest.mark.parametrize("aspect", ASPECTS)
def test_zones_are_alike(by_ssh: Cluster, by_metadata: Cluster, role: str, aspect: str) -> None:
    seen = [cluster.ssh(role, ASPECTS[aspect]) for cluster in (by_ssh, by_metadata)]
    assert len(seen[0].splitlines()) >= 1
    assert seen[0] == seen[1]


def test_a_second_run_changes_nothing(by_metadata: Cluster) -> None:
    again = by_metadata.play("site.yml", engines=1, bootstrap="metadata")
    assert again.total("changed") == 0
    assert f"{by_metadata.name}-engine-001 " not in again.output.split("PLAY RECAP")[1]


def test_the_key_is_metadata_and_in_protected_files_only(by_metadata: Cluster) -> None:
    for role in ("controller", "engine"):
        key = by_metadata.ssh(role, "mdata-get ipython.key").strip()
        assert re.fullmatch("[0-9a-f]{64}", key)
        by_metadata.ssh(role, "umask 077; mdata-get ipython.key | tr -d '\\n' >/root/key")
        assert by_metadata.ssh(role, "cat /var/svc/log/*.log | grep -cFf /root/key; true") == "0\n"
        readable = by_metadata.ssh(
            role,
            "find / -xdev \\( -path /proc -o -path /usr -o -path /opt/.pkgsrc \\) -prune -o "
            "-type f -perm -004 -print0 | xargs -0 grep -lFf /root/key 2>/dev/null; true",
        )
        assert readable == ""
        assert key not in by_metadata.ssh(role, "cat /proc/[0-9]*/cmdline")
        by_metadata.ssh(role, "rm /root/key")
    assert by_metadata.ssh("controller", f"stat -c '%a %U' {SECURITY}/ipcontroller.key") == (
        "600 ipython\n"
    )
    script = (by_metadata.directory / "engine-boot.sh").read_text()
    assert key not in script
    output = by_metadata.play("site.yml", "-vvv", "--diff", engines=1, bootstrap="metadata").output
    assert key not in output


def test_the_other_way_is_refused_with_advice(by_ssh: Cluster, by_metadata: Cluster) -> None:
    wrong = by_ssh.play("site.yml", engines=1, bootstrap="metadata", check=False)
    assert wrong.code
    assert "was made with bootstrap=ssh" in wrong.output
    wrong = by_metadata.play("site.yml", engines=1, bootstrap="ssh", check=False)
    assert wrong.code
    assert "was made with bootstrap=metadata" in wrong.output


def test_an_engine_made_by_hand_joins(by_metadata: Cluster) -> None:
    known = next(m for m in by_metadata.machines.values() if m["tags"]["role"] == "engine")
    connection = resolve(env=by_metadata.data_center.env, cwd=REPOSITORY).connect()
    script = (by_metadata.directory / "engine-boot.sh").read_text()
    metadata = {key: known["metadata"][key] for key in ("ipython.url", "ipython.key")}
    machine = connection.create_machine(
        name="by-hand",
        package="sample-512M",
        image=known["image"],
        metadata={**metadata, "user-script": script},
    )
    try:
        with by_metadata.client() as client:
            ids = eventually("two engines", lambda: client.ids if len(client.ids) == 2 else None)
            assert client[ids].apply_sync(sum, [1, 2]) == [3, 3]
    finally:
        machine.delete()


def test_growing_and_shrinking(by_metadata: Cluster) -> None:
    grown = by_metadata.play("site.yml", engines=3, bootstrap="metadata")
    assert "3 engine(s) ready" in grown.output
    shrunk = by_metadata.play("site.yml", engines=1, bootstrap="metadata")
    assert "1 engine(s) ready" in shrunk.output
    assert len(by_metadata.machines) == 2


def test_an_address_that_is_known_beforehand(scratch: Cluster) -> None:
    address = "10.99.3.200"
    made = scratch.play(
        "site.yml",
        engines=1,
        bootstrap="metadata",
        machine_networks="external,internal",
        controller_address=address,
    )
    assert "1 engine(s) ready" in made.output
    assert "Address for the engines" not in made.output.split("skipping")[0]
    controller = scratch.machines[f"{scratch.name}-controller"]
    assert address in controller["ips"]
