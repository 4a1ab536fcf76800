"""What a machine does not have, as a real one has not, and what of it can be switched off."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from smartdc import Machine

from embedded.center import Center, eventually
from embedded.fixtures import STORE


@pytest.fixture(scope="module")
def where(pair: tuple[Machine, Machine]) -> str:
    found: str = pair[0].public_ips[0]
    return found


def test_ssh_brings_the_path_of_sshd_and_no_locale(center: Center, where: str) -> None:
    """openssh-portable, defines.h, _PATH_STDPATH; no /etc/default/login of SmartOS sets another."""
    lines = set(center.ssh(where, "env").splitlines())
    assert "PATH=/usr/bin:/bin:/usr/sbin:/sbin" in lines
    assert not [line for line in lines if line.startswith(("LANG=", "LC_"))]


def test_the_client_chooses_the_locale(center: Center, where: str) -> None:
    """illumos-extra, openssh/Patches/0028: LANG and LC_* are accepted by default."""
    command = ["ssh", "-F", str(center.state / "ssh_config"), "-o", "BatchMode=yes"]
    command += ["-o", "SetEnv=LC_TIME=POSIX LANG=C LOCALDC_X=y", where, "env"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"LC_TIME=POSIX", "LANG=C"} <= set(shown)
    assert "LOCALDC_X=y" not in shown


def test_sshd_accepts_as_much_at_once_as_it_does_by_default(center: Center, where: str) -> None:
    """sshd_config(5): MaxStartups 10:30:100, MaxSessions 10."""
    shown = center.ssh(where, "/usr/sbin/sshd -T").splitlines()
    assert {"maxstartups 10:30:100", "maxsessions 10", "logingracetime 300"} <= set(shown)


def test_the_eleventh_session_of_a_connection_is_refused(
    center: Center, where: str, tmp_path: Path
) -> None:
    shared = ["ssh", "-F", str(center.state / "ssh_config"), "-o", "BatchMode=yes"]
    shared += ["-o", f"ControlPath={tmp_path / 'c'}"]
    master = subprocess.Popen([*shared, "-M", "-N", where])
    sessions = []
    try:
        eventually((tmp_path / "c").exists)
        # -o ControlMaster=no alone would open a connection of its own when refused
        alone = [*shared, "-o", "ProxyCommand=false", where]
        for _ in range(10):
            sessions.append(
                subprocess.Popen(
                    [*alone, "echo in; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            )
        assert [session.stdout.readline() for session in sessions if session.stdout] == [
            b"in\n"
        ] * 10
        refused = subprocess.run([*alone, "true"], capture_output=True, text=True, check=False)
        assert refused.returncode == 255, refused.stderr
    finally:
        for process in (*sessions, master):
            process.terminate()
            process.wait()


def test_descriptors_are_few_until_a_program_asks_for_more(center: Center, where: str) -> None:
    """illumos, uts/common/os/param.c, rlim_fd_max; SmartOS, /etc/system, rlim_fd_cur."""
    limits = "ulimit -S -n; ulimit -H -n; ulimit -n $(ulimit -H -n); ulimit -S -n"
    hard = str(min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    assert center.ssh(where, limits).split() == ["1024", hard, hard]
    # and of what SMF starts
    pid = "$(cat /var/run/sshd.pid)"
    line = center.ssh(where, f"grep 'Max open files' /proc/{pid}/limits")
    assert line.split()[3:5] == ["1024", hard]


def test_commands_take_what_those_of_illumos_take(center: Center, where: str) -> None:
    """illumos, cmd/grep/grep.c and so on: the whole table is in tests/unit/image."""
    shown = center.ssh(where, "grep -P x /etc/passwd 2>&1; echo $?; useradd -r x 2>&1; echo $?")
    assert "grep: illegal option -- P\n" in shown
    assert "useradd: illegal option -- r\n" in shown
    assert [line for line in shown.splitlines() if line.isdigit()] == ["2", "2"]
    # what pkgsrc brings on SmartOS is not limited
    assert center.ssh(where, "/opt/local/gnu/bin/grep -cP '^ro+t:' /etc/passwd") == "1\n"


def test_what_commands_start_and_show_in_a_machine(center: Center, where: str) -> None:
    """exec(2) leaves the environment alone; sys/procfs.h, PRARGSZ."""
    assert center.ssh(where, "env -i n=x a.b=y env") == "n=x\na.b=y\n"
    started = "echo 1 | env -i n=x a.b=y xargs find / -maxdepth 0 -exec env \\; -size"
    assert center.ssh(where, started) == "n=x\na.b=y\n"
    long = f"/usr/bin/awk -v x={'y' * 100} 'BEGIN {{ system(\"ps -eo args=\") }}'"
    lines = center.ssh(where, long).splitlines()
    assert [line for line in lines if "awk -v x=yyy" in line]
    assert max(map(len, lines)) <= 79


def test_programs_of_linux_are_not_there(center: Center, where: str) -> None:
    for name in ("readlink", "timeout"):
        assert center.ssh(where, f"command -v {name}; true") == ""
        assert center.ssh(where, f"/opt/local/gnu/bin/{name} --help | head -1").startswith("Usage")


def test_the_shell_is_that_of_illumos_if_the_host_has_it(center: Center, where: str) -> None:
    """illumos: /usr/bin/sh is a link to ksh93 (pkg/manifests/SUNWcs.p5m)."""
    trap = """/bin/sh -c '[ "" -eq 0 ] 2>/dev/null && echo ksh93 || echo other'"""
    wanted = "ksh93" if Path("/usr/bin/ksh93").exists() else "other"
    assert center.ssh(where, trap) == f"{wanted}\n"
    doctor = center.run("doctor", check=False).stdout
    assert (f"/bin/sh of machines is {'ksh93' if wanted == 'ksh93' else 'the host'}") in doctor


STUBBORN = """\
<?xml version='1.0'?>
<!DOCTYPE service_bundle SYSTEM '/usr/share/lib/xml/dtd/service_bundle.dtd.1'>
<service_bundle type='manifest' name='stubborn'>
<service name='site/stubborn' type='service' version='1'>
<create_default_instance enabled='true'/>
<exec_method type='method' name='start' exec='/root/stubborn' timeout_seconds='60'/>
<exec_method type='method' name='stop' exec=':kill' timeout_seconds='60'/>
</service>
</service_bundle>
"""
PROGRAM = """\
#!/bin/sh
if [ -z "$1" ]; then
    env >/root/environment
    /root/stubborn on >/root/signals &
    exit 0
