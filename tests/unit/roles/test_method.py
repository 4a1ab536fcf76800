"""The method script, with a repository and a Python that only record."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from .method_zone import MethodZone
from .shells import SHELLS

KEY = "0b7f8a52-5ac5b3a0e5c54b0f9a1b"

# Fails as often as $FAKE/failures has lines, each time with the next of them; what it prints before
# that is not for a log.
FAILING_SVCPROP = """#!/bin/sh
if [ -s "$FAKE/failures" ]; then
    echo "config/exec_key astring half-a-key"
    sed -n 1p "$FAKE/failures" >&2
    sed 1d "$FAKE/failures" >"$FAKE/failures.new"
    mv "$FAKE/failures.new" "$FAKE/failures"
    exit 1
fi
case $2 in config) cat "$FAKE/config" ;; esac
"""
# Runs the script's own probe, and records what would be the controller.
PROBING_PYTHON = """#!/bin/sh
case $1 in -I) exec PYTHON "$@" ;; *) "$FAKE/recorder" "$@" ;; esac
"""


@pytest.fixture
def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(params=SHELLS)
def zone(request: pytest.FixtureRequest, tmp_path: Path, method: Path) -> MethodZone:
    return MethodZone(tmp_path, method, request.param)


def test_an_engine_gets_all_it_needs_from_url_and_key(zone: MethodZone) -> None:
    zone.configure(
        url="tcp://10.99.0.5:20000", exec_key=KEY, profile="engine", timeout="60", args="--a=1 --b"
    )
    done = zone.run("engine")
    assert done.returncode == 0, done.stderr
    file = zone.ipython_dir / "profile_engine" / "security" / "engine.json"
    assert zone.arguments() == [
        str(zone.root / "engine.py"),
        "--profile=engine",
        f"--IPEngine.url_file={file}",
        "--timeout=60",
        "--a=1",
        "--b",
    ]
    info = json.loads(file.read_text())
    assert info["interface"] == "tcp://10.99.0.5"
    assert info["key"] == KEY
    names = ["registration", "control", "mux", "task", "iopub", "hb_ping", "hb_pong"]
    assert [info[name] for name in names] == list(range(20000, 20007))
    assert info["broadcast"] == [20007, 20008]


def test_the_key_is_in_no_argument_and_no_environment(zone: MethodZone) -> None:
    zone.configure(url="tcp://10.99.0.5:20000", exec_key=KEY, profile="engine", timeout="60")
    done = zone.run("engine")
    recorded = [(zone.root / name).read_text() for name in ("arguments", "environment")]
    assert all(KEY not in text for text in (*recorded, done.stdout, done.stderr))
    files = [path for path in zone.ipython_dir.rglob("*") if path.is_file()]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"url": "tcp://", "exec_key": KEY}, "config/url is 'tcp://'; set it to"),
        ({"url": "", "exec_key": KEY}, "config/url is ''; set it to"),
        ({"url": "tcp://10.0.0.1", "exec_key": KEY}, "config/url is 'tcp://10.0.0.1'; set it to"),
        ({"url": "tcp://10.0.0.1:20000x", "exec_key": KEY}, "is 'tcp://10.0.0.1:20000x'; set it"),
        ({"url": "tcp://10.0.0.1:08", "exec_key": KEY}, "is 'tcp://10.0.0.1:08'; set it to"),
        ({"url": "tcp://:20000", "exec_key": KEY}, "config/url is 'tcp://:20000'; set it to"),
        ({"url": "tcp://10.0.0.1:20000", "exec_key": ""}, "config/exec_key is empty"),
    ],
)
def test_what_is_not_configured_leads_to_maintenance_at_once(
    zone: MethodZone, config: dict[str, str], message: str
) -> None:
    zone.configure(**config)
    done = zone.run("engine")
    assert done.returncode == 96
    assert message in done.stderr


def test_values_are_read_as_svcprop_escapes_them(zone: MethodZone) -> None:
    args = "--Session.note=a;b&(c)|\"d\"'e' --x=1\\2"
    zone.configure(url="tcp://h:1", exec_key=KEY, profile="p", timeout="5", args=args)
    zone.run("engine")
    assert zone.arguments()[4:] == args.split(" ")


def test_arguments_are_no_patterns(zone: MethodZone) -> None:
    zone.configure(url="tcp://h:1", exec_key=KEY, profile="p", timeout="5", args="/*")
    zone.run("engine")
    assert zone.arguments()[4:] == ["/*"]


@pytest.mark.parametrize("instance", ["engine", "controller"])
def test_a_repository_that_fails_twice_is_asked_again(zone: MethodZone, instance: str) -> None:
    """svc.configd starts anew (illumos, cmd/svc/prop/svcprop.c: "Could not connect to ...")."""
    zone.configure(url="tcp://h:1", exec_key=KEY, ip="", profile="p", timeout="5")
    zone.command("svcprop", FAILING_SVCPROP)
    (zone.root / "failures").write_text(2 * "svcprop: Could not connect to repository\n")
    done = zone.run(instance, instance=instance)
    # the controller comes as far as its address, which it has not
    assert done.returncode == (0 if instance == "engine" else 96), done.stderr
    assert (zone.root / "failures").read_text() == ""
    assert "half-a-key" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        ("svcprop: Could not connect to repository server: no resources.", 1, "no resources"),
        ("Permission denied.", 96, "solaris.smf.read.ipyparallel granted"),
        ("Couldn't find property group `config' for instance `x'.", 96, "svccfg import"),
    ],
)
def test_only_what_no_waiting_mends_is_for_good(
    zone: MethodZone, error: str, status: int, message: str
) -> None:
    zone.command("svcprop", FAILING_SVCPROP)
    (zone.root / "failures").write_text(100 * f"{error}\n")
    done = zone.run("engine")
    assert (done.returncode, message in done.stderr) == (status, True), done.stderr
    assert "half-a-key" not in done.stdout + done.stderr


@pytest.mark.parametrize("instance", ["engine", "controller"])
def test_the_limit_of_descriptors_is_the_highest(zone: MethodZone, instance: str) -> None:
    zone.configure(url="tcp://h:1", exec_key=KEY, ip="127.0.0.1", port="1", timeout="5")
    zone.command("recorder", '#!/bin/sh\nulimit -S -n >"$FAKE/limit"\n')
    zone.command("python", PROBING_PYTHON.replace("PYTHON", sys.executable))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    zone.preexec = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    zone.run(instance, instance=instance)
    assert (zone.root / "limit").read_text() == f"{hard}\n"


def test_messages_keep_their_backslashes(zone: MethodZone) -> None:
    zone.configure(url="tcp://a\\cb", exec_key=KEY)
    assert "config/url is 'tcp://a\\cb'; set it to" in zone.run("engine").stderr


@pytest.mark.parametrize(
    ("instance", "program"),
    [("engine", "engine.py"), ("controller", "heartbeat.py"), ("controller", "next_id.py")],
)
def test_a_service_without_its_programs(zone: MethodZone, instance: str, program: str) -> None:
    zone.configure(url="tcp://h:1", exec_key=KEY, ip="127.0.0.1", port="1")
    (zone.root / program).unlink()
    done = zone.run(instance, instance=instance)
    assert (done.returncode, f"{program}: run site.yml again" in done.stderr) == (96, True)


def stop(zone: MethodZone, program: str) -> int:
    """Run the stop method on a program; return how the program ended."""
    with subprocess.Popen(["sh", "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.read(1), "the program says when it is ready"
        (zone.root / "start_pid").write_text(f"{process.pid}\n")
        reaper = threading.Thread(target=process.wait)
        reaper.start()
        assert zone.run("stop").returncode == 0
        reaper.join(10)
        return process.wait(0)


def test_stop_asks_the_engine_to_end(zone: MethodZone) -> None:
    assert stop(zone, "echo ready; exec sleep 60") == -signal.SIGTERM


def test_stop_insists(zone: MethodZone) -> None:
    assert stop(zone, "trap '' TERM; echo ready; exec sleep 60") == -signal.SIGKILL


# Behaves as illumos' own towards a contract in which a process ignores TERM: cmd/svc/shell.
SMF_INCLUDE = """
smf_kill_contract() {
    echo "$@" >>"$FAKE/killed"
    [ "$2" = KILL ] || return 2
}
"""


def test_what_a_computation_left_is_killed_in_the_end(zone: MethodZone) -> None:
    (zone.root / "smf_include.sh").write_text(SMF_INCLUDE)
    stop(zone, "echo ready; exec sleep 60")
    first, second = (zone.root / "killed").read_text().splitlines()
    # smf_kill_contract CONTRACT SIGNAL WAIT TIMEOUT
    assert first.split()[:3] == ["42", "TERM", "1"] and second.split()[:2] == ["42", "KILL"]
    # with what the engine itself may take it must end within the method's time of 60 s
    assert 10 + 1 + sum(int(line.split()[3]) for line in (first, second)) < 50


def test_the_nanny_is_waited_for_though_pgrep_sees_but_79_characters(zone: MethodZone) -> None:
    """illumos, cmd/pgrep: -f looks at pr_psargs, of PRARGSZ (80) bytes with the last one zero."""
    real = shutil.which("pgrep")
    zone.command("pgrep", f"#!/bin/sh\n[ $1 = -f ] || [ $3 = -f ] && exit 1\nexec {real} $@\n")
    # it says goodbye half a second after its parent has gone
    nanny = "sleep 0.5; echo gone >$FAKE/nanny"
    (zone.root / "smf_include.sh").write_text(
        'smf_kill_contract() { cp "$FAKE/nanny" "$FAKE/seen" 2>/dev/null; }\n'
    )
    os.environ["FAKE"] = str(zone.root)
    try:
        stop(zone, f"sh -c 'trap \"\" TERM; {nanny}' & echo ready; exec sleep 60")
    finally:
        del os.environ["FAKE"]
    assert (zone.root / "seen").read_text() == "gone\n"


def test_an_engine_that_has_gone_is_stopped(zone: MethodZone) -> None:
    (zone.root / "start_pid").write_text("")
    assert zone.run("stop").returncode == 0


def restart(zone: MethodZone, address: str) -> subprocess.CompletedProcess[str]:
    """Start the controller after an earlier one that listened at 127.0.0.1:1 and knew engine 3."""
    profile = zone.ipython_dir / "profile_default"
    for directory in ("security", "log"):
        (profile / directory).mkdir(parents=True, exist_ok=True)
    info = {"interface": "tcp://127.0.0.1", "registration": 1, "key": KEY}
    (profile / "security" / "ipcontroller-engine.json").write_text(json.dumps(info, indent=2))
    state = {"engines": {"3": "uuid"}, "next_id": 0}
    (profile / "log" / "engines.json").write_text(json.dumps(state))
    (zone.root / "python").write_text(PROBING_PYTHON.replace("PYTHON", sys.executable))
    zone.configure(ip=address, port="1", profile="default", timeout="5")
    return zone.run("controller", instance="controller")


def test_a_restarted_controller_keeps_ids_apart(zone: MethodZone) -> None:
    shutil.copy(zone.root / "python", zone.root / "recorder")
    restart(zone, "127.0.0.1")
    state = json.loads((zone.ipython_dir / "profile_default" / "log" / "engines.json").read_text())
    assert state == {"engines": {"3": "uuid"}, "next_id": 4}
    assert "--ports=16-18" in zone.arguments(), "the other ports come from the files"


def test_a_controller_at_a_new_address_begins_anew(zone: MethodZone) -> None:
    shutil.copy(zone.root / "python", zone.root / "recorder")
    done = restart(zone, "127.0.0.2")
    assert "new connection files" in done.stdout
    assert not list(zone.ipython_dir.rglob("*.json"))
    assert "--ports=1-18" in zone.arguments()


def test_a_controller_that_ends_at_once_is_a_failure(zone: MethodZone) -> None:
    zone.configure(ip="127.0.0.1", port="1", profile="default", timeout="5")
    shutil.copy(zone.root / "python", zone.root / "recorder")
    (zone.root / "python").write_text(PROBING_PYTHON.replace("PYTHON", sys.executable))
    done = zone.run("controller", instance="controller")
    assert done.returncode == 1
    assert "ended before it was listening on 127.0.0.1:1" in done.stderr
    arguments = zone.arguments()
    assert "--ports=1-18" in arguments
    assert "--IPController.client_ip=127.0.0.1" in arguments
    assert "--restore" in arguments


# Only what a client sees of a controller: its port, and whether there is a heartbeat on it.
CONTROLLER = """
import sys, time, zmq
heart = zmq.Context().socket(zmq.PUB if sys.argv[1] == "beats" else zmq.ROUTER)
heart.bind("tcp://127.0.0.1:" + sys.argv[2])
while True:
    if sys.argv[1] == "beats":
        heart.send(b"1.0")
    time.sleep(0.05)
