"""What the catalogue has on demand: announced from the start, made when asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded.wheels import make_wheel
from localdc.image import template
from localdc.pkgsrc import build, catalogue, demand, interpreter, releases
from localdc.pkgsrc.store import StoreError, build_store
from localdc.smartos.pkgsrc import summary
from localdc.smartos.pkgsrc.resolve import Available, Resolver

from .support import DIGITS, PYTHON

REAL_DOWNLOAD = build._pip_download
WANTED = (
    *("numpy", "scipy", "pandas", "matplotlib", "scikit-learn", "networkx", "sympy"),
    *("jupyterlab", "ipyparallel", "six"),
)


def test_the_whole_catalogue_can_be_installed() -> None:
    """Every package that a user asks for resolves, with nothing missing or contradictory."""
    entries, offers = catalogue.load(), catalogue.offers()
    builder = build.Builder(Path(), Path(), build.interpreter.current(), entries, print, offers)
    stanzas = [builder.stanza(offer) for offer in offers]
    for entry in entries:
        stanzas.append(f"PKGNAME={entry.pkgname(DIGITS)}\n")
    stanzas.append(f"PKGNAME=python{DIGITS}-{PYTHON}.7\n")
    available = Available(summary.parse("\n".join(stanzas), "file:///x/All"))
    impact = Resolver(available, {}).install(f"py{DIGITS}-{name}" for name in WANTED)
    assert impact.errors == []
    assert all(package.comment for package in impact.order if "-scipy-" in package.pkgname)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_catalogue_is_closed_for_other_pythons(version: str) -> None:
    entries, offers = catalogue.load(), catalogue.offers()
    known = {entry.distribution: entry for entry in (*entries, *(o.entry for o in offers))}
    environment = {"python_version": version, "python_full_version": f"{version}.0"}
    for offer in offers:
        catalogue.depends(offer.requires, known, version.replace(".", ""), environment)


def test_descriptions_and_pins_agree() -> None:
    offers = catalogue.offers()
    assert {offer.entry.pin for offer in offers} == {
        entry.pin for entry in catalogue.load(section="on_demand")
    }
    assert not {offer.entry.distribution for offer in offers} & {
        entry.distribution for entry in catalogue.load()
    }
    for offer in offers:
        assert offer.file_size > 0 and offer.size > 0


def test_an_entry_without_description_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "on_demand.json").write_text("{}")
    monkeypatch.setattr(catalogue, "DESCRIPTIONS", tmp_path / "on_demand.json")
    with pytest.raises(catalogue.CatalogueError, match="run tools/describe-catalogue"):
        catalogue.offers()


def test_announced_at_once_and_made_when_asked_for(small: Path) -> None:
    store = build_store(small)
    text = (store.directory / "All/pkg_summary").read_text()
    stanza = (
        f"PKGNAME=py{DIGITS}-three-3.0\nDEPENDS=python{DIGITS}>={PYTHON}\n"
        f"DEPENDS=py{DIGITS}-one>=1\nDEPENDS=py{DIGITS}-two-[0-9]*\nCOMMENT=Third time\n"
        "SIZE_PKG=4000\nFILE_SIZE=1000\n"
    )
    assert stanza in text
    tree = store.directory / f"packages/py{DIGITS}-three-3.0"
    assert not tree.exists()
    begun: list[str] = []
    demand.provide(small, [tree.name], lambda _: None, begun.append)
    assert begun == [tree.name]
    assert (tree / "+SUMMARY").read_text().startswith(stanza)
    assert (tree / f"bin/three-{PYTHON}").is_file()
    assert list(tree.glob(f"lib/python{PYTHON}/site-packages/__pycache__/three.*.pyc"))
    begun.clear()
    demand.provide(small, [tree.name], lambda _: None, begun.append)
    assert begun == []


def test_a_version_that_the_index_no_longer_has(
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Real pip, which names the pin that it cannot find."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(small.parent / "index"))
    store = build_store(small)
    monkeypatch.setattr(build, "_pip_download", REAL_DOWNLOAD)
    (small.parent / "index/three-3.0-py3-none-any.whl").unlink()
    with pytest.raises(StoreError) as caught:
        demand.provide(small, [f"py{DIGITS}-three-3.0"], print)
    assert "pip could not download the packages" in str(caught.value)
    assert "No matching distribution found for three==3.0" in str(caught.value)
    assert not list((store.directory / "packages").glob("*three*"))


def test_a_name_that_is_not_on_demand(small: Path) -> None:
    build_store(small)
    with pytest.raises(StoreError, match="py9-x-1 is not a package that is made on demand"):
        demand.provide(small, ["py9-x-1"], print)


def test_a_machine_of_an_earlier_store(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its repositories.conf names the directory that belonged to the interpreter then."""
    name = f"py{DIGITS}-three-3.0"
    with monkeypatch.context() as earlier:
        earlier.setattr(interpreter, "RECIPE", interpreter.RECIPE - 1)
        old = build_store(small)
    new = build_store(small)
    assert old.tag != new.tag
    begun: list[str] = []
    demand.provide(small, [f"{old.tag}/{name}"], lambda _: None, begun.append)
    assert begun == [name]
    assert (old.directory / "packages" / name / f"bin/three-{PYTHON}").is_file()
    assert not (new.directory / "packages" / name).exists()


