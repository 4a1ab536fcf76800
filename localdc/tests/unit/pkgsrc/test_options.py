"""pkgin's options and the commands that only tell: formats and exit codes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localdc.smartos.pkgsrc import pkgin

from .support import Repository, Zone


def test_no_command_and_unknown_ones(zone: Zone) -> None:
    for arguments in ((), ("frobnicate",), ("-Z", "list"), ("-l",)):
        zone.run(*arguments, status=1)
        assert "Usage: pkgin [-46dfhnPpVvy]" in zone.error
    assert zone.run("-h").startswith("Usage: pkgin ")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("search", "missing search string"),
        ("in", "specify at least one package to install"),
        ("rm", "specify at least one package to remove"),
        ("keep", "specify at least one package to keep"),
        ("unkeep", "specify at least one package to unkeep"),
        ("show-deps", "missing package name"),
        ("sfd", "missing package name"),
        ("import", "missing file name"),
        ("show-category", "missing category"),
    ],
)
def test_a_missing_argument(zone: Zone, command: str, message: str) -> None:
    zone.run(command, status=1)
    assert zone.error == f"pkgin: {message}\n"


def test_y_and_n_the_last_one_counts(zone: Zone) -> None:
    zone.run("-y", "-n", "install", "py311-zmq")
    zone.info("-qe", "py311-zmq", status=1)
    zone.run("-n", "-y", "install", "py311-zmq")
    zone.info("-qe", "py311-zmq")


@pytest.mark.parametrize(("answer", "installed"), [("y\n", 0), ("\n", 0), ("n\n", 1), ("", 1)])
def test_the_question(
    zone: Zone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str, installed: int
) -> None:
    (tmp_path / "answer").write_text(answer)
    with (tmp_path / "answer").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert "proceed ? [Y/n] " in zone.run("install", "py311-zmq")
    zone.info("-qe", "py311-zmq", status=installed)


def test_list_by_status(zone: Zone, repository: Repository) -> None:
    zone.run("-l", "=", "list")
    assert zone.error == "empty local package list.\n"
    zone.run("-y", "install", "py311-zmq")
    repository.add("py311-zmq-28.0", ("bin/zmq-3.11",), ["python311>=3.11"])
    zone.run("update")
    assert zone.run("-l", "<", "list") == "py311-zmq-28.0 <     Comment of py311-zmq-28.0\n"
    assert zone.run("-p", "-l", "=", "list") == (
        "py311-zmq-27.3.0;=;Comment of py311-zmq-27.3.0\n"
        "python311-3.11.7;=;Comment of python311-3.11.7\n"
    )
    assert zone.run("-l", ">", "list") == ""


def test_an_installed_package_that_is_newer(zone: Zone, repository: Repository) -> None:
    zone.run("-y", "install", "py311-zmq")
    repository.stanzas.pop("py311-zmq-27.3.0")
    repository.add("py311-zmq-26.0", ("bin/zmq-3.11",), [])
    zone.run("update")
    assert zone.run("-p", "search", "^py311-zmq$").startswith("py311-zmq-26.0;>;")
    assert zone.run("-y", "upgrade").endswith("nothing to do.\n")


def test_versions_instead_of_globs(zone: Zone) -> None:
    zone.run("update")
    assert zone.run("-P", "sd", "py311-ipyparallel") == (
        "direct dependencies for py311-ipyparallel-9.2.0\n"
        "\tpython311-3.11.7\n\tpy311-zmq-27.3.0\n\tpy311-six-1.0\n"
    )


def test_the_protocol_makes_no_difference(zone: Zone) -> None:
    zone.run("-4", "update")
    zone.run("-6", "-y", "install", "py311-zmq")


def test_a_log_of_what_was_browsed(zone: Zone, tmp_path: Path) -> None:
    log = tmp_path / "browsed"
    zone.run("-y", "-t", str(log), "install", "py311-zmq")
    assert "py311-zmq-27.3.0: python311>=3.11\n" in log.read_text()
    zone.run("-y", "-t", str(tmp_path / "no/log"), "install", "py311-six", status=1)
    assert zone.error == f"pkgin: Couldn't open {tmp_path}/no/log for writing.\n"


def test_chroot(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[str] = []
    monkeypatch.setattr(os, "chroot", entered.append)
    monkeypatch.setattr(os, "chdir", lambda _: None)
    zone.run("-c", "/elsewhere", "list")
    assert entered == ["/elsewhere"]

    def refuse(path: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chroot", refuse)
    zone.run("-c", "/elsewhere", "list", status=1)
    assert zone.error == "pkgin: Unable to chroot\n"


def test_export_and_import(zone: Zone, tmp_path: Path) -> None:
    zone.run("-y", "install", "py311-ipyparallel")
    kept = zone.run("export")
    assert kept == "x/py311-ipyparallel-9.2.0\n"
    (tmp_path / "kept").write_text(kept)
    zone.run("-y", "remove", "python311")
    assert "installing py311-ipyparallel" in zone.run("-y", "import", str(tmp_path / "kept"))
    zone.run("import", str(tmp_path / "nothing"), status=1)
    assert "No such file or directory" in zone.error


def test_categories(zone: Zone, repository: Repository) -> None:
    repository.stanzas["py311-six-1.0"] += "CATEGORIES=lang\n"
    repository.stanzas["py311-zmq-27.3.0"] += "CATEGORIES=net\n"
    repository.publish()
    zone.run("update")
    assert zone.run("show-all-categories") == "lang\nnet\n"
    assert zone.run("show-category", "net") == (
        "py311-zmq-27.3.0     Comment of py311-zmq-27.3.0\n"
    )
    assert zone.run("show-pkg-category", "py311-six") == "lang         - py311-six-1.0\n"


def test_content_and_description(zone: Zone, repository: Repository) -> None:
    repository.stanzas["py311-six-1.0"] += "DESCRIPTION=Both Pythons\nHOMEPAGE=https://six/\n"
    repository.publish()
    zone.run("update")
    content = zone.run("pkg-content", "py311-six")
    assert content.startswith(f"Information for {repository.url}/py311-six-1.0:\n\nFiles:\n")
    assert "/opt/local/lib/python3.11/site-packages/six.py\n" in content
    assert "Description:\nBoth Pythons\n\nHomepage:\nhttps://six/\n" in zone.run(
        "pkg-descr", "py311-six"
    )
    zone.run("pkg-content", "nosuch", status=1)
    assert zone.error == "nosuch is not available in the repository\n"


def test_without_the_right_to_write(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("localdc.smartos.pkgsrc.database.os.makedirs", refuse)
    for command in (("-y", "install", "py311-zmq"), ("update",), ("-y", "remove", "x")):
        zone.run(*command, status=1)
        assert zone.error == f"pkgin: {pkgin.NO_RIGHTS}\n"


def test_a_repository_that_was_removed(zone: Zone, repository: Repository) -> None:
    zone.run("update")
    other = Repository(repository.root.parent / "other")
    other.add("sqlite3-3.47.2", ("bin/sqlite3",), [])
    (zone.prefix / "etc/pkgin/repositories.conf").write_text(f"{other.url}\n")
    assert zone.run("update").splitlines() == [
        f"cleaning database from {repository.url} entries...",
        f"processing remote summary ({other.url})...",
        "downloading pkg_summary.xz done.",
    ]
    assert zone.run("avail") == "sqlite3-3.47.2       Comment of sqlite3-3.47.2\n"


def test_the_first_repository_wins(
    zone: Zone, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repository(repository.root.parent / "other")
    other.add("py311-six-1.0", ("lib/other",), [])
    other.add("only-1.0", ("lib/only",), [])
    monkeypatch.setenv("PKG_REPOS", f"{repository.url} {other.url}")
    zone.run("-y", "install", "only", "py311-six")
    assert "/store/" in str((zone.prefix / "lib/python3.11-site/six.py").readlink())


def test_search_looks_at_comments_and_knows_extended_expressions(zone: Zone) -> None:
    zone.run("update")
    found = zone.run("-p", "search", "COMMENT OF py311-(six|zmq)").splitlines()
    assert [line.partition(";")[0] for line in found[:2]] == ["py311-six-1.0", "py311-zmq-27.3.0"]


def test_pkg_info_of_a_package(zone: Zone) -> None:
    zone.run("-y", "install", "py311-zmq")
    text = zone.info("py311-zmq")
    assert text.startswith(
        "Information for py311-zmq-27.3.0:\n\nComment:\nComment of py311-zmq-27.3.0\n\n"
        "Requires:\npython311>=3.11\n\n"
    )
    assert zone.info("-a") == zone.info()
    assert zone.info("-L", "py311-zmq").startswith("Information for py311-zmq-27.3.0:\n\nFiles:\n")
    assert "Required by:\npy311-zmq-27.3.0\n" in zone.info("-R", "python311")
    assert "Size of this package in bytes:\n2048\n" in zone.info("-s", "py311-zmq")
    for arguments in (("-L",), ("-e",), ("-Q",), ("-X",)):
        zone.info(*arguments, status=1)
        assert "usage: pkg_info" in zone.error
    assert zone.info("-V").strip().isdigit()
