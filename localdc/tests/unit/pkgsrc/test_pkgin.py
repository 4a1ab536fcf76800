"""pkgin and pkg_info: what they print, how they exit, and what they leave in /opt/local."""

from __future__ import annotations

from pathlib import Path

import pytest

from localdc.smartos.pkgsrc import linker

from .support import Repository, Zone

LEGEND = (
    "\n=: package is installed and up-to-date\n"
    "<: package is installed but newer version is available\n"
    ">: installed package has a greater version than available package\n"
)


def test_first_use_reads_the_repository(zone: Zone, repository: Repository) -> None:
    text = zone.run("update")
    assert text == (
        f"processing remote summary ({repository.url})...\ndownloading pkg_summary.xz done.\n"
    )
    assert zone.run("update") == f"database for {repository.url} is up-to-date\n"
    assert zone.run("-f", "update").startswith("processing remote summary")


def test_install_prints_the_plan_and_does_it(zone: Zone) -> None:
    zone.run("update")
    text = zone.run("-y", "install", "py311-ipyparallel")
    assert text == (
        "calculating dependencies...done.\n"
        "\n"
        "4 packages to install:\n"
        "  py311-ipyparallel-9.2.0 py311-six-1.0 py311-zmq-27.3.0 python311-3.11.7\n"
        "\n"
        "0 to remove, 0 to refresh, 0 to upgrade, 4 to install\n"
        "0B to download, 8.0K of additional disk space will be used\n"
        "\n"
        "[1/4] installing python311-3.11.7...\n"
        "[2/4] installing py311-zmq-27.3.0...\n"
        "[3/4] installing py311-six-1.0...\n"
        "[4/4] installing py311-ipyparallel-9.2.0...\n"
        "pkg_install warnings: 0, errors: 0\n"
        "reading local summary...\n"
        "processing local summary...\n"
    )
    assert zone.run("-y", "install", "py311-ipyparallel").endswith("nothing to do.\n")


def test_what_is_linked_and_what_is_copied(zone: Zone, repository: Repository) -> None:
    zone.run("-y", "install", "py311-ipyparallel")
    packages = repository.root / "packages"
    python = zone.prefix / "bin/python3.11"
    assert python.is_file() and not python.is_symlink()
    library = zone.prefix / "lib/python3.11"
    assert library.readlink() == packages / "python311-3.11.7/lib/python3.11"
    site = zone.prefix / "lib/python3.11-site"
    assert (site / "zmq").is_symlink() and (site / "zmq/__init__.py").is_file()
    assert (site / "__pycache__").is_dir() and not (site / "__pycache__").is_symlink()
    assert (zone.prefix / "bin/ipengine-3.11").is_symlink()
    assert not any(zone.prefix.rglob("+*"))


def test_one_good_and_one_bad_name(zone: Zone) -> None:
    text = zone.run("-y", "install", "py311-zmq", "nosuch", status=1)
    assert "installing py311-zmq-27.3.0" in text
    assert zone.error == "nosuch is not available in the repository\n"
    zone.info("-qe", "py311-zmq")


def test_only_bad_names(zone: Zone) -> None:
    assert zone.run("-y", "install", "nosuch", status=1).endswith("nothing to do.\n")


def test_plan_only(zone: Zone) -> None:
    text = zone.run("-n", "install", "py311-zmq")
    assert "2 packages to install:\npy311-zmq-27.3.0\npython311-3.11.7\n" in text
    zone.info("-qe", "py311-zmq", status=1)


def test_a_pattern_with_a_version(zone: Zone) -> None:
    zone.run("-y", "install", "python311>=3.11")
    zone.run("-y", "install", "python311>=3.12", status=1)


def test_search(zone: Zone) -> None:
    text = zone.run("search", "^py311-ZMQ$")
    assert text.endswith(f"py311-zmq-27.3.0     Comment of py311-zmq-27.3.0\n{LEGEND}")
    zone.run("-y", "install", "py311-zmq")
    assert zone.run("-p", "search", "^py311-zmq$") == (
        f"py311-zmq-27.3.0;=;Comment of py311-zmq-27.3.0\n{LEGEND}"
    )
    assert zone.run("search", "nosuch", status=1) == "No results found for nosuch\n"
    zone.run("search", "(", status=1)
    assert zone.error.startswith("pkgin: regcomp: (: ")


