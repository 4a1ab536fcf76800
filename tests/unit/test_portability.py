"""What runs on the user's computer: it may be one with macOS, which has no /proc."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("library", "module_utils", "plugins", "smartdc", "inventory", "playbooks")
PROGRAMS = sorted(
    file.relative_to(ROOT) for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")
)
LINUX_FILES = ("/proc", "/sys/")
# of os, signal, socket and select
LINUX_NAMES = frozenset(
    (
        *("O_PATH", "O_TMPFILE", "pidfd_open", "pidfd_send_signal", "memfd_create", "eventfd"),
        *("setns", "unshare", "sched_getaffinity", "sched_setaffinity", "getxattr", "splice"),
        *("SO_PEERCRED", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "AF_NETLINK", "AF_PACKET", "epoll"),
    )
)


def of_linux_only(text: str) -> Iterator[str]:
    """Strings and names of a program that only Linux understands, and where; not its docstrings."""
    tree = ast.parse(text)
    said = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            if any(file in node.value for file in LINUX_FILES):
                yield f"{node.lineno}: {node.value!r}"
        elif isinstance(node, ast.Attribute) and node.attr in LINUX_NAMES:
            yield f"{node.lineno}: {node.attr}"


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_nothing_of_linux_only(program: Path) -> None:
    assert list(of_linux_only((ROOT / program).read_text())) == []


def test_what_is_of_linux_only_is_found() -> None:
    text = """
def end(pid):
    '''Look into /proc.'''
    state = open(f"/proc/{pid}/stat").read()
    return os.pidfd_open(pid), "process", socket.AF_UNIX
"""
    assert sorted(of_linux_only(text)) == ["4: '/proc/'", "5: pidfd_open"]
