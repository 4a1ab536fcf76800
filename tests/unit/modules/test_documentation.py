"""Documentation and argument specification say the same, and Ansible itself can run the modules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .modules_support import ROOT, load, without_settings
from .test_sdc_machine_cluster import cluster

MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))
IMPLICIT = {"type": "str", "required": False, "default": None, "choices": None, "elements": None}


def fragment():
    namespace = {}
    exec((ROOT / "plugins/doc_fragments/sdc.py").read_text(), namespace)
    return yaml.safe_load(namespace["ModuleDocFragment"].DOCUMENTATION)["options"]


def documented(module):
    documentation = yaml.safe_load(module.DOCUMENTATION)
    options = dict(documentation["options"])
    if "sdc" in documentation.get("extends_documentation_fragment", []):
        options |= fragment()
    return options


def specified(module):
    if hasattr(module, "ARGUMENTS"):
        return module.ARGUMENTS
    from ansible.module_utils.sdc_base import ACCESS

    return {**ACCESS, **module.OPTIONS}


def compare(path, docs, spec):
    assert sorted(docs) == sorted(spec), path
    for name, option in spec.items():
        for key, default in IMPLICIT.items():
            said, meant = docs[name].get(key, default), option.get(key, default)
            assert said == meant, f"{path}.{name}: {key}"
        assert docs[name].get("aliases", []) == option.get("aliases", [])
        assert docs[name]["description"], name
        compare(f"{path}.{name}", docs[name].get("suboptions", {}), option.get("options", {}))


@pytest.mark.parametrize("name", MODULES)
def test_options_are_documented_as_specified(name):
    module = load(name)
    compare(name, documented(module), specified(module))


@pytest.mark.parametrize("name", MODULES)
def test_examples_and_results(name):
    module = load(name)
    examples = yaml.safe_load(module.EXAMPLES)
    assert examples and all(name in task for task in examples)
    for task in examples:
        unknown = set(task[name]) - set(documented(module))
        assert not unknown, f"{name} has no {unknown}"
    for key, value in yaml.safe_load(module.RETURN).items():
        assert value["description"] and value["returned"] and value["type"], key


def test_pages_are_up_to_date():
    command = [sys.executable, ROOT / "tools/describe-modules", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ansible(program, *arguments, cwd, **environment):
    return subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=cwd, capture_output=True, text=True, check=False,
        env={
            **without_settings(),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_INVENTORY_ENABLED": "host_list",
            **environment,
        },
    )  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_ansible_doc(name, tmp_path):
    done = ansible("ansible-doc", "-M", str(ROOT / "library"), name, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)[name]["doc"]
    assert document["short_description"] and document["attributes"]["check_mode"]


def test_through_ansible(cloud, tmp_path):
    """As a play runs it: packed, in a process of its own, with check mode and diff."""
    play = [
        {
            "hosts": "localhost",
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": [{"sdc_machine": cluster(2)}, {"sdc_machine": {**cluster(2), "wait": False}}],
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml"]
    for arguments, changed in ((["--check", "--diff"], 2), ([], 1), ([], 0)):
        done = ansible(*command, *arguments, cwd=tmp_path, **cloud.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "[DEPRECATION" not in done.stderr and "[WARNING" not in done.stderr, done.stderr
        assert f"changed={changed} " in done.stdout, done.stdout
    assert len(cloud.machines()) == 3


def test_no_smartdc_says_what_to_do(monkeypatch):
    from ansible.module_utils import sdc_base

    from .modules_support import run_module

    monkeypatch.setattr(sdc_base, "SMARTDC_MISSING", "ImportError")
    failed = run_module("sdc_machine", expect="fail", name="x")
    assert "ansible_playbook_python" in failed.msg