def test_lists(zone: Zone) -> None:
    assert zone.run("list").endswith("done.\n")
    assert zone.error == "Requested list is empty.\n"
    zone.run("-y", "install", "py311-zmq")
    assert zone.run("list") == (
        "py311-zmq-27.3.0     Comment of py311-zmq-27.3.0\n"
        "python311-3.11.7     Comment of python311-3.11.7\n"
    )
    assert zone.run("-p", "avail").splitlines()[0] == (
        "py311-ipyparallel-9.2.0;Comment of py311-ipyparallel-9.2.0"
    )


def test_version_and_usage(zone: Zone) -> None:
    assert zone.run("-p", "-v").startswith("pkgin 24.")
    zone.run(status=1)
    assert zone.error.startswith("Usage: pkgin ")
    zone.run("-F", "install", "x", status=1)
    zone.run("install", status=1)
    assert zone.error == "pkgin: specify at least one package to install\n"


def test_upgrade(zone: Zone, repository: Repository) -> None:
    zone.run("-y", "install", "py311-ipyparallel")
    repository.stanzas.pop("py311-zmq-27.3.0")
    repository.add(
        "py311-zmq-28.0",
        ("lib/python3.11/site-packages/zmq/__init__.py", "bin/zmq-3.11"),
        ["python311>=3.11"],
    )
    zone.run("update")
    assert "py311-zmq-28.0;<;" in zone.run("-p", "search", "^py311-zmq")
    text = zone.run("-y", "upgrade")
    assert "1 package to upgrade:\n  py311-zmq-28.0\n" in text
    assert "[1/1] upgrading py311-zmq-28.0...\n" in text
    zone.info("-qe", "py311-zmq-27.3.0", status=1)
    site = zone.prefix / "lib/python3.11-site"
    assert "py311-zmq-28.0" in str((site / "zmq").readlink())
    assert not (site / "pyzmq-27.3.0.dist-info").is_symlink()
    assert "py311-zmq-28.0" in zone.run("show-no-keep")


def test_remove_takes_dependents_along(zone: Zone) -> None:
    zone.run("-y", "install", "py311-ipyparallel")
    text = zone.run("-y", "remove", "py311-zmq")
    assert text.startswith(
        "2 packages to delete: \n  py311-ipyparallel-9.2.0 py311-zmq-27.3.0\n\n"
        "[1/2] removing py311-ipyparallel-9.2.0...\n"
    )
    assert not (zone.prefix / "bin/ipengine-3.11").is_symlink()
    assert not (zone.prefix / "share/jupyter").exists()
    assert zone.run("-y", "remove", "nosuch", status=1).startswith("no such installed package")


def test_autoremove_and_keep(zone: Zone) -> None:
    zone.run("-y", "install", "py311-ipyparallel")
    zone.run("keep", "py311-six")
    zone.run("-y", "remove", "py311-ipyparallel")
    text = zone.run("-y", "autoremove")
    assert "1 packages to be autoremoved:\n  py311-zmq-27.3.0\n" in text
    assert zone.run("-y", "autoremove") == "no orphan dependencies found.\n"
    assert zone.run("unkeep", "py311-six") == "marking py311-six-1.0 as auto-removable\n"
    zone.run("-y", "autoremove")
    assert zone.run("-p", "list") == ""
    assert not (zone.prefix / "lib/python3.11").exists()


def test_dependencies(zone: Zone) -> None:
    zone.run("update")
    assert zone.run("show-deps", "py311-ipyparallel") == (
        "direct dependencies for py311-ipyparallel-9.2.0\n"
        "\tpython311>=3.11\n\tpy311-zmq>=25\n\tpy311-six-[0-9]*\n"
    )
    zone.run("-y", "install", "py311-ipyparallel")
    assert "\tpy311-ipyparallel-9.2.0\n" in zone.run("show-rev-deps", "py311-zmq")


