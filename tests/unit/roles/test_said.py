"""Values as users write them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]


def loaded():
    spec = importlib.util.spec_from_file_location("said", ROOT / "plugins/filter/said.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FilterModule().filters()


FILTERS = loaded()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", []),
        ([], []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a, b ,,c d", ["a", "b", "c", "d"]),
        (["a", "b,c"], ["a", "b", "c"]),
    ],
)
def test_names(given, expected):
    assert FILTERS["elements"](given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", []),
        ("xarray", ["xarray"]),
        ("xarray,distributed", ["xarray", "distributed"]),
        ("xarray distributed", ["xarray", "distributed"]),
        ("xarray>=2024,<2027,distributed", ["xarray>=2024,<2027", "distributed"]),
        ("xarray >= 2024, < 2027, distributed", ["xarray >= 2024, < 2027", "distributed"]),
        ("dask[array,diagnostics],xarray", ["dask[array,diagnostics]", "xarray"]),
        ("dask[array, diagnostics] xarray~=1.0", ["dask[array, diagnostics]", "xarray~=1.0"]),
        ("a; python_version > '3.1'", ["a; python_version > '3.1'"]),
        (["a>=1,<2", "b"], ["a>=1,<2", "b"]),
        ("mypkg @ https://example.com/p-1.whl", ["mypkg @ https://example.com/p-1.whl"]),
    ],
)
def test_requirements(given, expected):
    found = FILTERS["requirements"](given)
    assert found == expected
    for text in found:
        Requirement(text)


def test_a_file_of_requirements(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# mine\nxarray>=2024,<2027  # newer ones break\n\ndask[array, dataframe]\n")
    assert FILTERS["requirements"](str(path)) == ["xarray>=2024,<2027", "dask[array, dataframe]"]
    path.write_text("xarray\n-r more.txt\n")
    with pytest.raises(AnsibleFilterError, match=r"line 2: '-r more.txt' is an option of pip"):
        FILTERS["requirements"](str(path))
    with pytest.raises(AnsibleFilterError, match=r"none\.txt: No such file"):
        FILTERS["requirements"](str(tmp_path / "none.txt"))


def test_a_script_is_its_text_or_a_file(tmp_path):
    text = "#!/bin/sh\necho said\n"
    path = tmp_path / "boot.sh"
    path.write_text(text)
    script = FILTERS["script_text"]
    assert script(text) == script(str(path)) == text
    assert script("") == "" and script("a\nb") == "a\nb"
    with pytest.raises(AnsibleFilterError, match=r"none\.sh"):
        script(str(tmp_path / "none.sh"))
