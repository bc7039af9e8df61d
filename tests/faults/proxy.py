"""A proxy in front of a server, which can lose a commit: the request or the response."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

# In SQL, where COMMITTED is an isolation level, and in MongoDB's commands.
COMMIT = re.compile(rb"COMMIT(?!TED)|commitTransaction")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Forwards connections to a server, and loses a commit on demand."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._losing: str | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    def lose(self, what: str) -> None:
        """Break the connection of the next commit before its "request" or its "response"."""
        self._losing = what

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        server = await asyncio.open_connection(*self._target)
        both = {writer, server[1]}
        self._writers |= both
        try:
            await self._forward((reader, writer), server)
        finally:
            for each in both:
                each.transport.abort()
            self._writers -= both
            self._serving.discard(task)

    async def end(self) -> None:
        """Break all connections, and wait until they are closed."""
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _forward(self, application: Streams, server: Streams) -> None:
        """Forward until either side closes, or a commit has to be lost."""
        responding = asyncio.ensure_future(_copy(server[0], application[1]))
        try:
            while data := await _read(application[0]):
                lost = self._losing if COMMIT.search(data) else None
                self._losing = None if lost else self._losing
                if lost == "request":
                    return
                if lost == "response":
                    responding.cancel()
                server[1].write(data)
                if lost == "response":
                    # When the server responds, it has committed.
                    await asyncio.wait({responding})
                    await _read(server[0])
                    return
        finally:
            responding.cancel()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await _read(reader):
        writer.write(data)
    writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    with suppress(OSError):
        return await reader.read(65536)
    return b""


@asynccontextmanager
async def lossy(target: tuple[str, int]) -> AsyncIterator[Proxy]:
    """Run a proxy in front of the server at an address."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