def test_a_repository_that_is_down(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKG_REPOS", "https://repository.invalid/All")
    zone.run("-y", "install", "py311-zmq", status=1)
    assert zone.error == (
        "pkgin: Could not fetch https://repository.invalid/All/pkg_summary.gz: "
        "Network is unreachable\n"
    )
    monkeypatch.setenv("PKG_REPOS", "file:///nonexistent/All")
    zone.run("update", status=1)
    assert "No such file or directory" in zone.error


def test_no_repository_at_all(zone: Zone) -> None:
    (zone.prefix / "etc/pkgin/repositories.conf").write_text("# nothing\n")
    zone.run("update", status=1)
    assert "has no repositories or does not exist." in zone.error


def test_a_missing_dependency_names_it(zone: Zone, repository: Repository) -> None:
    repository.add("py311-odd-1.0", ("bin/odd",), ["py311-absent>=2"])
    zone.run("-y", "install", "py311-odd", status=1)
    assert zone.error == (
        "py311-odd-1.0 needs py311-absent>=2, which is not available in the repository\n"
    )


def test_a_file_in_the_way(zone: Zone) -> None:
    (zone.prefix / "bin/ipengine-3.11").write_text("mine\n")
    text = zone.run("-y", "install", "py311-ipyparallel", status=1)
    assert "pkg_install warnings: 0, errors: 1\n" in text
    log = zone.root / "var/db/pkgin/pkg_install-err.log"
    assert "exists and belongs to no package" in log.read_text()
    assert (zone.prefix / "bin/ipengine-3.11").read_text() == "mine\n"
    zone.info("-qe", "py311-zmq", status=1)


def test_files_of_the_zone_survive(zone: Zone) -> None:
    own = zone.prefix / "lib/python3.11-site/mine.py"
    zone.run("-y", "install", "py311-zmq")
    own.write_text("x = 1\n")
    zone.run("-y", "remove", "python311")
    assert own.read_text() == "x = 1\n"
    zone.run("-y", "install", "py311-zmq")
    assert own.exists()


def test_an_interrupted_installation_is_finished_by_the_next_command(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = linker._link
    links = 0

    def dies(path: str, target: str) -> None:
        nonlocal links
        links += 1
        if links > 3:
            raise KeyboardInterrupt
        real(path, target)

    monkeypatch.setattr(linker, "_link", dies)
    with pytest.raises(KeyboardInterrupt):
        zone.run("-y", "install", "py311-ipyparallel")
    assert zone.pending()
    monkeypatch.setattr(linker, "_link", real)
    assert "py311-ipyparallel-9.2.0" in zone.run("list")
    assert (zone.prefix / "bin/ipengine-3.11").is_symlink()
    assert not zone.pending()


def test_pkg_info(zone: Zone) -> None:
    zone.run("-y", "install", "py311-zmq")
    assert zone.info() == (
        "py311-zmq-27.3.0    Comment of py311-zmq-27.3.0\n"
        "python311-3.11.7    Comment of python311-3.11.7\n"
    )
    assert zone.info("-e", "py311-zmq") == "py311-zmq-27.3.0\n"
    assert zone.info("-qe", "py311-zmq") == ""
    assert zone.info("-qe", "nosuch", status=1) == ""
    assert zone.info("-E", "py311-zmq>=25") == "py311-zmq-27.3.0\n"
    assert zone.info("-Q", "PKGPATH", "py311-zmq") == "x/py311-zmq-27.3.0\n"
    assert zone.info("-Q", "automatic", "python311") == "yes\n"
    files = zone.info("-qL", "py311-zmq").splitlines()
    assert "/opt/local/lib/python3.11/site-packages/zmq/__init__.py" in files
    assert not any("+" in Path(name).name for name in files)
    assert "python311>=3.11\n" in zone.info("-n", "py311-zmq")
    zone.info("nosuch", status=1)
    assert zone.error == "pkg_info: can't find package `nosuch'\n"
    zone.info("-Z", status=1)
