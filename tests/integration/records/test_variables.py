"""What is said by mistake is told before anything is made: names, values, lists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from ...unit.modules.modules_support import ROOT, Cloud
from .playing import command

TABLE = yaml.safe_load((ROOT / "playbooks/vars/variables.yml").read_text())


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("dc"))
    yield made
    made.stop()


def refused(cloud: Cloud, playbook: str, *words: str) -> str:
    done = command("ansible-playbook", playbook, *words, environment=cloud.environment, timeout=120)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert cloud.count("POST") == 0 and "TASK [sdc_cluster" not in done.stdout
    return " ".join(done.stdout.split())


MISTAKES = [
    (["engine=8"], "There is no variable engine. Is engines meant?"),
    (["machine_pakage=x"], "There is no variable machine_pakage. Is machine_package meant?"),
    (["zzzzz=1"], "There is no variable zzzzz. docs/variables.md says what there is."),
    (["engines=-1"], "engines is '-1', less than 0."),
    (["engines=1000000"], "more than max_engines (1000) allows: if it is meant, -e max_engines="),
    (["engines=2.5"], "engines is '2.5', no whole number."),
    (['{"engines": true}'], "engines is 'True', no whole number."),
    (["engines_per_machine=0"], "engines_per_machine is '0', less than 1."),
    (["ready_timeout=abc"], "ready_timeout is 'abc', no whole number. It is a number of seconds"),
    (["machine_user_script=/nope.sh"], "machine_user_script is '/nope.sh', and there is no such"),
    (["controller_address='not valid!'"], "controller_address is 'not valid!', which cannot be."),
    (["bootstrap=sssh"], "bootstrap is 'sssh', not one of: ssh, metadata."),
    (["cluster=no-hyphens"], "cluster is 'no-hyphens', which cannot be."),
    (["adopt=perhaps"], "adopt is 'perhaps', neither yes nor no."),
    (["python_packages=xarray distributed"], "'distributed' stands alone in -e"),
    (["script=examples/eigenvalues.py"], "script is for run.yml; site.yml does not use it."),
    (["engine=8", "engines=-1"], "Is engines meant? engines is '-1', less than 0."),
]


@pytest.mark.parametrize(("said", "told"), MISTAKES, ids=lambda value: str(value)[:40])
def test_mistakes(cloud: Cloud, said: list[str], told: str) -> None:
    words = [word for text in said for word in ("-e", text)]
    assert told in refused(cloud, "site.yml", *words)


@pytest.mark.parametrize("name", ["teardown", "status", "connect", "run", "verify", "doctor"])
def test_every_playbook_looks(cloud: Cloud, name: str) -> None:
    output = refused(cloud, f"playbooks/{name}.yml", "-e", "clustr=x")
    assert "There is no variable clustr. Is cluster meant?" in output


def test_the_table_knows_what_users_may_set() -> None:
    defaults = (ROOT / "inventory/group_vars/all.yml").read_text().partition("# Derived;")[0]
    assert set(yaml.safe_load(defaults)) <= set(TABLE)
    page = (ROOT / "docs/variables.md").read_text()
    assert all(f"`{name}`" in page for name in yaml.safe_load(defaults))
