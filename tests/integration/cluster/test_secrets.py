"""The key of the cluster shows up nowhere."""

from __future__ import annotations

import json

from .playbooks import REPOSITORY, Cluster, run

WORLD_READABLE = (
    "find / -xdev \\( -path /proc -o -path /opt/.pkgsrc -o -path /usr \\) -prune -o "
    "-type f -perm -004 -size -2000k -print0 | xargs -0 grep -lF {key} 2>/dev/null; true"
)


def test_the_key_is_in_no_output_process_log_or_public_file(scratch: Cluster) -> None:
    run_ = scratch.play("site.yml", "-vvv", engines=1)
    key = json.loads((scratch.directory / "ipcontroller-client.json").read_text())["key"]
    assert len(key) > 16
    assert key not in run_.output

    again = scratch.play("site.yml", "-vvv", "--diff", engines=1)
    assert key not in again.output

    for role in ("controller", "engine"):
        assert key not in scratch.ssh(role, "cat /proc/[0-9]*/cmdline")
        # grep's own command line would hold the key, so it reads it from a file
        scratch.ssh(role, f"umask 077; printf %s {key} > /root/key")
        assert scratch.ssh(role, "cat /var/svc/log/*.log | grep -cFf /root/key; true") == "0\n"
        found = scratch.ssh(role, WORLD_READABLE.format(key="-f /root/key")).split()
        assert found == [], found
        seen = scratch.ssh(
            role,
            "su www -s /bin/sh -c 'svcprop pkgsrc/ipyparallel; svccfg export "
            "pkgsrc/ipyparallel' 2>&1; true",
        )
        assert key not in seen
        assert key not in scratch.ssh(
            role, "mdata-list; svcprop pkgsrc/ipyparallel:engine >/dev/null; ps -ef"
        )

    mode = (scratch.directory / "ipcontroller-client.json").stat().st_mode & 0o777
    assert mode == 0o600
    tracked = run("git", "grep", "-cF", key, env=scratch.data_center.env, check=False)
    assert tracked.returncode == 1, tracked.stdout
    assert (REPOSITORY / ".gitignore").read_text().count(".cluster")
