"""A real ipcontroller and real ipengines on loopback, fast and small."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from embedded.free_ports import free_block


class Ipp:
    """One controller and its engines; the profile lies below a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.security = directory / "profile_default/security"
        self.base = free_block(18)
        self.engines: list[subprocess.Popen[bytes]] = []
        self.env = {
            **os.environ,
            "IPYTHONDIR": str(directory),
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.controller = self.start_controller()

    def start_controller(self) -> subprocess.Popen[bytes]:
        # a restart takes all ports but the internal ones from the files of the last run
        again = (self.security / "ipcontroller-client.json").exists()
        first = self.base + 15 if again else self.base
        return self._python(
            "ipyparallel.controller",
            "--ip=127.0.0.1",
            "--location=127.0.0.1",
            f"--ports={first}-{self.base + 17}",
            "--ping=200",
            "--HeartMonitor.max_heartmonitor_misses=50",
            "--restore",
            "--usethreads",
            "--nodb",
        )

    def _python(self, module: str, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, f"--ipython-dir={self.directory}", *arguments],
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def connection(self, name: str) -> dict[str, Any]:
        """A connection file, as soon as the controller has written all of it."""
        deadline = time.monotonic() + 60
        while True:
            # the controller writes into the file that is there
            with contextlib.suppress(FileNotFoundError, ValueError):
                return json.loads((self.security / name).read_text())
            assert self.controller.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)

    @property
    def info(self) -> dict[str, Any]:
        return self.connection("ipcontroller-engine.json")

    def known_engines(self) -> dict[str, str]:
        """The engines, id -> uuid, that the controller would still know after a restart."""
        state = self.directory / "profile_default/log/engines.json"
        return json.loads(state.read_text())["engines"]

    def engine(self, **changes: Any) -> subprocess.Popen[bytes]:
        """Start an engine, with a changed connection if so wished."""
        info = json.dumps({**self.info, **changes})
        arguments = ["--IPEngine.enable_nanny=False", "--timeout=20"]
        engine = self._python("ipyparallel.engine", *arguments, IPP_CONNECTION_INFO=info)
        self.engines.append(engine)
        return engine

    def client(self) -> Any:
        from ipyparallel import Client

        return Client(self.connection("ipcontroller-client.json"))

    @staticmethod
    def kill(process: subprocess.Popen[bytes], sign: int = signal.SIGKILL) -> None:
        if process.poll() is None:
            os.killpg(process.pid, sign)
            process.wait(20)

    def stop(self) -> None:
        for process in (*self.engines, self.controller):
            self.kill(process)
