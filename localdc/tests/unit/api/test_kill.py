"""Sudden death at any moment: what was acknowledged stays, and nothing else appears."""

import os
import random
import sqlite3
import time
from collections import Counter

import pytest

from .killing import CHANGES, Client, Found, Ledger, Victim, Visitor

MACHINES = 200
KILLS = 12
SEED = int(os.environ.get("LOCALDC_TEST_SEED", "20131104"))


@pytest.fixture
def victim(tmp_path, key):
    victim = Victim(tmp_path, key)
    victim.start(0)
    try:
        victim.make_networks()
        yield victim
    finally:
        victim.kill()


@pytest.fixture
def ledger(victim):
    ledger = Ledger()
    ledger.is_now(("config", "default_network"), Found(victim).value(("config", "default_network")))
    return ledger


def test_kill_9_loses_and_doubles_nothing(victim, ledger):
    """200 machines by 16 clients at once; the daemon is killed again and again meanwhile."""
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    todo = [f"m{n:03d}" for n in range(MACHINES)]
    kills = 0
    victim.kill()
    while todo:
        victim.start(0.02)
        kills += visit(victim, ledger, todo, dice, kill=kills < KILLS)
        kills += revive(victim, dice)
        adopt(victim, ledger)
        victim.kill()
        made = set(ledger.names().values())
        todo = [name for name in todo if name not in made]

    victim.start(0)
    finish_jobs(victim)
    found = Found(victim)
    assert len(ledger.names()) == len(found.machines) == MACHINES
    assert ledger.lost(found) == {}
    assert {volume["state"] for volume in found.volumes.values()} <= {"ready"}
    alive = [m for m in found.machines.values() if m["state"] == "running"]
    check_addresses(alive, victim.networks[0])
    victim.kill()
    assert addresses_held(victim) == sum(len(machine["ips"]) for machine in alive)
    assert open_jobs(victim) == 0
    print(f"{len(alive)} running, {MACHINES - len(alive)} deleted, {kills} kills")


class Loaded(random.Random):
    """Dice with which nothing that is made is deleted again."""

    def random(self):
        return 0.5


def test_a_commit_that_comes_after_the_answer_is_missed(victim, ledger):
    """The check above sees each kind of change that a kill undoes."""
    client = Client(victim, ledger, Loaded())
    machines = {change: client.create(change.__name__) for change in CHANGES}
    victim.settled()
    finish_jobs(victim)
    victim.kill()

    victim.start(0, commit_delay=600)
    client = Client(victim, ledger, client.dice)
    before = {thing: set(possible) for thing, possible in ledger.possible.items()}
    for change, uuid in machines.items():
        change(client, uuid, change.__name__)
    client.create("late")
    changed = {t for t, possible in ledger.possible.items() if possible != before.get(t, {None})}
    assert ledger.lost(Found(victim)) == {}
    victim.kill()

    victim.start(0)
    assert ledger.lost(Found(victim)).keys() == changed
    words = {word for word, _ in changed}
    assert words >= {"state", "name", "package", "tag", "metadata", "nic", "snapshots"}
    assert words >= {"rule", "volume", "key", "config"}


def visit(victim, ledger, todo, dice, *, kill):
    """Clients at work, and the death of the data center; how often it was killed."""
    visitors = [
        Visitor(victim, ledger, todo[n::16], random.Random(dice.random())) for n in range(16)
    ]
    for visitor in visitors:
        visitor.start()
    if kill:
        time.sleep(dice.uniform(0.02, 0.25))
        victim.kill()
    for visitor in visitors:
        visitor.join()
        if visitor.error:
            raise visitor.error
    return int(kill)


def revive(victim, dice):
    """Start it again where it was killed; how often it died in the midst of repairing itself."""
    if victim.process.poll() is None:
        return 0
    victim.start(0.02)
    if dice.random() < 0.5:
        return 0
    time.sleep(dice.uniform(0, 0.05))
    victim.kill()
    victim.start(0.02)
    return 1


def adopt(victim, ledger):
    """What was created without the answer arriving counts by its name."""
    machines = victim.settled()
    names = Counter(m["name"] for m in machines.values() if m["state"] != "deleted")
    assert not names or max(names.values()) == 1
    for uuid in machines.keys() - ledger.names().keys():
        ledger.new_machine(uuid, machines[uuid]["name"])


def check_addresses(alive, fabric):
    addresses = [ip for m in alive for ip in m["ips"]]
    macs = [nic["mac"] for m in alive for nic in m["nics"]]
    assert len(addresses) == len(set(addresses)) == len(macs) == len(set(macs))
    for machine in alive:
        networks = machine["networks"]
        assert len(networks) == len(set(networks)) == 2 + (fabric in networks)
        assert all(nic["state"] == "running" for nic in machine["nics"])


def finish_jobs(victim):
    victim.settled()
    deadline = time.monotonic() + 60
    while open_jobs(victim):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def open_jobs(victim):
    return count(victim, "jobs WHERE state IN ('queued', 'running')")


def addresses_held(victim):
    return count(victim, "addresses")


def count(victim, what):
    db = sqlite3.connect(victim.store)
    (number,) = db.execute(f"SELECT count(*) FROM {what}").fetchone()
    db.close()
    return number
