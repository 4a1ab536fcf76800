"""The service's files as the roles lay them down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .ansible_runs import ansible

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "ipython_service"


def role_variables() -> dict[str, Any]:
    """Defaults and variables of the role."""
    files = (ROLE / "defaults" / "main.yml", ROLE / "vars" / "main.yml")
    return {key: value for file in files for key, value in yaml.safe_load(file.read_text()).items()}


@pytest.fixture(params=[["engine"], ["engine-1", "engine-2"]], ids=["one engine", "two engines"])
def manifest(request: pytest.FixtureRequest) -> str:
    """The manifest, rendered as Ansible renders templates."""
    environment = Environment(
        loader=FileSystemLoader(ROLE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        autoescape=False,
    )
    variables = role_variables() | {"ipython_service_engine_instances": request.param}
    return environment.get_template("ipyparallel.xml.j2").render(variables)


@pytest.fixture
def method() -> Path:
    """The method script."""
    return ROLE / "files" / "ipyparallel.sh"


RENDER = """
- hosts: localhost
  tasks:
    - ansible.builtin.include_role: {name: boot_script}
    - local_file:
        path: "{{ controller_file }}"
        content: "{{ boot_script_controller }}"
"""


@pytest.fixture(scope="session")
def render_boot_scripts(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., dict[str, Path]]:
    """Has the role boot_script make the boot scripts, by role of the machine."""

    def render(**variables: object) -> dict[str, Path]:
        directory = tmp_path_factory.mktemp("boot-scripts")
        found = {role: directory / f"{role}.sh" for role in ("controller", "engine")}
        (directory / "render.yml").write_text(RENDER)
        where = {"controller_file": str(found["controller"])}
        where["boot_script_engine_file"] = str(found["engine"])
        words = ["-i", "localhost,", str(directory / "render.yml")]
        done = ansible("ansible-playbook", *words, "-e", json.dumps({**where, **variables}))
        assert done.returncode == 0, done.stdout
        return found

    return render


@pytest.fixture(scope="session")
def boot_scripts(render_boot_scripts: Callable[..., dict[str, Path]]) -> dict[str, Path]:
    """The boot scripts with all their parts."""
    return render_boot_scripts(
        boot_script_user_script="#!/bin/sh\nexit 0\n", boot_script_pip_packages=["xarray"]
    )
