"""Fair scheduling: requests with much work do not delay all others, such as health checks.

The event loop continues every request that is ready before it looks for new ones. If the database
has returned several large pages at the same time, or hundreds of requests arrive at once, a health
check would wait for all of them.
"""

import asyncio
import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

# Seconds of work in one iteration of the event loop after which others continue in a later one.
LONG = 0.02

# Iterations for which requests pause after long work: uvloop accepts one connection in each, and
# reads from it in a later one. Without work, an iteration takes some microseconds.
PAUSE = 100


class FairScheduling:
    """ASGI middleware: after long work of requests, the event loop looks for new ones first.

    Requests for the path `urgent`, and for those below it, never wait for others.
    """

    def __init__(self, app: ASGIApp, urgent: str) -> None:
        self._app = app
        self._urgent = urgent
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seconds = 0.0
        self._pause: asyncio.Event | None = None
        self._iterations = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if f"{scope.get('path', '')}/".startswith(f"{self._urgent}/"):
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # A pause does not end if its event loop ends first, as in tests.
            self._loop, self._seconds, self._pause = loop, 0.0, None
        while self._pause:
            await self._pause.wait()
        handling: Any = self._app(scope, receive, send)
        await self._in_steps(handling)

    @coroutine
    def _in_steps(self, handling: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        """Run a coroutine from one await to the next, with a pause where others took long."""
        error: BaseException | None = None
        while True:
            started = time.perf_counter()
            try:
                waits_for = handling.send(None) if error is None else handling.throw(error)
            except StopIteration:
                return
            finally:
                self._count(time.perf_counter() - started)
            error = None
            try:
                yield waits_for
                while self._pause:
                    yield from self._pause.wait().__await__()
            except BaseException as raised:
                error = raised

    def _count(self, seconds: float) -> None:
        if not self._seconds:
            asyncio.get_running_loop().call_soon(self._begin_iteration)
        self._seconds += seconds
        if self._seconds > LONG and not self._pause:
            self._pause = asyncio.Event()
            self._iterations = 0

    def _begin_iteration(self) -> None:
        self._seconds = 0.0
        if not self._pause:
            return
        self._iterations += 1
        if self._iterations < PAUSE:
            asyncio.get_running_loop().call_soon(self._begin_iteration)
        else:
            self._pause.set()
            self._pause = None