fi
trap 'echo TERM' TERM
while :; do sleep 0.1; done
"""


def test_smf_kill_contract(center: Center, pair: tuple[Machine, Machine]) -> None:
    """illumos, cmd/svc/shell/smf_include.sh: repeats every five seconds, returns 2 at the end."""
    where = pair[1].public_ips[0]
    root = center.state / "zones" / pair[1].id / "root/root"
    (root / "stubborn.xml").write_text(STUBBORN)
    (root / "stubborn").write_text(PROGRAM)
    (root / "stubborn").chmod(0o755)
    center.ssh(where, "svccfg import /root/stubborn.xml")
    eventually(lambda: center.ssh(where, "svcs -H -o state stubborn") == "online\n")
    # as /etc/default/init of SmartOS' images has it
    assert "LANG=C\n" in (root / "environment").read_text()
    contract = center.ssh(where, "svcprop -p restarter/contract stubborn").strip()
    call = ". /lib/svc/share/smf_include.sh; smf_kill_contract"
    try:
        assert center.ssh(where, f"{call} {contract} TERM; echo $?") == "0\n"
        assert center.ssh(where, f"{call} {contract} TERM 0 1; echo $?") == "0\n"
        signals = root / "signals"
        eventually(lambda: signals.read_text().split() == ["TERM"] * 2)
        assert center.ssh(where, f"{call} {contract} TERM 1 6; echo $?") == "2\n"
        assert signals.read_text().split() == ["TERM"] * 4
        assert center.ssh(where, f"{call} no-contract TERM 2>&1; echo $?").splitlines() == [
            'Error, invalid contract "no-contract"',
            "1",
        ]
        center.ssh(where, "svcadm disable stubborn")
        assert center.ssh(where, f"{call} {contract} KILL 1; echo $?") == "0\n"
        assert center.ssh(where, f"{call} {contract} TERM 1; echo $?") == "0\n"
    finally:
        center.ssh(where, "svccfg delete -f stubborn")


def test_python_has_what_it_has_on_illumos(center: Center, where: str) -> None:
    """Whatever starts it: packages of pkgsrc, a virtual environment, Ansible."""
    digits = f"{sys.version_info.major}{sys.version_info.minor}"
    center.ssh(where, f"/opt/local/bin/pkgin -y install python{digits} py{digits}-ipykernel")
    program = f"/opt/local/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    code = (
        "import os, sys, ipykernel.iostream as i; "
        "print(sys.platform, os.cpu_count(), hasattr(os, 'pidfd_open'), i.sys.platform)"
    )
    assert center.ssh(where, f'{program} -c "{code}"') == "linux 48 False sunos5\n"
    environment = f"{program} -m venv --system-site-packages --without-pip /root/venv"
    shown = center.ssh(where, f'{environment} && /root/venv/bin/python -c "{code}"')
    assert shown == "linux 48 False sunos5\n"
    # compiled once, in the layer, like everything that starts often
    why = f"{program} -v -c pass 2>&1 | grep sitecustomize"
    assert "matches" in center.ssh(where, why) or "code object from" in center.ssh(where, why)


def test_what_can_be_switched_off(able: None, tmp_path: Path) -> None:
    """docs/fidelity.md; a wrong name says which there are."""
    generous = Center(tmp_path / "dc", STORE)
    refused = generous.run("start", "--lenient", "kernel", check=False)
    assert refused.returncode == 2
    assert "known: commands, python, shell, all" in refused.stderr
    digits = f"{sys.version_info.major}{sys.version_info.minor}"
    try:
        generous.run("start", "--lenient", "all")
        (machine,) = generous.create("generous")
        where = machine.public_ips[0]
        shown = generous.ssh(where, "echo x | grep -P x && readlink /bin/sh && timeout 5 echo y")
        assert shown.split() == ["x", str(Path("/usr/bin/sh").readlink()), "y"]
        generous.ssh(where, f"/opt/local/bin/pkgin -y install python{digits}")
        program = f"/opt/local/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        code = "import os; print(hasattr(os, 'pidfd_open'), os.cpu_count())"
        own = f"{hasattr(os, 'pidfd_open')} {os.cpu_count()}\n"
        assert generous.ssh(where, f'{program} -c "{code}"') == own
    finally:
        generous.run("purge", check=False)
