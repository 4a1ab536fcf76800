"""Names of machines as Triton's Container Name Service makes them (CloudAPI §10).

No name server answers for them: `localdc connect` and ssh through it know them.
"""

from __future__ import annotations

from localdc.api.model import Account, Machine
from localdc.api.settings import DataCenterSettings

SERVICES = "triton.cns.services"
DISABLED = "triton.cns.disable"


def suffixes(account: Account, settings: DataCenterSettings) -> list[str]:
    """What the names of an account's machines end with, by login and by uuid."""
    domain = f"{settings.name}.{settings.dns_domain}"
    kinds = ("svc", "inst")
    owners = (account.uuid, account.login)
    return [f"{kind}.{owner}.{domain}" for kind in kinds for owner in owners]


def names(machine: Machine, account: Account, settings: DataCenterSettings) -> list[str]:
    """The machine's names; none when the account or the machine does not want them."""
    if not account.cns_enabled or machine.tags.get(DISABLED) in (True, "true"):
        return []
    domain = f"{settings.name}.{settings.dns_domain}"
    owners = (account.uuid, account.login)
    labels = dict.fromkeys((machine.uuid, machine.name.lower()))
    found = [f"{label}.inst.{owner}.{domain}" for label in labels for owner in owners]
    services = machine.tags.get(SERVICES)
    if isinstance(services, str):
        wanted = [service.partition(":")[0].strip() for service in services.split(",")]
        found += [f"{service}.svc.{owner}.{domain}" for service in wanted for owner in owners]
    return found
