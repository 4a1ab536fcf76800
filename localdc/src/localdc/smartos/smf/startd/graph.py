"""Dependencies (smf(7)): groups of FMRIs, and whether they are satisfied or can ever be.

The answers follow graph.c of svc.startd: 1 satisfied, 0 not yet, -1 not without an administrator.
"""

# ruff: noqa: PTH110 (pathlib costs start-up time)
from __future__ import annotations

import os

from .. import fmri as fmris
from ..model import UP
from .dependency import Dependency
from .instance import Instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SATISFIED, WAITING, IMPOSSIBLE = 1, 0, -1


class Graph:
    """Answers for the instances in a mapping that the restarter keeps up to date."""

    def __init__(self, instances: Mapping[str, Instance]) -> None:
        self.instances = instances
        self.version = 0
        self._of: dict[str, list[str]] = {}
        self._dependents: dict[str, set[str]] | None = None

    def changed(self) -> None:
        """Forget what was derived from the set of instances and their dependencies."""
        self.version += 1
        self._of.clear()
        self._dependents = None

    def targets(self, entity: str) -> list[Instance]:
        """The instances that an FMRI in a dependency names."""
        if fmris.split(entity)[1] is not None:
            found = self.instances.get(entity)
            return [found] if found is not None else []
        if not self._of:
            for name in self.instances:
                self._of.setdefault(fmris.service_of(name), []).append(name)
        return [self.instances[name] for name in self._of.get(entity, ())]

    def satisfied(self, instance: Instance, seen: frozenset[str] = frozenset()) -> int:
        """Whether the instance may run."""
        result = SATISFIED
        seen = seen | {instance.fmri}
        for dependency in instance.dependencies:
            result = min(result, self.group(dependency, seen))
            if result == IMPOSSIBLE:
                break
        return result

    def group(self, dependency: Dependency, seen: frozenset[str] = frozenset()) -> int:
        """Whether one dependency group is satisfied."""
        answers = [self.entity(dependency.grouping, text, seen) for text in dependency.entities]
        if not answers:
            return SATISFIED
        if dependency.grouping == "require_any":
            return max(answers)
        return min(answers)

    def entity(self, grouping: str, text: str, seen: frozenset[str]) -> int:
        """Whether one FMRI of a group is as the grouping wants it."""
        if text.startswith("file:"):
            # as in illumos an optional file must be there, too: nobody is expected to make it
            wanted = os.path.exists(fmris.file_of(text)) != (grouping == "exclude_all")
            return SATISFIED if wanted else IMPOSSIBLE
        targets = self.targets(text)
        if grouping == "exclude_all":
            return min((_excluded(target) for target in targets), default=SATISFIED)
        if grouping == "optional_all":
            return min((self._optional(target, seen) for target in targets), default=SATISFIED)
        return max((self._required(target, seen) for target in targets), default=IMPOSSIBLE)

    def _required(self, target: Instance, seen: frozenset[str]) -> int:
        if target.state in UP:
            return SATISFIED
        if target.state in ("disabled", "maintenance") and not target.enabled_soon:
            return IMPOSSIBLE
        if target.fmri in seen:
            return IMPOSSIBLE
        below = self.satisfied(target, seen) if target.state == "offline" else WAITING
        return IMPOSSIBLE if below == IMPOSSIBLE else WAITING

    def _optional(self, target: Instance, seen: frozenset[str]) -> int:
        if target.state in UP:
            return SATISFIED
        if target.state in ("disabled", "maintenance") and not target.enabled_soon:
            return SATISFIED
        still = target.state == "offline" and target.next_state == "none"
        if still and (target.fmri in seen or self.satisfied(target, seen) == IMPOSSIBLE):
            return SATISFIED
        return WAITING

    def dependents(self, fmri: str) -> list[tuple[Instance, Dependency]]:
        """Who depends on an instance, and by which group."""
        if self._dependents is None:
            self._dependents = {}
            for instance in self.instances.values():
                for dependency in instance.dependencies:
                    for entity in dependency.entities:
                        self._dependents.setdefault(entity, set()).add(instance.fmri)
        service = fmris.service_of(fmri)
        found = []
        for name in sorted(
            self._dependents.get(fmri, set()) | self._dependents.get(service, set())
        ):
            instance = self.instances[name]
            for dependency in instance.dependencies:
                if fmri in dependency.entities or service in dependency.entities:
                    found.append((instance, dependency))
        return found

    def cycle(self, instance: Instance) -> bool:
        """Does the instance depend on itself?"""
        seen: set[str] = set()
        queue = [instance]
        while queue:
            for dependency in queue.pop().dependencies:
                if dependency.grouping == "exclude_all":
                    continue
                for entity in dependency.entities:
                    for target in self.targets(entity):
                        if target is instance:
                            return True
                        if target.fmri not in seen:
                            seen.add(target.fmri)
                            queue.append(target)
        return False


def _excluded(target: Instance) -> int:
    if target.state in UP:
        return IMPOSSIBLE
    return SATISFIED if target.state in ("disabled", "maintenance") else WAITING