@pytest.mark.parametrize("tag", ["cp27-x86_64-00000000", "..", "nowhere/.."])
def test_a_machine_of_another_interpreter(small: Path, tag: str) -> None:
    build_store(small)
    before = sorted(small.rglob("*"))
    with pytest.raises(StoreError, match=r"was not made for .*\n.*make it anew"):
        demand.provide(small, [f"{tag}/py{DIGITS}-three-3.0"], print)
    assert sorted(small.rglob("*")) == before


def test_pip_failing_leaves_the_store_as_it_was(
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = build_store(small)
    before = sorted(store.directory.rglob("*"))

    def download(
        _: interpreter.Interpreter, pins: list[str], target: Path, begin: Callable[[int], None]
    ) -> None:
        begin(0)
        raise build.BuildError("pip could not download: no route to host")

    monkeypatch.setattr(build, "_pip_download", download)
    with pytest.raises(StoreError, match="no route to host"):
        demand.provide(small, [f"py{DIGITS}-three-3.0"], print)
    assert sorted(store.directory.rglob("*")) == before


def test_the_program_reports_in_lines(
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    build_store(small)
    monkeypatch.setenv("LOCALDC_PACKAGES", str(small))
    monkeypatch.setattr(sys, "argv", ["demand", f"py{DIGITS}-three-3.0"])
    assert demand.main() == 0
    assert capsys.readouterr().out == (f'{{"begin": "py{DIGITS}-three-3.0"}}\n{{"done": true}}\n')
    monkeypatch.setattr(sys, "argv", ["demand", "nosuch"])
    assert demand.main() == 1
    assert capsys.readouterr().out.startswith('{"error": "nosuch is not')


def test_names_that_a_user_writes() -> None:
    scipy = next(o.entry.pkgname(DIGITS) for o in catalogue.offers() if "scipy" in o.entry.path)
    for name in ("scipy", f"py{DIGITS}-scipy", scipy):
        assert demand.closure([name]) == [scipy]
    assert demand.closure(["numpy", "ipyparallel"]) == []
    found = demand.closure(["jupyterlab"])
    assert any(name.startswith(f"py{DIGITS}-jupyter_server-") for name in found)
    assert set(found) < set(demand.all_names())
    with pytest.raises(StoreError, match="no package nosuch"):
        demand.closure(["nosuch"])


def test_real_pip_tells_what_it_turns_to_and_why_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        make_wheel(tmp_path / "index", name, "1.0", {f"{name}.py": ""})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    begun: list[int] = []
    build._pip_download(
        interpreter.current(), ["one==1.0", "two==1.0"], tmp_path / "to", begun.append
    )
    assert begun == [0, 1] and len(list((tmp_path / "to").glob("*.whl"))) == 2
    with pytest.raises(build.BuildError) as caught:
        build._pip_download(interpreter.current(), ["one==2.0"], tmp_path / "to", begun.append)
    assert "No matching distribution found for one==2.0" in str(caught.value)


def test_a_release_without_ipyparallel(
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(releases, "ABSENT", {"2023Q4": ("two",)})
    store = build_store(small)
    text = (store.directory / "2023Q4/All/pkg_summary").read_text()
    assert "-one-1.0\n" in text and "PKGNAME=py" in text and "-two-2.0\n" not in text
    location = summary.location(f"file://{store.directory}/2023Q4/All", f"py{DIGITS}-one-1.0")
    assert Path(location).is_dir()


@pytest.mark.parametrize(
    ("version", "repository"),
    [("24.4.1", "file:///s/All"), ("23.4.0", "file:///s/2023Q4/All"), ("", "file:///s/All")],
)
def test_an_image_is_bound_to_its_release(version: str, repository: str) -> None:
    url = releases.repository("file:///s/All", version)
    assert url == repository
    assert template.repositories(url).splitlines()[-1] == repository
