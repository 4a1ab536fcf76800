"""Which compute node a new machine gets.

All zones run on this computer, so compute nodes are names that machines have; they are given
as sdc-designation gives them: lib/algorithms/hard-filter-locality-hints.js and
soft-filter-locality-hints.js, then the node with the most memory left (score-unreserved-ram.js).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from localdc.api.engine.affinity import Locality, no_compute_resources
from localdc.api.settings import DataCenterSettings
from localdc.api.store import Store


class Placement:
    """count: how many compute nodes take new machines."""

    def __init__(self, settings: DataCenterSettings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self.count = settings.compute_nodes

    @property
    def nodes(self) -> tuple[str, ...]:
        """Ids of the compute nodes that take new machines."""
        return tuple(self._settings.node_uuid(number) for number in range(self.count))

    def choose(self, account: str, locality: Locality | None = None) -> str:
        """The compute node for a new machine of the account.

        Raises 409 InsufficientCapacity when none is as strict hints want it.  Machines of other
        accounts are no reason for anything but the memory that they take.
        """
        locality = locality or Locality()
        loads = {load.compute_node: load for load in self._store.machines.loads(account)}
        if not locality.near and not locality.far:
            free = [node for node in self.nodes if node not in loads or not loads[node].own]
            fitting: Sequence[str] = free or self.nodes
        else:
            named = (*locality.near, *locality.far)
            places = self._store.machines.places(account, named)
            near = [places.get(uuid) for uuid in locality.near]
            far = {places[uuid] for uuid in locality.far if uuid in places}
            fitting = (
                self._strict(locality, near, far) if locality.strict else self._soft(near, far)
            )
        return min(fitting, key=lambda node: loads[node].memory if node in loads else 0)

    def _strict(
        self, locality: Locality, near: Sequence[str | None], far: Collection[str]
    ) -> Sequence[str]:
        fitting = [node for node in self.nodes if node not in far]
        if not fitting:
            raise no_compute_resources("no servers with requested hard locality considered")
        if not near:
            return fitting
        if near[0] not in fitting or len(set(near)) > 1:
            raise no_compute_resources(f"exclude: inst=={','.join(locality.near)}")
        return [near[0]]

    def _soft(self, near: Collection[str | None], far: Collection[str]) -> Sequence[str]:
        apart = [node for node in self.nodes if node not in far] or self.nodes
        return [node for node in apart if node in near] or apart
