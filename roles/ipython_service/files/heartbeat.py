"""Wait until the heartbeat of a controller is heard: heartbeat.py ADDRESS PORT PID SECONDS.

The socket of the heartbeat is the last one that a controller opens. A beat is waited for, too:
ipyparallel forks the process of the heartbeat while threads of the controller still import, and a
lock that one of them holds at that moment stays locked in the child, which then never beats, so
that no engine could ever register.

The exit status is 0 for a beat, and else one of those below.
"""

from __future__ import annotations

import os
import socket
import sys
import time

import zmq

NOT_LISTENING = 1
ENDED = 2
NOT_BEATING = 3
BEAT_SECONDS = 15
"""How long a controller that is listening may take for its first beat."""


def wait(address: str, port: int, pid: int, seconds: float) -> int:
    """Wait for a beat, and return the exit status.

    Args:
        address: where the controller is to listen, without "tcp://".
        port: of the socket that beats (hb_ping).
        pid: process of the controller; there is nothing to wait for when it has ended.
        seconds: how long it may take until it is listening.
    """
    deadline = time.time() + seconds
    heart = zmq.Context().socket(zmq.SUB)
    heart.linger = 0
    heart.subscribe("")
    listening = False
    while time.time() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ENDED
        if listening and heart.poll(50):
            return 0
        if not listening:
            try:
                socket.create_connection((address, port), 1).close()
            except OSError:
                time.sleep(0.05)
                continue
            listening = True
            heart.connect(f"tcp://{address}:{port}")
            deadline = min(deadline, time.time() + BEAT_SECONDS)
    return NOT_BEATING if listening else NOT_LISTENING


if __name__ == "__main__":
    sys.exit(wait(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
