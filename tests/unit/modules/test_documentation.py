"""Documentation and argument specification say the same, and Ansible itself can run the modules."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .modules_support import RESERVED, ROOT, cluster, load, run_module, without_settings

MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))
IMPLICIT = {"type": "str", "required": False, "default": None, "choices": None, "elements": None}


def fragment(name):
    parts = runpy.run_path(str(ROOT / "plugins/doc_fragments/sdc.py"))["ModuleDocFragment"]
    text = getattr(parts, name.partition(".")[2].upper() or "DOCUMENTATION")
    return yaml.safe_load(text).get("options", {})


def documented(module):
    documentation = yaml.safe_load(module.DOCUMENTATION)
    options = dict(documentation["options"])
    for name in documentation.get("extends_documentation_fragment", []):
        options |= fragment(name)
    return options


def specified(module):
    if hasattr(module, "ARGUMENTS"):
        return module.ARGUMENTS
    from ansible.module_utils.sdc.options import ACCESS

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


@pytest.mark.parametrize("name", MODULES)
def test_results_have_names_of_their_own(name):
    assert {"started", "finished", "ansible_job_id", "results"} <= RESERVED
    returned = set(yaml.safe_load(load(name).RETURN))
    assert not returned & RESERVED, f"{name}: {returned & RESERVED}"


@pytest.mark.parametrize("poll", [1, 0])
def test_through_async(cloud, tmp_path, poll):
    """Polled by the task, and by async_status: made, started again, and a failure."""
    cloud.fault(kind="provision_delay", machine="ipython-engine-001", seconds=1)
    steps = [
        {**cluster(2), "state": "started"},
        {"state": "stopped", "selector": {"cluster": "ipython"}},
        {**cluster(2), "state": "started"},
        {**cluster(2), "package": "nosuch"},
    ]
    tasks = []
    for number, options in enumerate(steps):
        tasks += [
            {"sdc_machine": options, "async": 60, "poll": poll, "register": f"r{number}",
             "ignore_errors": True},
            {"async_status": {"jid": f"{{{{ r{number}.ansible_job_id }}}}"},
             "register": f"r{number}", "until": f"r{number}.finished", "retries": 60, "delay": 1,
             "ignore_errors": True, "when": poll == 0},
        ]  # fmt: skip
        if poll:
            tasks.pop()
    last = f"r{len(steps) - 1}"
    tasks.append({"assert": {"that": [
        "r0.created | length == 3", "r1.machines | length == 3", "r2.started_ids | length == 3",
        f"{last}.failed", f"'nosuch' in {last}.msg",
    ]}})  # fmt: skip
    play = {
        "hosts": "localhost",
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": tasks,
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml"]
    done = ansible(*command, cwd=tmp_path, ANSIBLE_ASYNC_DIR=str(tmp_path / "jobs"),
                   **cloud.environment)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


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


def test_ansible_doc(tmp_path):
    done = ansible("ansible-doc", "-M", str(ROOT / "library"), *MODULES, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    documents = json.loads(done.stdout)
    assert sorted(documents) == MODULES
    for name, document in documents.items():
        assert document["doc"]["short_description"], name
        assert document["doc"]["attributes"]["check_mode"], name


def test_through_ansible(cloud, tmp_path):
    """As a play runs it: packed, in a process of its own, with check mode and diff."""
    play = [
        {
            "hosts": "localhost",
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": [
                {"sdc_machine": {**cluster(2), "wait": True}},
                {"sdc_machine": {**cluster(2), "wait": False}},
            ],
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


def test_module_defaults(start_cloud, tmp_path):
    """The play of docs/modules/README.md, with two profiles of the triton command."""
    east, west = start_cloud(firewall=True), start_cloud()
    profiles = tmp_path / ".triton/profiles.d"
    profiles.mkdir(parents=True)
    (tmp_path / ".ssh").mkdir()
    for name, center in (("east", east), ("west", west)):
        profile = {"name": name, "url": center.url, "account": "acme", "keyId": center.key_id}
        (profiles / f"{name}.json").write_text(json.dumps(profile))
        for suffix in ("", ".pub"):
            key = Path(center.access["key_file"] + suffix)
            copy = tmp_path / ".ssh" / f"id_{name}{suffix}"
            copy.write_bytes(key.read_bytes())
            copy.chmod(0o600)
    text = (ROOT / "docs/modules/README.md").read_text()
    (tmp_path / "play.yml").write_text(text.split("```yaml\n")[1].split("```")[0])
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml"]
    done = ansible(*command, cwd=tmp_path, HOME=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(east.machines()) == {"gateway"} and west.machines() == {}
    with east.client() as client:
        assert [rule["description"] for rule in client.fwrules()] == ["web"]


def test_secrets_stay_secret_at_every_verbosity(cloud, tmp_path):
    """Also in a diff, in a failure of the data center, and when the arguments are wrong."""
    secret = {
        "metadata": {
            "root.password": "s3cret-1",
            "ipython.key": "s3cret-2",
            "a.token": ["s3cret-3"],
        },
        "secret_metadata": {"odd": {"deep": "s3cret-4"}, "user-script": "#!/bin/sh\n# s3cret-5\n"},
    }
    later = {name: {k: f"{v}-new" for k, v in part.items()} for name, part in secret.items()}
    options = {**cluster(1), **secret}
    group = {**options["groups"][0], "metadata": {"group.key": "s3cret-6"}, "name": "c"}
    tasks = [
        {"sdc_machine": options},
        {"sdc_machine": {**cluster(1), **later}},
        {"sdc_machine": {**cluster(1), **later}, "check_mode": True},
        {"sdc_machine": {**options, "state": "on fire"}},
        {"sdc_machine": {**options, "parallel": "many"}},
        {"sdc_machine": {**options, "groups": [group], "wait": "for ever"}},
        {"sdc_machine": {**options, "metadata": json.dumps(secret["metadata"]), "state": "odd"}},
        {"sdc_machine": {**options, "url": "http://127.0.0.1:1"}},
        {"sdc_machine": {"name": "x", "package": "none", "image": "none", **secret}},
        {"sdc_machine_info": {}},
        {"sdc_machine": {"state": "absent", "selector": {"cluster": "ipython"}}},
    ]
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": [{**task, "ignore_errors": True} for task in tasks],
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "-vvv", "--diff", "play.yml"]
    done = ansible(*command, cwd=tmp_path, ANSIBLE_INJECT_INVOCATION="1", **cloud.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ignored=6 " in done.stdout, done.stdout
    shown = done.stdout + done.stderr
    assert "module_args" in shown, "nothing of the arguments was shown"
    found = [line for line in shown.splitlines() if "s3cret" in line]
    assert not found, "\n".join(found)[:2000]


def test_no_smartdc_says_what_to_do(monkeypatch):
    from ansible.module_utils.sdc import client

    monkeypatch.setattr(client, "MISSING", "ImportError")
    failed = run_module("sdc_machine", expect="fail", name="x")
    assert "ansible_playbook_python" in failed.msg
