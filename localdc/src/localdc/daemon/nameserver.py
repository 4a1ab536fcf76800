"""The data center's name server: authoritative for the zones of CNS, for nothing else.

It does not recurse.  What lies outside its zones gets SERVFAIL at once, as
triton-cns answers it, so that a resolver asks its next server instead of waiting.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from collections.abc import Iterable
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from localdc.api.engine.cns import Answer, Cns

log = logging.getLogger(__name__)

PORT = 53
TTL = 30
PLAIN_UDP = 512
LARGEST_UDP = 1232
"""What passes without fragments on any path, DNS flag day 2020."""
LARGEST = 65535
IDLE_SECONDS = 10.0
REFUSED_TYPES = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)


class NameServer:
    """Answers over UDP and TCP (RFC 1035, 6891, 7766)."""

    def __init__(self, cns: Cns) -> None:
        self._cns = cns
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []
        self._clients: set[asyncio.StreamWriter] = set()

    async def open(self, addresses: Iterable[str], port: int = PORT) -> None:
        """Listen on these addresses; raises OSError."""
        bound = [_bound(address, port) for address in addresses]
        loop = asyncio.get_running_loop()
        for datagrams, streams in bound:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self), sock=datagrams
            )
            self._datagrams.append(transport)
            self._servers.append(await asyncio.start_server(self._serve, sock=streams))

    @property
    def port(self) -> int:
        """Where it listens, also when it was opened with port 0."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    def close(self) -> None:
        for transport in self._datagrams:
            transport.close()
        for server in self._servers:
            server.close()
        for client in list(self._clients):
            client.close()

    def reply(self, wire: bytes, *, stream: bool) -> bytes | None:
        """The answer to one message; None for what must not be answered."""
        try:
            query = dns.message.from_wire(wire, ignore_trailing=True)
        except dns.exception.DNSException:
            return _format_error(wire)
        if query.flags & dns.flags.QR:
            return None
        response = dns.message.make_response(query, our_payload=LARGEST_UDP)
        self._fill(query, response)
        if stream:
            return response.to_wire(max_size=LARGEST)
        room = min(max(query.payload, PLAIN_UDP), LARGEST_UDP) if query.edns >= 0 else PLAIN_UDP
        return response.to_wire(max_size=room, prefer_truncation=True)

    def _fill(self, query: dns.message.Message, response: dns.message.Message) -> None:
        if query.opcode() != dns.opcode.QUERY:
            response.set_rcode(dns.rcode.NOTIMP)
            return
        if len(query.question) != 1:
            response.set_rcode(dns.rcode.FORMERR)
            return
        question = query.question[0]
        if question.rdclass != dns.rdataclass.IN or question.rdtype in REFUSED_TYPES:
            response.set_rcode(dns.rcode.REFUSED)
            return
        found = self._cns.lookup(question.name.to_text(omit_final_dot=True).lower())
        if found is None:
            response.set_rcode(dns.rcode.SERVFAIL)
            return
        response.flags |= dns.flags.AA
        answers = self._rrsets(question, found)
        response.answer.extend(answers)
        if not answers:
            response.authority.append(_rrset(dns.name.from_text(found.zone), self._soa(found.zone)))
        if found.records is None:
            response.set_rcode(dns.rcode.NXDOMAIN)

    def _rrsets(self, question: dns.rrset.RRset, found: Answer) -> list[dns.rrset.RRset]:
        records = [(record.kind, record.data) for record in found.records or ()]
        if question.name == dns.name.from_text(found.zone):
            records = [self._soa(found.zone), ("NS", f"{self._cns.server(found.zone)}.")]
        wanted = dns.rdatatype.to_text(question.rdtype)
        kinds = dict.fromkeys(kind for kind, _ in records if wanted in (kind, "ANY"))
        return [
            _rrset(question.name, *(record for record in records if record[0] == kind))
            for kind in kinds
        ]

    def _soa(self, zone: str) -> tuple[str, str]:
        """The serial is the time: the zone may have changed since the last question."""
        server = self._cns.server(zone)
        return "SOA", f"{server}. hostmaster.{zone}. {int(time.time())} 120 60 3600 {TTL}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    wire = await reader.readexactly(length)
                answer = self.reply(wire, stream=True)
                if answer is None:
                    return
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            log.debug("a client of the name server hung up")
        finally:
            self._clients.discard(writer)
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own is no subclass of DatagramTransport before Python 3.12
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        answer = self._server.reply(data, stream=False)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, address)


def _bound(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same port."""
    streams = socket.create_server((address, port))
    try:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(streams.getsockname())
    except BaseException:
        streams.close()
        raise
    datagrams.setblocking(False)
    return datagrams, streams


def _rrset(name: dns.name.Name, *records: tuple[str, str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name, TTL, "IN", records[0][0], [data for _, data in records])


def _format_error(wire: bytes) -> bytes | None:
    """FORMERR with the id of a message that cannot be read, if so much of it is there."""
    if len(wire) < 12 or wire[2] & 0x80:
        return None
    response = dns.message.Message(id=int.from_bytes(wire[:2], "big"))
    response.flags = dns.flags.QR
    response.set_rcode(dns.rcode.FORMERR)
    return response.to_wire()
