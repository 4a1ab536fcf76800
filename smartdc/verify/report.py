"""Where two data centers answer differently."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .answers import Answer, Probe

INCOMPARABLE = "empty"


@dataclass(frozen=True, slots=True)
class Difference:
    """One aspect of one probe's answer: what was expected, and what came."""

    probe: str
    aspect: str
    expected: Any
    found: Any

    def lines(self) -> list[str]:
        """A diff; `-` is the embedded data center."""
        diff = difflib.unified_diff(_lines(self.expected), _lines(self.found), lineterm="", n=1)
        return [line for line in diff if not line.startswith(("---", "+++"))]


def differences(
    expected: Mapping[str, Answer], found: Mapping[str, Answer]
) -> Iterator[Difference]:
    """All differences, in the order of the probes that were run."""
    for name, answer in found.items():
        known = expected.get(name, {})
        for aspect in sorted({*known, *answer}):
            sides = known.get(aspect, "absent"), answer.get(aspect, "absent")
            if sides[0] != sides[1] and INCOMPARABLE not in sides:
                yield Difference(name, aspect, *sides)


def silent(expected: Mapping[str, Answer], found: Mapping[str, Answer]) -> list[str]:
    """Probes that could not be compared: one side has nothing of the kind, or was not asked."""
    return [
        name
        for name, answer in found.items()
        if "not asked" in answer
        or INCOMPARABLE in answer.values()
        or INCOMPARABLE in expected.get(name, {}).values()
    ]


def markdown(
    title: str,
    probes: Iterable[Probe],
    expected: Mapping[str, Answer],
    found: Mapping[str, Answer],
    seconds: Mapping[str, float],
) -> str:
    """The report, for people."""
    assumptions = {probe["name"]: probe["assumes"] for probe in probes}
    seen = list(differences(expected, found))
    odd = {difference.probe for difference in seen}
    text = [f"# {title}", "", f"{len(found)} probes, {len(odd)} with another answer.", ""]
    for name in dict.fromkeys(difference.probe for difference in seen):
        text += [f"## {name}", "", assumptions.get(name, ""), ""]
        for difference in seen:
            if difference.probe == name:
                text += [f"{difference.aspect}:", "", "```diff", *difference.lines(), "```", ""]
    unknown = silent(expected, found)
    if unknown:
        text += [f"Not compared: {', '.join(unknown)}.", ""]
    if seconds:
        text += ["| waited for | seconds |", "|---|---|"]
        text += [f"| {name} | {value:g} |" for name, value in seconds.items()] + [""]
    return "\n".join(text)


def _lines(value: Any) -> list[str]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
