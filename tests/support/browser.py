"""Headless Chromium for tests: a page is opened, asked in JavaScript and photographed, by its debugging protocol."""

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tornado.websocket import websocket_connect

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--remote-debugging-port=0", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
)  # fmt: skip
PATIENCE = 120  # seconds, since machines are shared


class Page:
    def __init__(self, socket: Any) -> None:
        self.socket, self.number, self.requests = socket, 0, []

    async def call(self, method: str, **params: Any) -> dict:
        self.number += 1
        mine = self.number
        await self.socket.write_message(json.dumps({"id": mine, "method": method, "params": params}))
        while True:
            answer = json.loads(await asyncio.wait_for(self.socket.read_message(), PATIENCE))
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            if answer.get("id") == mine:
                assert "error" not in answer, answer
                return answer["result"]

    async def ask(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        made = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in made, made["exceptionDetails"]
        return made["result"].get("value")

    async def until(self, script: str) -> Any:
        """The value of an expression once it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := await self.ask(script)):
            assert time.monotonic() < end, f"never true: {script}"
            await asyncio.sleep(0.2)
        return value

    async def picture(self, path: Path) -> None:
        shot = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def page(url: str, width: int = 1100, height: int = 800) -> AsyncIterator[Page]:
    """A page in a Chromium of its own, which has loaded ``url``."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        flags = (*FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}", "about:blank")
        process = subprocess.Popen([CHROMIUM, *flags], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            opened = Page(await websocket_connect(await _address(Path(folder)), max_message_size=1 << 28))
            await opened.call("Page.enable")
            await opened.call("Network.enable")
            await opened.call("Page.navigate", url=url)
            await opened.until("document.readyState == 'complete' && location.href != 'about:blank'")
            yield opened
        finally:
            process.kill()
            process.wait()


async def _address(folder: Path) -> str:
    """Of the page's debugger."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError, StopIteration, IndexError):
            port = (folder / "DevToolsActivePort").read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
                return next(one for one in json.load(answer) if one["type"] == "page")["webSocketDebuggerUrl"]
        await asyncio.sleep(0.1)
    raise AssertionError("Chromium did not start")
