"""What the machines of an account say of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from smartdc import clusters


def machine(name: str, **tags: Any) -> dict[str, Any]:
    return {"name": name, "state": "running", "tags": tags}


def engines(count: int) -> list[dict[str, Any]]:
    return [machine(f"e{n}", role="engine") for n in range(count)]


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        ([], 4),
        (engines(2), 4),
        (engines(6), 6),
        ([machine("c", role="controller"), *engines(16)], 16),
        ([machine("c", role="controller")], 0),
        ([machine("c", role="controller", engines=4)], 4),
        ([machine("c", role="controller", engines="0")], 0),
        ([machine("c", role="controller", engines="many"), *engines(2)], 2),
    ],
)
def test_how_many_engines_a_cluster_is_to_have(
    machines: list[dict[str, Any]], expected: int
) -> None:
    assert clusters.engines_of(machines) == expected


@pytest.mark.parametrize(
    ("name", "tags", "expected"),
    [
        ("a_b-engine-001", {"cluster": "a_b", "role": "engine"}, True),
        ("a_b-controller", {"cluster": "a_b", "role": "controller"}, True),
        ("a-b-engine-001", {"cluster": "a_b", "role": "engine"}, False),
        ("game-engine", {"cluster": "a_b", "role": "engine"}, False),
        ("a_b-engine-001", {"cluster": "a_b", "role": "db"}, False),
        ("a_b-engine-001", {"cluster": "a-b", "role": "engine"}, False),
        ("a_b-engine-001", {"cluster": "a_b", "role": "engine", clusters.MARK: "c"}, False),
    ],
)
def test_what_an_earlier_version_has_made(name: str, tags: dict[str, Any], expected: bool) -> None:
    assert clusters.adoptable(machine(name, **tags), "a_b") is expected
