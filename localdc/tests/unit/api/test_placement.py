"""Affinity and locality."""

import json

import pytest

from .harness import BASE64


@pytest.mark.parametrize(
    "wish, possible",
    [
        ({"affinity": "instance==one"}, True),
        ({"affinity": ["role==w*"]}, True),
        ({"affinity": "role!=/^d/"}, True),
        ({"affinity": "role!=~web"}, True),
        ({"affinity": "instance!=one"}, False),
        ({"affinity": ["role!=web"]}, False),
        ({"affinity": "role==db"}, False),
        ({"locality": {"far": "ONE"}}, True),
        ({"locality": {"strict": True, "near": ["ONE"]}}, True),
        ({"locality": {"strict": True, "far": ["ONE"]}}, False),
    ],
)
def test_wishes_for_the_place_of_a_machine(dc, wish, possible):
    one = dc.create("one", **{"tag.role": "web"})
    wish = json.loads(json.dumps(wish).replace("ONE", one))
    body = {"name": "two", "image": BASE64, "package": "sample-512M", **wish}
    answer = dc.post("/my/machines", json=body)
    assert answer.status_code == (201 if possible else 409), answer.text
    if not possible:
        assert answer.json()["code"] == "InsufficientCapacity"
