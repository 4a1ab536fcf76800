"""What may not import what: the product the embedded data center, the client the face of 2013.

Nor do modules of smartdc import each other in a circle.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    *("smartdc", "library", "module_utils", "plugins", "roles", "playbooks", "inventory"),
    *("tools", "examples", "benchmarks"),
)


def programs(*folders: str) -> Iterator[Path]:
    """Files in Python, whatever their names."""
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*")):
        if path.suffix == ".py" or (path.is_file() and not path.suffix and is_python(path)):
            yield path


def is_python(path: Path) -> bool:
    with path.open("rb") as file:
        return b"python" in file.readline()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that a file imports, at whatever depth."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield node.lineno, str(first.value)


def found(paths: Iterable[Path], module: str) -> list[str]:
    """FILE:LINE of the imports of a module or of what is in it."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for line, name in imports(path)
        if f"{name}.".startswith(f"{module}.")
    ]


def test_the_product_does_not_import_the_embedded_data_center() -> None:
    assert not (wrong := found(programs(*FOLDERS), "localdc")), "\n".join(wrong)


def test_the_client_does_not_import_the_interface_of_2013() -> None:
    own = [ROOT / "smartdc/compat", ROOT / "smartdc/__init__.py"]
    client = [p for p in programs("smartdc") if not {p, *p.parents} & set(own)]
    assert len(client) > 10
    assert not (wrong := found(client, "smartdc.compat")), "\n".join(wrong)


def test_no_circle_in_the_client() -> None:
    files = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in programs("smartdc")}
    graph = {
        name: {module for _, found in imports(path) for module in (found, origin(found))}
        & set(files)
        for name, path in files.items()
    }
    graph = {name: needed & set(files) for name, needed in graph.items()}
    assert graph["smartdc.client"] >= {"smartdc.raw", "smartdc.transport"}
    TopologicalSorter(graph).prepare()


def test_no_circle_in_what_modules_share() -> None:
    files = {
        "ansible." + ".".join(p.relative_to(ROOT).with_suffix("").parts): p
        for p in programs("module_utils")
        if p.stem != "__init__"
    }
    graph = {
        name: {module for _, found in imports(path) for module in (found, origin(found))}
        & set(files)
        for name, path in files.items()
    }
    assert graph["ansible.module_utils.sdc.info"] >= {"ansible.module_utils.sdc.base"}
    TopologicalSorter(graph).prepare()


def test_no_test_imports_another_test() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in programs("tests")
        for line, name in imports(path)
        if any(part.startswith("test_") for part in name.split("."))
    ]
    assert not wrong, "\n".join(wrong)


def origin(name: str) -> str:
    """The module of a name in it."""
    return name.rpartition(".")[0]


@pytest.mark.parametrize(
    "line",
    [
        "import localdc",
        "import os, localdc.api.app as app",
        "from localdc import commands",
        "def f():\n    from localdc.api import app",
        "importlib.import_module('localdc.commands')",
    ],
)
def test_an_import_is_found(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "plugins" / "wrong.py"
    path.parent.mkdir()
    path.write_text(f"import localdcx\n{line}\n")
    at = 2 + line.count("\n")
    assert [hit.split(" ")[0] for hit in found([path], "localdc")] == [f"plugins/wrong.py:{at}"]
    path.write_text("from ..compat import Machine\nfrom . import compat\n")
    assert found([path], "compat") == ["plugins/wrong.py:1 imports compat.Machine"]
    assert found([path], "plugins.compat") == ["plugins/wrong.py:2 imports plugins.compat"]
