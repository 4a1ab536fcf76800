"""Snapshots, volumes and the change feed by the `triton` command."""

from __future__ import annotations

import itertools
import json
import re
import select
import subprocess

from embedded.clients.shell import IMAGE, PACKAGE, Shell, eventually


def test_snapshot_is_rolled_back(shell: Shell, web: str) -> None:
    shell.triton("ssh", "web", "echo one >/root/file")
    output = shell.triton("instance", "snapshot", "create", "-w", "-n", "first", "web")
    assert 'Created snapshot "first"' in output
    shell.triton("ssh", "web", "echo two >/root/file; touch /root/more")
    found = shell.triton_json("instance", "snapshot", "get", "web", "first")
    assert (found["name"], found["state"]) == ("first", "created")
    assert "first" in shell.triton("instance", "snapshot", "list", "-H", "-o", "name", "web")
    shell.triton("instance", "stop", "-w", "web")
    shell.triton("instance", "start", "-w", "--snapshot", "first", "web")
    assert shell.triton("ssh", "web", "cat /root/file; ls /root/more; true") == "one\n"
    output = shell.triton("instance", "snapshot", "delete", "-w", "-f", "web", "first")
    assert 'Deleted snapshot "first"' in output


def test_snapshots_refused(shell: Shell, web: str) -> None:
    message = shell.triton_fails(1, "instance", "snapshot", "get", "web", "none")
    assert "(ResourceNotFound): Snapshot does not exist" in message
    message = shell.triton_fails(1, "instance", "snapshot", "delete", "-f", "web", "none")
    assert "none not found" in message
    message = shell.triton_fails(1, "instance", "start", "--snapshot", "none", "web")
    assert "Snapshot does not exist" in message
    shell.triton("instance", "snapshot", "create", "-w", "-n", "twice", "web")
    # the name is judged by the job; `triton` waits for its end and says nothing of it
    before = shell.triton_json("instance", "snapshot", "get", "web", "twice")
    assert before["state"] == "created"
    shell.triton("instance", "snapshot", "create", "-n", "twice", "web")
    eventually(
        lambda: (
            shell.triton_json("instance", "snapshot", "get", "web", "twice")["state"] == "failed"
        )
    )
    shell.triton("instance", "snapshot", "delete", "-w", "-f", "web", "twice")


def test_volume_keeps_what_a_machine_wrote(shell: Shell) -> None:
    output = shell.triton("volume", "create", "-w", "-n", "shelf", "-s", "10G")
    volume = re.findall(r"[0-9a-f-]{36}", output)[0]
    found = shell.triton_json("volume", "get", "shelf")
    assert (found["id"], found["state"], found["size"]) == (volume, "ready", 10240)
    assert "shelf" in shell.triton("volumes", "-H", "-o", "name").split()
    for name, command in (("writer", "echo kept >/data/book"), ("reader", "cat /data/book")):
        options = ["-w", "-n", name, "-v", "shelf:/data", IMAGE, PACKAGE]
        shell.triton("instance", "create", *options)
        printed = shell.triton("ssh", name, command)
        if name == "writer":
            message = shell.triton_fails(1, "volume", "delete", "-f", "shelf")
            assert "is used by" in message
        shell.triton("instance", "delete", "-w", "-f", name)
    assert printed == "kept\n"
    assert "Deleted volume shelf" in shell.triton("volume", "delete", "-w", "-f", "shelf")
    shell.triton_fails(3, "volume", "get", "shelf")


def test_volumes_refused(shell: Shell) -> None:
    message = shell.triton_fails(1, "volume", "create", "-n", "b@d")
    assert "Error: Invalid volume name: b@d. Volume name should match" in message
    assert "size not available" in shell.triton_fails(1, "volume", "create", "-s", "7G")
    assert "10G" in shell.triton("volume", "sizes")
    assert "was found" in shell.triton_fails(1, "volume", "delete", "-f", "nothing")


def test_change_feed(shell: Shell, web: str) -> None:
    """The command never ends by itself; it prints a line for every change."""
    command = [str(shell.clients.modules / ".bin/triton"), "changefeed", "-j", "--instances", web]
    feed = subprocess.Popen(command, env=dict(shell.environment), stdout=subprocess.PIPE, text=True)
    try:
        assert feed.stdout is not None
        numbers = itertools.count()

        def heard() -> object:
            # It does not tell when it is connected, so there is news until it has some.
            shell.triton("instance", "tag", "set", "-w", "web", f"news={next(numbers)}")
            return select.select([feed.stdout], [], [], 1)[0]

        eventually(heard, 90)
        change = json.loads(feed.stdout.readline())
    finally:
        feed.kill()
        feed.communicate()
    shell.triton("instance", "tag", "delete", "-w", "web", "news")
    assert change["changedResourceId"] == web
    assert "tags" in change["changeKind"]["subResources"]
