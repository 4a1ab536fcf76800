"""Machines that configure themselves are those that are configured over SSH."""

from __future__ import annotations

import re

import pytest

from ..cluster.playbooks import Cluster

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
# Every property of both instances but what their restarter keeps, and what the machines are told.
LISTED = "; ".join(
    f"svccfg -s {fmri} listprop | tr -s ' \t' ' ' | grep -v -e NONPERSISTENT -e '^restarter/' "
    "-e '^restarter_actions/' -e '^general_ovr' -e '^config/url' -e '^config/exec_key'"
    for fmri in (ENGINE, CONTROLLER)
)
ASPECTS = {
    "packages": "/opt/local/sbin/pkg_info -a | sort; ls -l /opt/local/libexec/ipyparallel/python3"
    " | sed 's/.*-> //'",
    "files": FILES,
    "contents": "cd /opt/local; cksum lib/svc/manifest/* lib/svc/method/*"
    "; cksum libexec/ipyparallel/*.py /etc/user_attr",
    "users": "cat /etc/passwd /etc/group /etc/user_attr",
    "properties": PROPERTIES,
    "service": "svccfg export ipyparallel",
    "instances": LISTED,
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


KEYED = {
    "controller": {
        "/etc/svc/repository.db",
        f"{SECURITY}/ipcontroller.key",
        f"{SECURITY}/ipcontroller-client.json",
        f"{SECURITY}/ipcontroller-engine.json",
    },
    "engine": {
        "/etc/svc/repository.db",
        "/opt/local/share/ipython/profile_engine/security/engine.json",
    },
}


@pytest.mark.parametrize("role", ["controller", "engine"])
def test_the_key_is_metadata_and_in_protected_files_only(by_metadata: Cluster, role: str) -> None:
    key = by_metadata.ssh(role, "mdata-get ipython.key").strip()
    assert re.fullmatch("[0-9a-f]{64}", key)
    by_metadata.ssh(role, "umask 077; mdata-get ipython.key | tr -d '\\n' >/root/key")
    try:
        # the whole of the zone's own root: logs, /var/db, what is left in /tmp
        holders = by_metadata.ssh(
            role,
            "find / -xdev \\( -path /proc -o -path /usr -o -path /opt/.pkgsrc -o -path /root/key "
            "\\) -prune -o -type f -print0 | xargs -0 grep -lFf /root/key; true",
        )
        found = {re.sub("repository.db-wal$", "repository.db", name) for name in holders.split()}
        assert found <= KEYED[role], "the key is in other files as well"
        assert found & {f"{SECURITY}/ipcontroller.key", *KEYED["engine"]}
        for name in holders.split():
            seen = by_metadata.ssh(role, f"su www -s /bin/sh -c 'cat {name}' 2>&1; true")
            assert "ermission denied" in seen, f"{name} can be read by anybody"
        processes = by_metadata.ssh(
            role, "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | grep -cFf /root/key; true"
        )
        assert processes == "0\n"
        properties = "svcprop ipyparallel; svccfg export ipyparallel; svccfg export -a ipyparallel"
        assert key not in by_metadata.ssh(role, f"su www -s /bin/sh -c '{properties}' 2>&1; true")
    finally:
        by_metadata.ssh(role, "rm /root/key")


def test_the_key_is_in_no_output_and_in_one_file_of_the_user(by_metadata: Cluster) -> None:
    key = by_metadata.ssh("controller", "mdata-get ipython.key").strip()
    output = by_metadata.play("site.yml", "-vvv", "--diff", engines=1, bootstrap="metadata").output
    assert key not in output
    holders = [
        path
        for path in by_metadata.directory.rglob("*")
        if path.is_file() and key in path.read_text(errors="replace")
    ]
    assert [path.name for path in holders] == ["ipcontroller-client.json"]
    assert holders[0].stat().st_mode & 0o777 == 0o600
    assert by_metadata.directory.stat().st_mode & 0o777 == 0o700


def test_the_other_way_is_refused_with_advice(by_ssh: Cluster, by_metadata: Cluster) -> None:
    wrong = by_ssh.play("site.yml", engines=1, bootstrap="metadata", check=False)
    assert wrong.code
    assert "was made with bootstrap=ssh" in wrong.output
    wrong = by_metadata.play("site.yml", engines=1, bootstrap="ssh", check=False)
    assert wrong.code
    assert "was made with bootstrap=metadata" in wrong.output
