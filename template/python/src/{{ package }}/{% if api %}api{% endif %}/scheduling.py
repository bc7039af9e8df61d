"""Fair scheduling: requests with much work do not delay all others, such as health checks.

The event loop continues every request that is ready before it looks for new ones. If the database
has returned several large pages at the same time, a new request would wait for all of them.
"""

import asyncio
import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

# Seconds of work after which other requests continue one iteration of the event loop later.
LONG = 0.02


class FairScheduling:
    """ASGI middleware: after long work of one request, the event loop looks for new ones first."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._must_pause = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        handling: Any = self._app(scope, receive, send)
        await self._in_steps(handling)

    @coroutine
    def _in_steps(self, handling: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        """Run a coroutine from one await to the next, with a pause where another took long."""
        error: BaseException | None = None
        while True:
            started = time.perf_counter()
            try:
                waits_for = handling.send(None) if error is None else handling.throw(error)
            except StopIteration:
                return
            finally:
                if time.perf_counter() - started > LONG:
                    self._must_pause = True
                    asyncio.get_running_loop().call_soon(self._go_on)
            error = None
            try:
                yield waits_for
                while self._must_pause:
                    yield
            except BaseException as raised:
                error = raised

    def _go_on(self) -> None:
        self._must_pause = False
