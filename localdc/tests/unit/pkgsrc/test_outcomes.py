"""Every command of pkgin with every way it can end, beside those in the other modules here.

What each outcome prints and returns follows main.c, actions.c, autoremove.c and pkglist.c of pkgin.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localdc.smartos.pkgsrc import database, linker
from localdc.smartos.pkgsrc.expression import Expression

from .support import Repository, Zone

SOURCES = Path(__file__).parents[3] / "src"
PLAN = "2 packages to delete: \npy311-ipyparallel-9.2.0\npy311-zmq-27.3.0\n"


# search


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^py3[0-9]+-(zmq|six)$", "py311-ZMQ", True),
        ("^py[[:digit:]]{3}-", "py311-zmq", True),
        ("^py[[:digit:]]{4}-", "py311-zmq", False),
        # no escape of Python's: an ordinary d
        (r"py\d", "py311", False),
        (r"\.1", "2.1", True),
        ("zmq$", "py311-zmq-27", False),
        ("", "anything", True),
    ],
)
def test_expressions_are_those_of_the_c_library(pattern: str, text: str, found: bool) -> None:
    assert Expression(pattern).search(text) is found


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "parentheses not balanced"),
        ("a{2,1}", "invalid repetition count(s)"),
        ("a{", "braces not balanced"),
        ("*a", "repetition-operator operand invalid"),
        ("[z-a]", "invalid character range"),
        ("[[:nosuch:]]", "invalid character class"),
        ("a\\", "trailing backslash (\\)"),
    ],
)
def test_a_bad_expression_is_named(zone: Zone, pattern: str, message: str) -> None:
    zone.run("update")
    assert zone.run("search", pattern, status=1) == ""
    assert zone.error == f"pkgin: regcomp: {pattern}: {message}\n"


def test_search_that_finds_nothing_has_no_legend(zone: Zone) -> None:
    zone.run("update")
    for options in ((), ("-p",)):
        text = zone.run(*options, "search", "nosuch", status=1)
        assert (text, zone.error) == ("No results found for nosuch\n", "")


def test_versions_of_one_name_newest_first(zone: Zone, repository: Repository) -> None:
    repository.add("py311-six-1.10", ("lib/x",), [])
    repository.add("py311-six-1.9", ("lib/y",), [])
    zone.run("update")
    names = [line.partition(";")[0] for line in zone.run("-p", "search", "^py311-six$").split("\n")]
    assert names[:3] == ["py311-six-1.10", "py311-six-1.9", "py311-six-1.0"]


# install and upgrade


def test_install_and_upgrade_ask_the_repository_every_time(
    zone: Zone, repository: Repository
) -> None:
    zone.run("update")
    repository.add("fresh-1.0", ("bin/fresh",), [])
    assert zone.run("-y", "install", "fresh").startswith(
        f"processing remote summary ({repository.url})...\ndownloading pkg_summary.xz done.\n"
        "calculating dependencies...done.\n"
    )
    repository.stanzas.pop("fresh-1.0")
    repository.add("fresh-1.1", ("bin/fresh",), [])
    assert "[1/1] upgrading fresh-1.1...\n" in zone.run("-y", "upgrade")
    assert zone.run("-y", "upgrade") == "calculating dependencies...done.\nnothing to do.\n"
    assert zone.run("-y", "full-upgrade").endswith("nothing to do.\n")


def test_plans_that_change_nothing(zone: Zone, repository: Repository) -> None:
    zone.run("-y", "install", "py311-ipyparallel")
    before = (zone.root / "var/db/pkgin/pkgin.db").read_text()
    repository.stanzas.pop("py311-zmq-27.3.0")
    repository.add("py311-zmq-28.0", ("bin/zmq-3.11",), ["python311>=3.11"])
    assert "1 package to upgrade:\npy311-zmq-28.0\n" in zone.run("-n", "upgrade")
    assert zone.run("-n", "remove", "py311-zmq") == PLAN
    text = zone.run("-n", "install", "nosuch", "py311-zmq", status=1)
    assert "py311-zmq-28.0" in text
    assert zone.error == "nosuch is not available in the repository\n"
    assert (zone.root / "var/db/pkgin/pkgin.db").read_text() == before


def test_only_bad_names_and_names_that_are_there(zone: Zone) -> None:
    zone.run("-y", "install", "py311-six")
    text = zone.run("-y", "install", "py311-six", "nosuch", "py311-zmq>=99", status=1)
    assert text.endswith("nothing to do.\n")
    assert zone.error == (
        "nosuch is not available in the repository\n"
        "py311-zmq>=99 is not available in the repository\n"
    )


def test_installing_a_dependency_by_name_keeps_it(zone: Zone) -> None:
    zone.run("-y", "install", "py311-zmq")
    assert zone.run("-y", "install", "python311").endswith("nothing to do.\n")
    assert zone.run("-y", "autoremove") == 'all packages are marked as "keepable"\n.'


def test_nothing_is_installed(zone: Zone) -> None:
    for command in (("-y", "upgrade"), ("-y", "remove", "py311-six")):
        zone.run(*command, status=1)
        assert zone.error == "pkgin: empty local package list.\n"
    assert zone.run("-y", "autoremove") == 'all packages are marked as "keepable"\n.'
    assert zone.run("-p", "list") == ""
    assert zone.error == "Requested list is empty.\n"


# remove, autoremove, keep


def test_remove_one_good_and_one_bad_name(zone: Zone) -> None:
    zone.run("-y", "install", "py311-zmq", "py311-six")
    text = zone.run("-y", "remove", "nosuch", "py311-six", status=1)
    assert text.startswith("no such installed package nosuch\n1 packages to delete: \n  py311-six-")
    zone.info("-qe", "py311-six", status=1)
    text = zone.run("-y", "remove", "nosuch", status=1)
    assert text == "no such installed package nosuch\nno packages to delete\n"


def test_autoremove_asks_and_plans(zone: Zone) -> None:
    zone.run("-y", "install", "py311-ipyparallel")
    zone.run("-y", "remove", "py311-ipyparallel")
    # nobody asked for any of what is left
    assert zone.run("-n", "autoremove") == (
        "3 packages to be autoremoved:\npy311-six-1.0\npy311-zmq-27.3.0\npython311-3.11.7\n"
    )
    zone.info("-qe", "py311-six")
    zone.run("-y", "autoremove")
    assert zone.run("-p", "list") == ""


def test_keep_what_is_not_there_and_twice(zone: Zone) -> None:
    zone.run("-y", "install", "py311-zmq")
    assert zone.run("keep", "nosuch") == "no such installed package nosuch\n"
    assert zone.run("keep", "python311", "py311-zmq") == (
        "marking python311-3.11.7 as non auto-removable\n"
    )
    assert zone.run("keep", "python311") == ""
    assert zone.run("unkeep", "nosuch") == "no such installed package nosuch\n"


def test_dependencies_of_what_is_not_there(zone: Zone) -> None:
    zone.run("update")
    for command in ("show-deps", "show-full-deps", "show-rev-deps"):
        zone.run(command, "nosuch", status=1)
        assert zone.error == "nosuch is not available in the repository\n"


# pkg_info


def test_pkg_info_knows_patterns_and_answers_for_each(zone: Zone) -> None:
    zone.run("-y", "install", "py311-ipyparallel")
    assert zone.info("-e", "py311-[sz]*") == "py311-six-1.0\npy311-zmq-27.3.0\n"
    assert zone.info("-qe", "py311-zmq>=25") == ""
    zone.info("-qe", "py311-zmq>=99", status=1)
    text = zone.info("-qL", "py311-six", "nosuch", status=1)
    assert text.startswith("/opt/local/lib/python3.11/site-packages/")
    assert zone.error == "pkg_info: can't find package `nosuch'\n"
    assert zone.info("-aq").split() == sorted(zone.info("-aq").split())


# kills


class Killed(BaseException):
    """Nothing in pkgin catches this, as nothing catches SIGKILL."""


@pytest.mark.parametrize("command", ["install", "upgrade", "remove"])
def test_a_kill_at_any_step_is_repaired_by_the_next_run(
    tmp_path: Path,
    zone: Zone,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    """The same files and the same packages, wherever the run before was cut off."""
    steps = {"left": -1}

    def counted(module: object, name: str) -> None:
        real = getattr(module, name)

        def step(*arguments: object, **more: object) -> object:
            steps["left"] -= 1
            if steps["left"] == 0:
                raise Killed
            return real(*arguments, **more)

        monkeypatch.setattr(module, name, step)

    for name in ("symlink", "unlink", "rmdir", "makedirs", "replace"):
        counted(linker.os, name)
    words = (command, *(() if command == "upgrade" else ("py311-ipyparallel",)))
    if command != "install":
        zone.run("-y", "install", "py311-ipyparallel")
    if command == "upgrade":
        repository.stanzas.pop("py311-zmq-27.3.0")
        repository.add("py311-zmq-28.0", ("bin/zmq-3.11", "lib/zmq/x"), ["python311>=3.11"])
    start = _copied(zone.root, tmp_path / "start")
    zone.run("-y", *words)
    wanted, packages = _tree(zone.prefix), zone.run("-p", "list")
    for kill in range(1, 500):
        _restored(start, zone.root)
        steps["left"] = kill
        try:
            zone.run("-y", *words)
        except Killed:
            steps["left"] = -1
            zone.run("-y", *words, status=1 if _finished(zone, command) else 0)
            assert (_tree(zone.prefix), zone.run("-p", "list")) == (wanted, packages), kill
            assert not zone.pending()
            continue
        break
    assert 10 < kill < 499


def _finished(zone: Zone, command: str) -> bool:
    """Has the transaction of a removal been announced? Then the next run finds it done."""
    path = zone.root / database.DIRECTORY.lstrip("/") / "pkgin.db"
    text = path.read_text() if path.exists() else ""
    last = text.rpartition("pending\n")[2]
    return command == "remove" and "ipyparallel" not in last


def _copied(source: Path, target: Path) -> Path:
    subprocess.run(["cp", "-a", source, target], check=True)
    return target


def _restored(source: Path, target: Path) -> None:
    subprocess.run(["rm", "-r", target], check=True)
    _copied(source, target)


def _tree(directory: Path) -> set[tuple[str, str]]:
    found = set()
    for path in directory.rglob("*"):
        kind = str(path.readlink()) if path.is_symlink() else "d" if path.is_dir() else "f"
        found.add((str(path.relative_to(directory)), kind))
    return found


# pipes


def test_a_reader_that_goes_away(zone: Zone, repository: Repository) -> None:
    for number in range(2000):
        repository.stanzas[str(number)] = f"PKGNAME=many{number}-1.0\nCOMMENT={'x' * 60}\n"
    repository.publish()
    zone.run("update")
    code = (
        "from localdc.smartos import command; from localdc.smartos.pkgsrc import pkgin; "
        f"command.run(lambda: pkgin.main(root={str(zone.root)!r}))"
    )
    command = [sys.executable, "-c", code, "avail"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=SOURCES,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
