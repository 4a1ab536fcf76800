"""Methods (smf_method(7)): what is executed, with which tokens, context and environment."""

from __future__ import annotations

import os

from . import fmri as fmris
from .logs import stamp
from .model import Groups, SmfError
from .quoting import shell_quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
else:
    # without the enumerations of the module around it
    import _signal as signal
if TYPE_CHECKING:
    from typing import NoReturn

    from .contracts import Contract
    from .instance import Instance
    from .loop import Timer

EXIT_NODAEMON = 94
EXIT_FATAL = 95
EXIT_CONFIG = 96
EXIT_DEGRADE = 97
EXIT_NOSMF = 99
EXIT_PERM = 100
# these send the instance to maintenance at once (method.c)
FATAL_EXITS = (EXIT_FATAL, EXIT_CONFIG, EXIT_NOSMF, EXIT_PERM)
DEFAULT_PATH = "/usr/sbin:/usr/bin"
_SHELLS = ("/sbin/sh", "/bin/sh")
_CONTEXT = ("environment", "working_directory", "user", "profile", "project", "resource_pool")


class Method:
    """A method as it will run: ``null``, ``kill`` with ``signal``, or ``exec`` with ``command``."""

    __slots__ = ("command", "context", "kind", "name", "signal", "timeout")

    def __init__(self, name: str, command: str, timeout: int, context: Context) -> None:
        self.name = name
        self.command = command
        # seconds, 0 without limit
        self.timeout = timeout
        self.context = context
        self.signal = _kill_signal(command)
        self.kind = "null" if command == ":true" else "kill" if self.signal else "exec"


class Context:
    """Method context: credential, directory and environment, as the properties give them."""

    __slots__ = ("directory", "environment", "group", "groups", "profile", "user")

    def __init__(self, props: Mapping[str, tuple[str, ...]]) -> None:
        def first(name: str) -> str | None:
            values = props.get(name)
            return values[0] if values else None

        self.user = first("user")
        self.group = first("group")
        self.groups = first("supp_groups")
        self.profile = first("profile")
        self.directory = first("working_directory")
        self.environment = props.get("environment", ())


class Run:
    """A method that is being run for an instance, until its result is known."""

    __slots__ = (
        "auxiliary", "contract", "draining", "error", "event", "kind", "method", "pid", "started",
        "timed_out", "timer",
    )  # fmt: skip

    def __init__(self, kind: str, event: str, auxiliary: str | None) -> None:
        # start, stop or refresh
        self.kind = kind
        # what dependents are told when it is done: none, restart, error, refresh
        self.event = event
        self.auxiliary = auxiliary
        self.method: Method | None = None
        self.pid = 0
        self.contract: Contract | None = None
        self.draining = False
        self.started = 0.0
        self.timed_out = False
        self.timer: Timer | None = None
        self.error: str | None = None


def _kill_signal(command: str) -> int:
    words = command.split()
    if not words or words[0] != ":kill":
        return 0
    name = words[1].lstrip("-") if len(words) > 1 else "TERM"
    if name.isdigit():
        return int(name)
    number = getattr(signal, "SIG" + name.removeprefix("SIG"), None)
    return int(number) if number is not None else 0


def load(instance: Instance, name: str, groups: Groups) -> Method | None:
    """The method `name` of an instance from its composed configuration; None where it has none.

    Raises SmfError with the log line where tokens or context are wrong.
    """
    group = groups.get(name)
    if group is None or group.type != "method":
        return None
    command = group.first("exec")
    if command is None:
        return None
    expanded = expand(command.strip(), instance.fmri, name, groups)
    if expanded.startswith(":") and expanded != ":true" and not _kill_signal(expanded):
        raise SmfError(f'Invalid method "{expanded}".')
    seconds = int(group.first("timeout_seconds") or "0")
    source = group
    if not any(prop in group.props for prop in _CONTEXT) and "method_context" in groups:
        source = groups["method_context"]
    props = {key: prop.values for key, prop in source.props.items()}
    # (uint64_t)-1 is how an old "-1" without limit is stored
    return Method(name, expanded, seconds if seconds < 2**63 else 0, Context(props))


def expand(command: str, fmri: str, method: str, groups: Groups) -> str:
    """Replace the method tokens in `command` (expand.c of svc.startd)."""
    service, instance = fmris.split(fmri)
    tokens = {"%": "%", "r": "svc.startd", "m": method, "s": service, "i": instance or "",
              "f": fmri}  # fmt: skip
    out: list[str] = []
    position = 0
    while True:
        percent = command.find("%", position)
        if percent < 0:
            return "".join([*out, command[position:]])
        out.append(command[position:percent])
        token = command[percent + 1 : percent + 2]
        if token == "{":
            end = command.find("}", percent)
            if end < 0:
                raise _bad(command, "unterminated property token")
            out.append(_property(command, command[percent + 2 : end], fmri, groups))
            position = end + 1
        elif token in tokens and token:
            out.append(tokens[token])
            position = percent + 2
        else:
            raise _bad(command, f'unknown method token "%{token}"')


