"""A TCP proxy that cuts connections at random: with or without a word, in the middle of what is sent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress


class CuttingProxy:
    """Between clients and a server on 127.0.0.1.

    Args:
        port: Of the server.
        random: Chooses what is done to which connection.

    Attributes:
        cuts: Kind of cut to how often it was done.
    """

    def __init__(self, port, random):
        self._to = port
        self._random = random
        self._pairs = set()
        self._tasks = set()
        self.cuts = {"reset": 0, "end": 0, "torn": 0, "half-open": 0, "deaf": 0, "mute": 0}

    @asynccontextmanager
    async def running(self):
        """The port on which it listens."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        async with server:
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                for pair in list(self._pairs):
                    pair.abort()
                for task in list(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        pair = None
        try:
            there = await asyncio.open_connection("127.0.0.1", self._to)
            pair = _Pair(reader, writer, *there)
            self._pairs.add(pair)
            await pair.carry()
        except (OSError, asyncio.CancelledError):
            # Cancelled at the end, by `running`: Python 3.11 logs an error where this task ends as cancelled.
            pass
        finally:
            self._pairs.discard(pair)
            if pair is not None:
                pair.abort()
            writer.close()
            self._tasks.discard(task)

    def cut(self):
        """Do something bad to one connection that is whole."""
        whole = [pair for pair in self._pairs if pair.is_whole]
        if whole:
            kind = self._random.choice(list(self.cuts))
            self.cuts[kind] += 1
            self._random.choice(whole).cut(kind, self._random)


class _Pair:
    def __init__(self, client_reader, client, server_reader, server):
        self._ways = [(client_reader, server), (server_reader, client)]
        self._writers = (client, server)
        self._silent = [False, False]
        self._torn = [None, None]
        self.is_whole = True

    async def carry(self):
        await asyncio.gather(self._carry(0), self._carry(1))

    async def _carry(self, way):
        reader, writer = self._ways[way]
        with suppress(OSError):
            while octets := await reader.read(65536):
                if self._silent[way]:
                    continue
                if self._torn[way] is not None:
                    writer.write(octets[: int(len(octets) * self._torn[way])])
                    await asyncio.sleep(0)
                    break
                writer.write(octets)
                await writer.drain()
        self.abort()

    def cut(self, kind, random):
        self.is_whole = False
        if kind == "reset":
            self.abort()
        elif kind == "end":
            for writer in self._writers:
                writer.close()
        elif kind == "torn":
            self._torn[random.randrange(2)] = random.random()
        else:
            # Nothing is closed: who waits for an answer has to notice by itself.
            self._silent = [kind in ("half-open", "deaf"), kind in ("half-open", "mute")]

    def abort(self):
        self.is_whole = False
        for writer in self._writers:
            if not writer.is_closing():
                writer.transport.abort()
