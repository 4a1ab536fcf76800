"""What one engine does in wave2d.py: its block of the membrane, and its neighbours.

wave2d.py runs this file on every engine. Neighbours exchange the borders of their blocks
over TCP connections of their own, without the controller.
"""

from __future__ import annotations

import hmac
import socket
import struct
from collections.abc import Collection

import numpy as np

TIMEOUT = 60.0  # seconds for a neighbour to connect, or to send its border
STRIP = 8192  # points that are worked on together
FITS = 32768  # bytes that any socket takes without anybody at the other end reading


def engine_address() -> str:
    """Address of this machine on the network where the controller is, and so the other engines."""
    from ipyparallel.engine.app import IPEngine

    host, port = IPEngine.instance().registration_url.removeprefix("tcp://").rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, int(port)))
        return str(probe.getsockname()[0])


def read_exactly(link: socket.socket, buffer: memoryview) -> None:
    """Fill the buffer from the connection."""
    while buffer:
        size = link.recv_into(buffer)
        if not size:
            raise ConnectionError("the engine of the neighbouring block has gone")
        buffer = buffer[size:]


class Block:
    """The block at (column, row) of a grid of blocks, with a frame of one point around it.

    u_tt = u_xx + u_yy on the unit square, u = 0 on its border, du/dt = 0 at t = 0, in second
    order differences with the longest time step that is stable. With that step the factor of
    the middle point vanishes: u(t+dt) = cx (left + right) + cy (below + above) - u(t-dt).
    """

    def __init__(self, place: tuple[int, int], blocks: tuple[int, int], grid: tuple[int, int]):
        self.place, self.blocks = place, blocks
        # interior points 1..n-1 of each direction, dealt out as evenly as it goes
        (x0, x1), (y0, y1) = (
            (1 + (n - 1) * k // parts, 1 + (n - 1) * (k + 1) // parts)
            for k, parts, n in zip(place, blocks, grid, strict=True)
        )
        dx, dy = 1.0 / grid[0], 1.0 / grid[1]
        self.dt = 1.0 / np.sqrt(1.0 / dx**2 + 1.0 / dy**2)
        self.cx, self.cy = (self.dt / dx) ** 2, (self.dt / dy) ** 2
        x = dx * np.arange(x0 - 1, x1 + 1)[:, np.newaxis]
        y = dy * np.arange(y0 - 1, y1 + 1)[np.newaxis, :]
        self.now = 1.5 * np.exp(-100.0 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))
        self.before = np.zeros_like(self.now)
        strip = max(1, STRIP // self.now.shape[1])
        self.scratch = np.empty((2, strip, self.now.shape[1] - 2))
        # symmetry in time: u(-dt) = u(dt), which is half of what the formula gives from zero
        self._advance(self.now, self.before, 1, len(self.now) - 1)
        self.before *= 0.5
        self.links: dict[tuple[int, int], socket.socket] = {}
        self.listener: socket.socket | None = None

    def listen(self) -> tuple[str, int]:
        """Open the port to which neighbours connect; return its address."""
        self.listener = socket.create_server((engine_address(), 0))
        self.listener.settimeout(TIMEOUT)
        host, port = self.listener.getsockname()[:2]
        return str(host), int(port)

    def connect(self, addresses: dict[tuple[int, int], tuple[str, int]], token: bytes) -> None:
        """Connect to the neighbours to the left and below, then wait for the other two.

        Args:
            addresses: what listen() returned, by block
            token: secret of this computation; who does not know it is not a neighbour
        """
        if self.listener is None:
            raise RuntimeError("listen() comes before connect()")
        column, row = self.place
        hello = token + struct.pack("!ii", column, row)
        for step in ((-1, 0), (0, -1)):
            other = (column + step[0], row + step[1])
            if other in addresses:
                link = socket.create_connection(addresses[other], TIMEOUT)
                link.sendall(hello)
                self._keep(step, link)
        expected = {(1, 0), (0, 1)} & {(c - column, r - row) for c, r in addresses}
        while not expected <= self.links.keys():
            link, _ = self.listener.accept()
            link.settimeout(TIMEOUT)
            greeting = bytearray(len(hello))
            read_exactly(link, memoryview(greeting))
            c, r = struct.unpack("!ii", greeting[len(token) :])
            if hmac.compare_digest(bytes(greeting[: len(token)]), token):
                self._keep((c - column, r - row), link)
            else:
                link.close()
        self.listener.close()

    def _keep(self, step: tuple[int, int], link: socket.socket) -> None:
        link.settimeout(TIMEOUT)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.links[step] = link

    def _advance(self, now: np.ndarray, before: np.ndarray, first: int, last: int) -> None:
        """Replace u(t-dt) by u(t+dt) in the rows first..last-1, in strips that fit the cache."""
        rows = len(self.scratch[0])
        for top in range(first, last, rows):
            end = min(top + rows, last)
            a, b = (work[: end - top] for work in self.scratch)
            np.add(now[top - 1 : end - 1, 1:-1], now[top + 1 : end + 1, 1:-1], out=a)
            np.multiply(a, self.cx, out=a)
            np.add(now[top:end, :-2], now[top:end, 2:], out=b)
            np.multiply(b, self.cy, out=b)
            np.add(a, b, out=a)
            np.subtract(a, before[top:end, 1:-1], out=before[top:end, 1:-1])

    def _step(self) -> None:
        """One time step: while the borders to the left and right travel, the rest is computed."""
        now, new = self.now, self.before
        last = len(now) - 1
        rows = {(-1, 0): (1, 0), (1, 0): (last - 1, last)}
        ahead = {s: rows[s] for s in rows if s in self.links and new[0].nbytes <= FITS}
        done = sorted({mine for mine, _ in ahead.values()})
        for row in done:
            self._advance(now, new, row, row + 1)
        self._send([(self.links[s], new[mine]) for s, (mine, _) in ahead.items()])
        self._advance(now, new, 1 + (1 in done), max(last - (last - 1 in done), 1 + (1 in done)))
        self._receive([(self.links[s], new[theirs]) for s, (_, theirs) in ahead.items()])
        self._exchange(new, self.links.keys() - ahead.keys())
        self.now, self.before = new, now

    def _exchange(self, u: np.ndarray, sides: Collection[tuple[int, int]]) -> None:
        """Swap borders with the neighbours on these sides, along x, then along y.

        Even blocks send first and odd ones receive first, so that a border larger than the
        socket's buffer does not stop everybody in sendall().
        """
        borders = {
            (-1, 0): (u[1, :], u[0, :]),
            (1, 0): (u[-2, :], u[-1, :]),
            (0, -1): (u[:, 1], u[:, 0]),
            (0, 1): (u[:, -2], u[:, -1]),
        }
        for axis in (0, 1):
            steps = [s for s in ((-1, 0), (1, 0), (0, -1), (0, 1)) if s[axis] and s in sides]
            send = [(self.links[s], borders[s][0]) for s in steps]
            receive = [(self.links[s], borders[s][1]) for s in steps]
            plan = [(self._send, send), (self._receive, receive)]
            for action, pairs in plan if self.place[axis] % 2 == 0 else reversed(plan):
                action(pairs)

    @staticmethod
    def _send(pairs: list[tuple[socket.socket, np.ndarray]]) -> None:
        for link, border in pairs:
            link.sendall(np.ascontiguousarray(border).data)

    @staticmethod
    def _receive(pairs: list[tuple[socket.socket, np.ndarray]]) -> None:
        for link, border in pairs:
            data = np.empty(border.shape)
            read_exactly(link, data.data.cast("B"))
            border[:] = data

    def run(self, until: float) -> float:
        """Advance to the given time; return the sum of the squares over the block's points."""
        t = 0.0
        while t <= until:
            t += self.dt
            self._step()
        for link in self.links.values():
            link.close()
        return float(np.sum(self.now[1:-1, 1:-1] ** 2))
