"""The service's files as the roles lay them down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

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
