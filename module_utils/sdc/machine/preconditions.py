"""What must hold before anything is changed, made or paid for."""

from __future__ import annotations

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import DataCenter, config
from ansible.module_utils.sdc.machine.login import key_problem
from ansible.module_utils.sdc.machine.plan import Plan, taken_names
from ansible.module_utils.sdc.machine.quota import exceeded, limits_of
from ansible.module_utils.sdc.machine.specification import Specification
from ansible.module_utils.sdc.offers import Offers


class Preconditions:
    """Looks for what would let a plan fail half-way."""

    def __init__(
        self,
        api: DataCenter,
        settings: config.Settings,
        offers: Offers,
        specification: Specification,
    ) -> None:
        self.api = api
        self.settings = settings
        self.offers = offers
        self.specification = specification
        self.params = specification.params

    def check(self, plan: Plan) -> None:
        """See that the plan can be carried out as a whole.

        :raises Refused: it cannot
        :raises LookupFailed: it names a package that the data center does not have
        """
        self._max_delete(plan)
        if self.specification.state == "absent":
            self._deletion_protection(plan)
        self._packages(plan)
        self._names(plan)
        self._quota(plan)
        self._key(plan)

    def _max_delete(self, plan: Plan) -> None:
        limit = self.params["max_delete"]
        if limit is not None and len(plan.delete) > limit:
            names = ", ".join(sorted(str(machine["name"]) for machine in plan.delete))
            raise Refused(
                f"{len(plan.delete)} machines would be deleted, but max_delete is {limit}: {names}"
            )

    def _deletion_protection(self, plan: Plan) -> None:
        """One protected machine spares the others, which would be halted or gone by then."""
        bound = [machine for machine in plan.delete if machine.get("deletion_protection")]
        if not bound or self.params["deletion_protection"] is False:
            return
        names = ", ".join(sorted(str(machine["name"]) for machine in bound))
        raise Refused(
            f"deletion_protection is on for {names}: nothing was deleted; "
            "write deletion_protection: false to delete them all the same",
            code="CannotDestroyMachineError",
            status=409,
            machine_id=bound[0]["id"],
        )

    def _packages(self, plan: Plan) -> None:
        for update in plan.update:
            if update.package:
                self.offers.package(update.package)

    def _names(self, plan: Plan) -> None:
        if not plan.create or not self.specification.counting:
            return
        wanted = [creation.name for creation in plan.create]
        taken = taken_names(wanted, self.api.list_machines())
        if taken:
            holders = ", ".join(f"{name} ({taken[name]['id']})" for name in sorted(taken))
            raise Refused(
                f"{len(taken)} of {len(wanted)} new machines would have the name of one that is "
                f"there and lacks the selector's tags {dict(self.specification.selector)}: "
                f"{holders}. Nothing was made. Rename or delete it, or give it these tags if it "
                "belongs here"
            )

    def _quota(self, plan: Plan) -> None:
        """A single machine is refused by the data center as well, and leaves nothing."""
        if len(plan.create) < 2:
            return
        wanted = [
            (
                self.offers.package(creation.payload["package"]),
                self.offers.image(creation.payload["image"]),
            )
            for creation in plan.create
        ]
        problems = exceeded(limits_of(self.api), wanted)
        if problems:
            raise Refused(
                f"the account's limits do not allow {len(plan.create)} more machines: this needs "
                f"{'; '.join(problems)}. Nothing was created. Ask for fewer or smaller machines, "
                "delete others, or have the limits raised by the data center's operator"
            )

    def _key(self, plan: Plan) -> None:
        """The key that signs should open the new machines."""
        wanted: bool | None = self.params["check_key"]
        if wanted is None:
            # a script of the machine's own may add the key
            bare = any("user-script" not in new.payload["metadata"] for new in plan.create)
            wanted = self.params["wait"] == "ssh" and bare
        problem = key_problem(self.api, self.settings) if plan.create and wanted else ""
        if problem:
            raise Refused(problem)
