"""local_file: create, again, check, diff, update, failure, delete, delete again."""

from __future__ import annotations

from pathlib import Path

from .ansible_runs import on_localhost

REPOSITORY = Path(__file__).resolve().parents[3]


def local_file(*options: str, **arguments: str) -> str:
    return on_localhost("local_file", *options, **arguments)


def test_a_file_from_nothing_to_nothing(tmp_path: Path) -> None:
    file = tmp_path / "made" / "script"
    wanted = {"path": str(file), "content": "one", "mode": "0700"}
    assert "CHANGED" in local_file("--check", **wanted)
    assert not file.parent.exists()
    assert "+one" in local_file("--diff", **wanted)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("one", 0o700)
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert "SUCCESS" in local_file(**wanted)
    file.chmod(0o755)
    assert "CHANGED" in local_file(**{**wanted, "content": "two"})
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("two", 0o700)
    assert [entry.name for entry in file.parent.iterdir()] == ["script"]
    gone = {"path": str(file.parent), "state": "absent"}
    assert "CHANGED" in local_file("--check", **gone)
    assert file.exists()
    assert "CHANGED" in local_file(**gone)
    assert not file.parent.exists()
    assert "SUCCESS" in local_file(**gone)


def test_failures_name_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    below = str(tmp_path / "file" / "below")
    said = local_file(path=below, content="x")
    assert "FAILED" in said
    assert below in said
    assert "FAILED" in local_file(path=below, content="x", mode="rwx")
    assert "FAILED" in local_file(path=below)
