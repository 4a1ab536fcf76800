"""Servers on Unix sockets, for tests of what talks to them."""

from __future__ import annotations

import socket
import threading
from pathlib import Path


class UnixServer:
    """Serves one connection after the other, in a thread of its own, until `stop`."""

    def __init__(self, path: Path) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def serve(self, connection: socket.socket) -> None:
        """What is done with a connection, which is closed afterwards."""
        raise NotImplementedError

    def stop(self) -> None:
        # close() alone would leave the thread in accept()
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._server.close()
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                connection = self._server.accept()[0]
            except OSError:
                return
            with connection:
                self.serve(connection)
