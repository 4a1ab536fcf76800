"""Order and patterns of package versions."""

from __future__ import annotations

import pytest

from localdc.smartos.pkgsrc import versions


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0", "1.1"),
        ("1.9", "1.10"),
        ("1.0", "1.0.1"),
        ("1.0rc1", "1.0"),
        ("1.0alpha2", "1.0beta1"),
        ("1.0", "1.0nb1"),
        ("1.0nb2", "1.0nb10"),
        ("1.0nb9", "1.1"),
        ("3.12.8nb1", "3.12.9"),
        ("1.0", "1.0a"),
        ("2024.1", "2026.6"),
    ],
)
def test_order(older: str, newer: str) -> None:
    assert versions.compare(older, newer) < 0
    assert versions.compare(newer, older) > 0
    assert versions.compare(newer, newer) == 0


def test_trailing_zeros_are_equal() -> None:
    assert versions.compare("1.0", "1.0.0") == 0


@pytest.mark.parametrize(
    ("pattern", "pkgname", "expected"),
    [
        ("py311-zmq", "py311-zmq-27.3.0", True),
        ("py311-zmq-27.3.0", "py311-zmq-27.3.0", True),
        ("py311-zmq>=25", "py311-zmq-27.3.0", True),
        ("py311-zmq>=25<27", "py311-zmq-27.3.0", False),
        ("py311-zmq>=25<28", "py311-zmq-27.3.0", True),
        ("py311-zmq-[0-9]*", "py311-zmq-27.3.0", True),
        ("py311-typing-extensions-[0-9]*", "py311-typing-extensions-4.16.0", True),
        ("{py311,py312}-zmq>=25", "py312-zmq-27.3.0", True),
        ("py311", "py311-zmq-27.3.0", False),
        ("python311>=3.12", "python311-3.11.7", False),
        ("py311-zmq!=27.3.0", "py311-zmq-27.3.0", False),
    ],
)
def test_patterns(pattern: str, pkgname: str, expected: bool) -> None:
    assert versions.matches(pattern, pkgname) is expected


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("py311-zmq>=25", "py311-zmq"),
        ("py311-typing-extensions-[0-9]*", "py311-typing-extensions"),
        ("py311-typing-extensions", "py311-typing-extensions"),
        ("py311-zmq-27.3.0", "py311-zmq"),
    ],
)
def test_name_of_a_pattern(pattern: str, name: str) -> None:
    assert versions.base(pattern) == name
