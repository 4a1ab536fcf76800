"""Where an interpreter has its parts.  Run as a program, by the interpreter in question."""

from __future__ import annotations

import json
import platform
import sys
import sysconfig


def describe() -> dict[str, str]:
    """The interpreter behind the running one, not counting virtual environments."""
    base = {"installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix}
    return {
        "base_prefix": sys.base_prefix,
        "base_exec_prefix": sys.base_exec_prefix,
        "platlibdir": sys.platlibdir,
        "stdlib": sysconfig.get_path("stdlib", "posix_prefix", vars=base),
        "release": platform.python_version(),
        "build": sys.version,
        "abi": str(sysconfig.get_config_var("SOABI")),
    }


if __name__ == "__main__":
    print(json.dumps(describe()))