def _bad(command: str, why: str) -> SmfError:
    return SmfError(f'Could not expand method tokens in "{command}": {why}.')


def _property(command: str, token: str, fmri: str, groups: Groups) -> str:
    separator = " "
    if token[-1:] in (",", ":"):
        token, separator = token[:-1], token[-1]
    name = token
    if token.startswith("svc:"):
        owner, mark, name = token.partition("/:properties/")
        if not mark or owner not in (fmri, fmris.service_of(fmri)):
            raise _bad(command, f'property "{token}" not found')
    group, slash, prop = name.partition("/")
    if not slash:
        group, prop = "application", name
    found = groups.get(group)
    if found is None or prop not in found.props:
        raise _bad(command, f'property "{token}" not found')
    return separator.join(shell_quote(value) for value in found.props[prop].values)


def start_path(command: str) -> str | None:
    """The absolute path of the program that a command runs, if it names one."""
    words = command.split(None, 1)
    return words[0] if words and words[0].startswith("/") else None


class Launcher:
    """Runs in the forked child: enter the context, then become the method. Never returns."""

    def __init__(
        self, instance: Instance, method: Method, base: Mapping[str, str], log: int
    ) -> None:
        self.fmri = instance.fmri
        self.session = instance.session
        self.method = method
        self.base = base
        self.log = log

    def __call__(self, extra: dict[str, str]) -> None:
        if self.session:
            os.setsid()
        else:
            os.setpgid(0, 0)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(self.log, 1)
        os.dup2(self.log, 2)
        self._enter()
        shell = next((path for path in _SHELLS if os.access(path, os.X_OK)), _SHELLS[-1])
        environment = self._environment(extra)
        os.umask(0o022)
        os.execve(shell, [_SHELLS[0], "-c", f"exec {self.method.command}"], environment)

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        environment = {"PATH": DEFAULT_PATH, **self.base}
        for pair in self.method.context.environment:
            name, equals, value = pair.partition("=")
            if name and equals and not name.startswith("SMF_"):
                environment[name] = value
        environment.update(
            SMF_FMRI=self.fmri, SMF_METHOD=self.method.name, SMF_RESTARTER=fmris.RESTARTER,
            **extra,
        )  # fmt: skip
        return environment

    def _fail(self, message: str, code: int) -> NoReturn:
        # by the open descriptor: the user may not open the log any more
        for line in ("svc.startd could not set context for method: ", message):
            os.write(2, f"[ {stamp()} {line} ]\n".encode("utf-8", "replace"))
        os._exit(code)

    def _enter(self) -> None:
        context = self.method.context
        home = "/"
        if context.user is not None or context.profile is not None:
            home = self._credential(context)
        directory = context.directory
        if directory in (":default", None):
            directory = ":home" if context.user or context.profile else "/"
        if directory == ":home":
            directory = home
        try:
            os.chdir(directory)
        except OSError as error:
            self._fail(f'chdir: {error.strerror} ("{directory}")', EXIT_CONFIG)

    def _credential(self, context: Context) -> str:
        import pwd

        user = context.user or "root"
        try:
            if user == ":default":
                entry = pwd.getpwuid(os.getuid())
            elif user.isdigit():
                entry = _by_id(int(user))
            else:
                entry = pwd.getpwnam(user)
        except KeyError:
            self._fail("Missing passwd entry for user.", EXIT_CONFIG)
        gid = entry.pw_gid
        if context.group not in (None, ":default"):
            gid = self._gid(context.group or "")
        if os.getuid() == entry.pw_uid and os.getuid() != 0:
            return entry.pw_dir
        try:
            if context.groups in (None, ":default"):
                os.initgroups(entry.pw_name, gid)
            else:
                words = (context.groups or "").replace(",", " ").split()
                os.setgroups([self._gid(word) for word in words])
            os.setgid(gid)
            os.setuid(entry.pw_uid)
        except OSError as error:
            self._fail(f"setuid: {error.strerror}", EXIT_CONFIG)
        return entry.pw_dir

    def _gid(self, name: str) -> int:
        import grp

        if name.isdigit():
            return int(name)
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            self._fail(f'Missing group entry for "{name}".', EXIT_CONFIG)


def _by_id(uid: int) -> Passwd:
    import pwd

    return pwd.getpwuid(uid)


if TYPE_CHECKING:
    from pwd import struct_passwd as Passwd
