"""Methods (smf_method(7)): what is executed, with which tokens, context and environment."""

from __future__ import annotations

import os

from .. import fmri as fmris
from ..model import Groups, SmfError, number
from ..quoting import shell_quote
from .context import SHARED, resolve
from .logs import stamp
from .run import Method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
else:
    # without the enumerations of the module around it
    pass
if TYPE_CHECKING:
    from typing import NoReturn

    from .instance import Instance

    Other = Callable[[str], Groups | None]

EXIT_NODAEMON = 94
EXIT_FATAL = 95
EXIT_CONFIG = 96
EXIT_DEGRADE = 97
EXIT_NOSMF = 99
EXIT_PERM = 100
# of the child that could not become the shell
EXIT_EXEC = 10
# these send the instance to maintenance at once (method.c)
FATAL_EXITS = (EXIT_FATAL, EXIT_CONFIG, EXIT_NOSMF, EXIT_PERM)
DEFAULT_PATH = "/usr/sbin:/usr/bin"
_SHELLS = ("/sbin/sh", "/bin/sh")


def load(instance: Instance, name: str, groups: Groups, other: Other) -> Method | None:
    """The method `name` of an instance from its composed configuration; None where it has none.

    `other` gives the configuration of other entities, for tokens that name a property of them.
    Raises SmfError with the log line where tokens or context are wrong.
    """
    group = groups.get(name)
    if group is None or group.type != "method":
        return None
    command = group.first("exec")
    if command is None:
        return None
    expanded = expand(command.strip(), instance.fmri, name, groups, other)
    seconds = number(group.first("timeout_seconds", "0"))
    if seconds is None:
        raise SmfError(f"Method property '{name}/timeout_seconds' is not a number.")
    # an old "-1" is without limit, too, and as a count it is (uint64_t)-1
    method = Method(name, expanded, seconds if 0 <= seconds < 2**63 else 0)
    if method.kind == "exec":
        method.context = resolve(name, expanded, group, groups.get(SHARED))
    return method


def absent(name: str, groups: Groups) -> str:
    """The log line for a method that `load` does not find."""
    if name in groups and groups[name].type == "method":
        # with one quotation mark, as svc.startd writes it
        return f"Method property '{name}/exec is not present."
    if name == "refresh":
        return "No 'refresh' method defined.  Treating as :true."
    return f"Method property group '{name}' is not present."


def _nothing(_fmri: str) -> None:
    return None


def expand(command: str, fmri: str, method: str, groups: Groups, other: Other = _nothing) -> str:
    """Replace the method tokens in `command` (expand.c of svc.startd)."""
    service, instance = fmris.split(fmri)
    tokens = {"%": "%", "r": "svc.startd", "m": method, "s": service, "i": instance or "",
              "f": fmri}  # fmt: skip

    def view(entity: str) -> Groups | None:
        return groups if entity in (fmri, fmris.service_of(fmri)) else other(entity)

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
            out.append(_property(command, command[percent + 2 : end], fmri, view))
            position = end + 1
        elif token in tokens and token:
            out.append(tokens[token])
            position = percent + 2
        else:
            raise _bad(command, f'unknown method token "%{token}"')


def _bad(command: str, why: str) -> SmfError:
    return SmfError(f'Could not expand method tokens in "{command}": {why}.')


def _property(command: str, token: str, own: str, view: Other) -> str:
    separator = " "
    path = token
    if token[-1:] in (",", ":"):
        path, separator = token[:-1], token[-1]
    owner, mark, name = path.rpartition("/:properties/")
    group, slash, prop = name.partition("/")
    if not slash:
        group, prop = "application", name
    groups = view(fmris.normalise(owner) if mark else own) or {}
    found = groups.get(group)
    if found is None or prop not in found.props:
        raise _bad(command, f'property "{path}" not found')
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
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(self.log, 1)
        os.dup2(self.log, 2)
        self._say(f'Executing {self.method.name} method ("{self.method.command}").')
        if self.session:
            os.setsid()
        self._enter()
        shell = next((path for path in _SHELLS if os.access(path, os.X_OK)), _SHELLS[-1])
        environment = self._environment(extra)
        os.umask(0o022)
        command = f"exec {self.method.command}"
        try:
            os.execve(shell, [_SHELLS[0], "-c", command], environment)
        except OSError as error:
            line = f"Failed to exec {_SHELLS[0]} -c '{command}': {error.strerror}\n"
            os.write(2, line.encode("utf-8", "surrogateescape"))
            os._exit(EXIT_EXEC)

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

    @staticmethod
    def _say(message: str) -> None:
        """A line in the log, by the open descriptor: the user may not open it any more."""
        line = f"[ {stamp()} {message} ]\n"
        try:
            os.write(2, line.encode("utf-8", "replace"))
        except OSError:
            # a full disk stops no method
            return

    def _fail(self, message: str) -> NoReturn:
        for line in ("svc.startd could not set context for method: ", message):
            self._say(line)
        os._exit(EXIT_CONFIG)

    def _enter(self) -> None:
        context = self.method.context
        if context.uid is not None:
            self._become(context.uid)
        try:
            os.chdir(context.directory)
        except OSError as error:
            self._fail(f'chdir: {error.strerror} ("{context.directory}")')

    def _become(self, uid: int) -> None:
        context = self.method.context
        if os.getuid() == uid and uid != 0:
            return
        if context.groups is None and context.user is None:
            self._fail("Missing passwd entry for user.")
        # the call that a failure is reported by
        call = "setregid"
        try:
            os.setregid(context.gid, context.gid)
            call = "setgroups"
            if context.groups is None:
                call = "initgroups"
                os.initgroups(context.user or "", context.gid)
            else:
                os.setgroups(context.groups)
            call = "setreuid"
            os.setreuid(uid, uid)
        except OSError as error:
            os.write(2, f"{call}: {error.strerror}\n".encode())
            os._exit(EXIT_CONFIG)
