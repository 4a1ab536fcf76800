"""What CPython has on Linux and not on illumos is taken away when a Python of pkgsrc starts.

`sys.platform` stays `linux`, because everything that was built for Linux asks it: pip for the
tags of wheels, sysconfig for the names of extension modules, ctypes and psutil for what to load.
What the system calls can do cannot be taken away here: prctl(2) and abstract sockets by ctypes,
/proc, fork without a reservation of swap.
"""

# no `from __future__`, which would take a fifth of the time that this costs every start
import os
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PROCESSORS = 48
"""os.cpu_count() of a zone is that of the compute node, whatever the cap of its package."""

_ABSENT = {
    "os": (
        "pidfd_open sched_getaffinity sched_setaffinity memfd_create getxattr setxattr listxattr"
        " removexattr unshare setns"
    ),
    "_socket": "SO_PEERCRED SO_PASSCRED SO_REUSEPORT",
    "_signal": "pidfd_send_signal",
    "resource": (
        "prlimit RLIMIT_NPROC RLIMIT_MEMLOCK RLIMIT_RSS RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO"
        " RLIMIT_RTTIME RLIMIT_SIGPENDING"
    ),
}


def _without(module: "ModuleType") -> None:
    for name in _ABSENT[module.__name__].split():
        if hasattr(module, name):
            delattr(module, name)


def _on_sunos(module: "ModuleType") -> None:
    """Let a module alone believe that it is on illumos."""
    own = type(sys)("sys")
    vars(own).update(platform="sunos5", __getattr__=lambda name: getattr(sys, name))
    vars(module)["sys"] = own


# ipykernel/iostream.py redirects the descriptors of standard output on Linux and macOS only
_LATER = {
    "_socket": _without,
    "_signal": _without,
    "resource": _without,
    "ipykernel.iostream": _on_sunos,
}


class _Loader:
    """Loads as the loader of `spec` does, which comes back to its place, and changes the module."""

    def __init__(self, spec: "ModuleSpec", change: "Callable[[ModuleType], None]") -> None:
        assert spec.loader is not None
        self.loader, self.change = spec.loader, change

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        return self.loader.create_module(spec)

    def exec_module(self, module: "ModuleType") -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.change(module)


class _Finder:
    """Finds modules of _LATER, again when they are reloaded; the first of sys.meta_path."""

    @classmethod
    def find_spec(
        cls, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        change = _LATER.get(name)
        if change is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is cls else finder.find_spec(name, path, target)
            if spec is not None:
                spec.loader = _Loader(spec, change)  # type: ignore[assignment]
                return spec
        return None


def _cpu_count() -> int:
    """The number of CPUs of the compute node."""
    return PROCESSORS


for _name in _ABSENT["os"].split():
    for _module in (os, posix):
        if hasattr(_module, _name):
            delattr(_module, _name)
for _name in ("cpu_count", "process_cpu_count"):
    if hasattr(os, _name):
        setattr(os, _name, _cpu_count)
for _name in _LATER:
    if _name in sys.modules:
        _LATER[_name](sys.modules[_name])
sys.meta_path.insert(0, _Finder)
