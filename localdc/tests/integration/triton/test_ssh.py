"""`triton ssh` without any option: the `ssh` that `localdc env` puts on PATH knows the machines."""

from __future__ import annotations

import subprocess

from embedded.clients.shell import Shell


def triton_ssh(shell: Shell, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return shell.run(str(shell.clients.modules / ".bin/triton"), "ssh", *arguments, stdin=stdin)


def test_command_stdin_and_exit_status(shell: Shell, web: str) -> None:
    assert shell.triton("ssh", "web", "uname -n; id -un") == "web\nroot\n"
    assert shell.triton("ssh", "root@web", "cat", stdin="through\n") == "through\n"
    assert triton_ssh(shell, "web", "exit 7").returncode == 7


def test_users_own_options_still_count(shell: Shell, web: str) -> None:
    config = shell.environment["SDC_SSH_CONFIG"]
    assert shell.triton("ssh", web, "-F", config, "-o", "BatchMode=yes", "true") == ""


def test_ssh_by_address(shell: Shell, web: str) -> None:
    address = shell.triton("ip", "web").strip()
    assert shell.run("ssh", f"root@{address}", "uname -n").stdout == "web\n"


def test_unknown_machine(shell: Shell) -> None:
    message = shell.triton_fails(3, "ssh", "nothing", "true")
    assert 'no instance with name or short id "nothing" was found' in message


def test_machine_that_is_stopped(shell: Shell, web: str) -> None:
    address = shell.triton("ip", "web").strip()
    shell.triton("instance", "stop", "-w", "web")
    done = triton_ssh(shell, "web", "true")
    shell.triton("instance", "start", "-w", "web")
    assert done.returncode == 255
    assert f"localdc: {address} port 22: No route to host\n" in done.stderr


def test_other_hosts_are_none_of_its_business(shell: Shell) -> None:
    done = shell.run("ssh", "-G", "somewhere.example")
    assert done.returncode == 0
    assert "proxycommand" not in done.stdout
