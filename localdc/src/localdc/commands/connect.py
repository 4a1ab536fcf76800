"""ssh's ProxyCommand: get a connected socket to a machine and hand it to ssh.

Run as `python -IS connect.py CONTROL_SOCKET HOST PORT`.  Imports nothing but
a few modules of the standard library, because every ssh pays for it.  With
`ProxyUseFdpass` stdout is a unix socket and gets the descriptor; otherwise
bytes are copied between stdin, stdout and the machine.

`python -IS connect.py --knows CONTROL_SOCKET HOST` only tells, by its exit
status, whether HOST is the address of a machine: for `Match exec` of ssh_config.
"""

import json
import os
import socket
import sys

CHUNK = 65536


def call(control: str) -> socket.socket:
    """The daemon, on its control socket.

    Raises OSError with a sentence for the user.
    """
    directory, name = os.path.split(control)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The path itself may be longer than sockaddr_un allows.
        handle = os.open(directory or ".", os.O_PATH | os.O_DIRECTORY)
        client.connect(f"/proc/self/fd/{handle}/{name}")
        os.close(handle)
    except OSError:
        raise OSError("the data center is not running; python -m localdc start") from None
    return client


def knows(control: str, host: str, kind: str = "known") -> bool:
    """Whether `host` is the address of a machine of a running data center.

    `kind` fabric: of one that is reached only through another machine.
    """
    try:
        client = call(control)
        client.sendall(json.dumps({"op": "knows", "host": host}).encode() + b"\n")
        return bool(json.loads(client.recv(CHUNK)).get(kind))
    except (OSError, ValueError):
        return False


def fetch(control: str, host: str, port: int) -> socket.socket:
    """A TCP connection to `host`:`port`, made inside the data center.

    Raises OSError with a sentence for the user.
    """
    client = call(control)
    request = {"op": "connect", "host": host, "port": port}
    client.sendall(json.dumps(request).encode() + b"\n")
    reply, descriptors, _, _ = socket.recv_fds(client, CHUNK, 1)
    client.close()
    if not descriptors:
        error = json.loads(reply).get("error") if reply else None
        raise OSError(error or "the data center hung up")
    return socket.socket(fileno=descriptors[0])


def relay(connection: socket.socket) -> None:
    """Copy until the machine hangs up; an end of stdin is passed on."""
    import selectors

    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is connection:
                data = connection.recv(CHUNK)
                if not data:
                    return
                while data:
                    data = data[os.write(1, data) :]
            else:
                data = os.read(0, CHUNK)
                if data:
                    connection.sendall(data)
                else:
                    selector.unregister(0)
                    connection.shutdown(socket.SHUT_WR)


def hand_over(connection: socket.socket) -> bool:
    """Pass the connection to the program on stdout; False when that takes none."""
    import stat

    if not stat.S_ISSOCK(os.fstat(1).st_mode):
        return False
    try:
        with socket.socket(fileno=os.dup(1)) as out:
            if out.family != socket.AF_UNIX:
                return False
            socket.send_fds(out, [b"\0"], [connection.fileno()])
    except OSError:
        return False
    return True


def main(control: str, host: str, port: str) -> int:
    """Connect and serve; the exit status of the program."""
    try:
        connection = fetch(control, host, int(port))
        if not hand_over(connection):
            relay(connection)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"localdc: {host} port {port}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: connect.py CONTROL_SOCKET HOST PORT | --knows CONTROL_SOCKET HOST")
    if sys.argv[1] == "--knows":
        sys.exit(0 if knows(*sys.argv[2:]) else 1)
    if sys.argv[1] == "--knows-fabric":
        sys.exit(0 if knows(sys.argv[2], sys.argv[3], "fabric") else 1)
    sys.exit(main(*sys.argv[1:]))
