"""The house has floors: what imports what, read from the sources."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
TESTS = Path(__file__).parents[1]
SECTION = chr(0xA7)
TEST_FILES = {path.stem for path in TESTS.rglob("test_*.py")}
ALLOWED = ("localdc", "cryptography", "dns", "packaging", "pyroute2", "starlette", "uvicorn")
"""What localdc is made of, beside the standard library; wsproto is uvicorn's."""


def modules() -> dict[str, Path]:
    found = {}
    for path in SOURCES.rglob("*.py"):
        name = ".".join(path.relative_to(SOURCES).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(name: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything that a module imports, wherever it does so."""
    path = MODULES[name]
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield node.lineno, inner if inner in MODULES else base


def edges(name: str) -> set[str]:
    """The modules of this house that a module imports."""
    return {target for _, target in imported(name) if target in MODULES and target != name}


def room(name: str) -> str:
    """The package of a module."""
    return name if MODULES[name].stem == "__init__" else name.rpartition(".")[0]


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    # a package's own __init__ hands names on, and is no part of what it hands on
    graph = {name: edges(name) for name in MODULES}
    assert circle(graph) == []


def test_rooms_have_floors() -> None:
    graph: dict[str, set[str]] = {}
    # what the command line starts with stands above everything
    for name in MODULES.keys() - {"localdc.__main__"}:
        others = {room(target) for target in edges(name)} - {room(name)}
        graph.setdefault(room(name), set()).update(others)
    assert circle(graph) == []


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_of_the_product_is_imported(name: str) -> None:
    wrong = [
        f"{MODULES[name]}:{line} imports {target}"
        for line, target in imported(name)
        if target.partition(".")[0] not in sys.stdlib_module_names
        and target.partition(".")[0] not in (*ALLOWED, "__future__", "_signal", "_socket")
    ]
    assert wrong == []


def test_zones_run_the_standard_library_alone() -> None:
    wrong = [
        f"{path}:{line} imports {target}"
        for name, path in MODULES.items()
        if name.startswith("localdc.smartos")
        for line, target in imported(name)
        if target.partition(".")[0] not in sys.stdlib_module_names
        and not target.startswith("localdc.smartos")
        and target not in ("_signal", "_socket")
    ]
    assert wrong == []


def test_no_test_imports_another_test_file() -> None:
    wrong = [
        f"{path}:{node.lineno}"
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for word in [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        if word in TEST_FILES
    ]
    assert wrong == []


def test_sources_are_named_by_title() -> None:
    """A number of a section says nothing to whoever does not have the same text."""
    numbered = [
        f"{path}:{number}"
        for path in [*SOURCES.rglob("*.py"), *TESTS.rglob("*.py")]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if SECTION in line
    ]
    assert numbered == []