"""


@pytest.mark.parametrize(
    ("heart", "status", "message"), [("beats", 0, ""), ("hangs", 1, "its heart does not beat")]
)
def test_a_controller_is_up_when_its_heart_beats(
    zone: MethodZone, heart: str, status: int, message: str, free_port: int
) -> None:
    zone.configure(ip="127.0.0.1", port=str(free_port - 5), profile="default", timeout="3")
    (zone.root / "controller.py").write_text(CONTROLLER)
    (zone.root / "python").write_text(
        "#!/bin/sh\n"
        f'case $1 in -I) exec {sys.executable} "$@" ;; esac\n'
        'echo $$ >"$FAKE/pid"\n'
        f'exec {sys.executable} "$FAKE/controller.py" {heart} {free_port} >/dev/null 2>&1\n'
    )
    try:
        done = zone.run("controller", instance="controller")
        assert done.returncode == status, done.stderr
        assert message in done.stderr
    finally:
        pid = int((zone.root / "pid").read_text())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_machine_without_address_cannot_be_controller(zone: MethodZone) -> None:
    zone.configure(ip="", port="20000", profile="default")
    done = zone.run("controller", instance="controller")
    assert done.returncode == 96
    assert "set config/ip" in done.stderr


def test_usage(zone: MethodZone) -> None:
    assert zone.run("restart").returncode == 95
