"""The command line of the embedded data center."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localdc import LocalDCError
from localdc.daemon.options import add_arguments
from localdc.paths import StateDir, read_json, resolve

NOT_RUNNING = "The data center is not running. Start it: python -m localdc start"


def say(text: str) -> None:
    """One line of progress, on stderr."""
    print(f"localdc: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 not possible, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    if options.command == "daemon":
        return _daemon()
    try:
        return int(options.run(resolve(), options))
    except LocalDCError as error:
        print(f"localdc: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of a pipe went away; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localdc",
        description="The embedded data center: CloudAPI and SmartOS-like zones on this machine.",
        epilog="State is kept in $LOCALDC_DIR, else in .localdc of the current directory.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    add_arguments(add("start", _start, "start it, and the machines that ran before"))
    add("stop", _stop, "halt every machine and end it; machines and data stay")
    add("status", _status, "show it and its machines").add_argument(
        "--json", action="store_true", help="for programs"
    )
    add("env", _env, 'print variables for CloudAPI clients: eval "$(python -m localdc env)"')
    add("doctor", _doctor, "try every kernel feature it needs; tell what is real and emulated")
    connect = add("connect", _connect, "connect stdin and stdout to a port of a machine")
    connect.add_argument("host", help="address, name or id of the machine")
    connect.add_argument("port", type=int)
    logs = add("logs", _logs, "show the daemon's log, or that of a service in a machine")
    logs.add_argument("machine", nargs="?", help="name or id of a machine")
    logs.add_argument("service", nargs="?", help="part of a service's log name, e.g. ssh")
    logs.add_argument("-n", "--lines", type=int, default=50, help="how many of the last lines")
    logs.add_argument("-f", "--follow", action="store_true", help="go on showing new lines")
    packages = add("packages", _packages, "fetch packages before a machine asks for them")
    packages.add_argument("names", nargs="*", metavar="NAME", help="such as scipy, or py311-scipy")
    packages.add_argument("--all", action="store_true", help="everything that pkgin avail lists")
    packages.add_argument(
        "--pip", action="store_true", help="NAMEs are requirements for pip in the machines"
    )
    packages.add_argument(
        "--compiled",
        action="store_true",
        help="with --pip: wheels with compiled parts too, which no real machine could install",
    )
    add("purge", _purge, "stop it and remove its state directory with all machines")
    commands.add_parser("daemon", description="the daemon itself; run by start")
    return parser


def _daemon() -> int:
    launcher = None
    if not json.loads(os.environ["LOCALDC_DAEMON"])["options"]["records_only"]:
        # Forked while this process is small and has one thread.
        from localdc.zones.launcher import fork_launcher

        _, launcher = fork_launcher()
    from localdc.daemon.daemon import main as serve

    return serve(launcher)


def _start(paths: StateDir, options: argparse.Namespace) -> int:
    from localdc.commands.starting import start
    from localdc.daemon.options import from_arguments
    from localdc.zones.isolate import IsolationError

    try:
        status = start(paths, say, from_arguments(options))
    except IsolationError as error:
        from localdc.commands import doctor

        print(f"localdc: {error}", file=sys.stderr)
        failed = doctor.failures(paths)
        for check in failed:
            say(f"missing: {check.name}: {check.detail}")
        for remedy in dict.fromkeys(check.remedy for check in failed):
            say(f"-> {remedy}")
        return 1
    running = sum(machine["state"] == "running" for machine in status["machines"])
    say(f"running: {len(status['machines'])} machines, {running} of them up")
    print(status["url"])
    return 0


def _stop(paths: StateDir, _: argparse.Namespace) -> int:
    from localdc.commands.stopping import stop

    say("stopped" if stop(paths, say) else "not running")
    return 0


def _purge(paths: StateDir, _: argparse.Namespace) -> int:
    from localdc.commands.purge import purge
    from localdc.commands.stopping import stop

    stop(paths, say)
    purge(paths)
    say(f"{paths.root} removed")
    return 0


def _packages(paths: StateDir, options: argparse.Namespace) -> int:
    from localdc.commands import packages

    if bool(options.names) == options.all or (options.all and options.pip):
        raise LocalDCError("Name packages, or give --all: python -m localdc packages scipy pandas")
    if options.compiled and not options.pip:
        raise LocalDCError("--compiled goes with --pip: packages of pkgsrc always have all parts")
    paths.prepare()
    if options.pip:
        packages.fetch_wheels(paths, options.names, say, options.compiled)
    else:
        made = packages.fetch(paths, options.names, options.all, say)
        say(f"there now: {' '.join(made) or 'nothing was missing'}")
    return 0


def _status(paths: StateDir, options: argparse.Namespace) -> int:
    from localdc.commands import report

    status = report.fetch(paths)
    if status is None:
        print(report.as_json({"running": False}) if options.json else NOT_RUNNING)
        return 1
    print(report.as_json(status) if options.json else report.as_table(status))
    return 0


def _env(paths: StateDir, _: argparse.Namespace) -> int:
    from localdc.access import environment
    from localdc.commands.stopping import find_process

    descriptor = read_json(paths.datacenter)
    if descriptor is None or find_process(paths) is None:
        raise LocalDCError(NOT_RUNNING)
    for name, value in environment(paths, descriptor).items():
        print(f"export {name}={shlex.quote(value)}")
    if str(paths.commands) not in os.environ.get("PATH", "").split(os.pathsep):
        print(f'export PATH={shlex.quote(str(paths.commands))}:"$PATH"')
    if not Path("~/.ssh").expanduser().is_dir():
        say("the triton command needs ~/.ssh to exist, even empty, so these lines make it")
        print('mkdir -p -m 700 "$HOME/.ssh"')
    return 0


def _doctor(paths: StateDir, _: argparse.Namespace) -> int:
    from localdc.commands import doctor

    return doctor.run(paths)


def _connect(paths: StateDir, options: argparse.Namespace) -> int:
    from localdc.commands import connect

    return connect.main(str(paths.control), options.host, str(options.port))


def _logs(paths: StateDir, options: argparse.Namespace) -> int:
    path = paths.log if options.machine is None else _zone_log(paths, options)
    if not path.exists():
        raise LocalDCError(f"There is no {path} yet.")
    with path.open(errors="replace") as file:
        print("".join(deque(file, max(0, options.lines))), end="", flush=True)
        while options.follow:
            line = file.readline()
            if line:
                print(line, end="", flush=True)
            else:
                time.sleep(0.2)
    return 0


def _zone_log(paths: StateDir, options: argparse.Namespace) -> Path:
    zones = [read_json(path) for path in sorted(paths.zones.glob("*/zone.json"))]
    names = {zone["alias"]: zone["uuid"] for zone in zones if zone}
    wanted: str = options.machine
    found: list[str] = [u for alias, u in names.items() if alias == wanted or u.startswith(wanted)]
    if len(found) != 1:
        known = ", ".join(sorted(names)) or "none"
        raise LocalDCError(f"No machine, or more than one, is {wanted!r}; there are: {known}.")
    place = paths.zones / found[0]
    if options.service is None:
        return place / "console.log"
    logs = sorted((place / "root/var/svc/log").glob("*.log"))
    matching = [path for path in logs if options.service in path.stem.replace(":default", "")]
    exact = [path for path in matching if path.stem == options.service]
    if len(exact or matching) != 1:
        known = ", ".join(path.stem for path in matching or logs)
        raise LocalDCError(f"Which service is {options.service!r}? There are: {known}.")
    return (exact or matching)[0]
