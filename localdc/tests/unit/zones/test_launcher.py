"""The launcher when the kernel refuses it something."""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path

import pytest

from localdc.zones.container import Launch
from localdc.zones.launchclient import LaunchClient, LaunchError
from localdc.zones.launcher import fork_launcher

# fails in its first step, since the descriptor that goes along is no namespace
LAUNCH = Launch("zone", "/nonexistent", "zone", ("/nonexistent",), (), (), "/nonexistent")


def test_a_shortage_of_descriptors_fails_one_launch() -> None:
    pid, channel = fork_launcher()
    lost: list[bool] = []

    async def scenario() -> None:
        client = LaunchClient(channel, lambda *_: None, lambda: lost.append(True))
        client.open()
        null = os.open(os.devnull, os.O_RDONLY)
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)

        async def idle() -> None:
            """It answers first, and closes afterwards what came with a request."""
            while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
                await asyncio.sleep(0.001)

        async def failure(spare: int) -> str:
            """Why a launch fails while the launcher may open so many more descriptors."""
            await asyncio.wait_for(idle(), 10)
            taken = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
            soft = [number for number in range(200) if number not in taken][spare]
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, limits[1]))
            with pytest.raises(LaunchError) as caught:
                await asyncio.wait_for(client.launch(LAUNCH, null), 10)
            return str(caught.value)

        assert "enter the network namespace" in await failure(100)
        assert await failure(0) == "the network namespace did not arrive"
        for spare in (1, 2):
            assert await failure(spare) == "fork a process: Too many open files"
        assert "enter the network namespace" in await failure(100)
        os.close(null)
        client.close()

    asyncio.run(scenario())
    assert os.waitpid(pid, 0)[1] == 0
    assert not lost
