"""What Ansible's own validate-modules says about the modules, without ansible-test around it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import ansible_test
import pytest

from .modules_support import ROOT

CHECKER = (
    Path(ansible_test.__file__).parent / "_util/controller/sanity/validate-modules/validate.py"
)
# rules of ansible's own collections: the licence, and authors by their names at GitHub
IGNORED = ("missing-gplv3-license", "DOCUMENTATION.author")


FRAGMENTS = re.compile(r"^extends_documentation_fragment: .*$", re.M)
OWN = re.compile(r"\bansible\.module_utils(?=\.(?:difference|ipp|sdc|smf)\b)")


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """A collection made of our files: validate-modules checks nothing else."""
    root = tmp_path_factory.mktemp("shadow")
    base = root / "ansible_collections/local/sdc"
    target = "ansible_collections.local.sdc.plugins.module_utils"
    for source, name in (
        ("library", "modules"),
        ("module_utils", "module_utils"),
        ("plugins/doc_fragments", "doc_fragments"),
    ):
        directory = base / "plugins" / name
        for path in (ROOT / source).rglob("*.py"):
            text = OWN.sub(target, path.read_text())
            if name == "modules":
                text = FRAGMENTS.sub(lambda m: m[0].replace("sdc", "local.sdc.sdc"), text)
            copy = directory / path.relative_to(ROOT / source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text)
    (base / "galaxy.yml").write_text("namespace: local\nname: sdc\nversion: 0.2.0\n")
    return root


def test_validate_modules(collection):
    missing = [
        n for n in ("voluptuous", "antsibull_docs_parser") if not importlib.util.find_spec(n)
    ]
    assert not missing, f"validate-modules needs {missing}: pip install -e '.[test]'"
    modules = sorted(path.name for path in (ROOT / "library").glob("*.py"))
    done = subprocess.run(
        [sys.executable, CHECKER, "--arg-spec", "--collection", "ansible_collections/local/sdc"]
        + [f"plugins/modules/{name}" for name in modules],
        cwd=collection / "ansible_collections/local/sdc",
        env={**os.environ, "PYTHONPATH": f"{collection}:{CHECKER.parent}"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert any(IGNORED[0] in line for line in lines), f"nothing was checked: {done.stderr}"
    problems = [line for line in lines if not any(code in line for code in IGNORED)]
    assert "Traceback" not in done.stderr, done.stderr
    assert not problems, "\n".join([*problems, done.stderr])
