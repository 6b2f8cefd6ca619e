"""``msrn demo``: a page on this machine where one drops a photograph and turns the mesh.

Tornado serves it; three.js, which draws the mesh, comes with trimesh. The server listens on the
loopback address alone, answers no other page and no other name than its own, keeps nothing, and its page may load from
nowhere else. A photograph has ``MOST_BYTES``; one is worked on at a time, ``WAITING`` more may wait.
"""

import asyncio
import base64
import contextlib
import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from msrn.errors import MsrnError, first_line
from msrn.reconstruct import files
from msrn.reconstruct.packed import Packed
from msrn.reconstruct.photographs import Photograph, of_content
from msrn.reconstruct.reconstructor import Reconstructor

PAGE = Path(__file__).with_name("demo.html")
MOST_BYTES = 50 << 20
WAITING = 3
ADDRESS = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def serve(network: Packed, port: int, ready: Callable[[str], None]) -> None:
    """Serve until it is interrupted; ``ready`` is told the address. MsrnError where the port is taken."""
    with contextlib.suppress(KeyboardInterrupt):  # how it ends
        asyncio.run(_serve(network, port, ready))


async def _serve(network: Packed, port: int, ready: Callable[[str], None]) -> None:
    try:
        sockets = bind_sockets(port, ADDRESS)
    except OSError as error:
        raise MsrnError(f"--port {port}: {error.strerror}; expected a free one, 0 takes any") from None
    own = f"{ADDRESS}:{sockets[0].getsockname()[1]}"
    server = HTTPServer(application(network, own), max_body_size=MOST_BYTES, max_buffer_size=MOST_BYTES + (1 << 20))
    server.add_sockets(sockets)
    ready(f"http://{own}")
    await asyncio.Event().wait()


def application(network: Packed, own: str) -> Application:
    """The page, three.js, and what makes a mesh; for requests to the host ``own`` alone."""
    worker, maker, waiting = ThreadPoolExecutor(1), Reconstructor(network), set()
    names = {own, own.replace(ADDRESS, "localhost")}

    class Handler(RequestHandler):
        def set_default_headers(self) -> None:
            self.set_header("Content-Security-Policy", POLICY)
            self.set_header("Cache-Control", "no-store")
            self.set_header("X-Content-Type-Options", "nosniff")
            self.set_header("Referrer-Policy", "no-referrer")
            self.clear_header("Server")

        def prepare(self) -> None:
            """Another page, or another name that leads here, is answered nothing."""
            origin = self.request.headers.get("Origin")
            if self.request.host not in names or (origin and origin.removeprefix("http://") not in names):
                raise HTTPError(403)

        def write_error(self, status_code: int, **_: Any) -> None:
            self.finish({"error": f"{status_code}: {self._reason}"})

    class Nothing(Handler):
        def prepare(self) -> None:
            raise HTTPError(404)

    class Page(Handler):
        def get(self) -> None:
            self.finish(PAGE.read_text(encoding="utf-8"))

    class Three(Handler):
        def get(self) -> None:
            self.set_header("Content-Type", "text/javascript; charset=utf-8")
            self.finish(three_js())

    class Reconstruct(Handler):
        async def post(self) -> None:
            if len(waiting) > WAITING:
                self.set_status(503)
                self.finish({"error": "too many photographs at once: wait for those before"})
                return
            ticket = object()
            waiting.add(ticket)
            try:
                given = [file for files in self.request.files.values() for file in files]
                threshold = self.get_body_argument("threshold", "0.5")
                work = asyncio.get_running_loop().run_in_executor(worker, answer, maker, given, threshold)
                self.finish(await work)
            except MsrnError as error:
                self.set_status(400)
                self.finish({"error": str(error)})
            finally:
                waiting.discard(ticket)

    return Application(
        [("/", Page), ("/three.js", Three), ("/reconstruct", Reconstruct)], default_handler_class=Nothing
    )


def answer(maker: Reconstructor, given: list[Any], threshold: str) -> dict[str, Any]:
    """What the page shows of one photograph; pictures and mesh in base 64. MsrnError for what cannot be taken."""
    if len(given) != 1:
        raise MsrnError(f"{len(given)} photographs: expected one at a time")
    try:
        level = float(threshold)
    except ValueError:
        level = float("nan")
    if not 0 < level < 1:
        raise MsrnError(f"threshold {threshold[:20]!r}: expected a number between 0 and 1")
    name = re.sub(r"[^\w. -]", "_", Path(given[0].filename).name)[:80] or "photograph"
    try:
        photograph = of_content(Path(name), given[0].body)
    except MemoryError as error:
        raise MsrnError(f"{name}: {first_line(error)}") from None
    [found] = maker([_cut_at(maker, photograph, level)])
    return {
        "name": Path(name).stem,
        "line": files.line_of(found, photograph),
        "photograph": _png(photograph.shown),
        "mask": _png(files.masked(found, photograph)),
        "glb": base64.b64encode(files.as_glb(found)).decode(),
    }


def _cut_at(maker: Reconstructor, photograph: Photograph, level: float) -> Photograph:
    """With the mask at this level, where it is not the usual one and the photograph brings none."""
    if photograph.mask is not None or level == 0.5:
        return photograph
    mask = maker.strengths(photograph.image[None])[0] >= level
    mask[photograph.outside] = False
    return replace(photograph, mask=mask)


def three_js() -> str:
    """three.js with its loader of glTF and its controls, from trimesh's own viewer page, whose start is left out."""
    from trimesh import util
    from trimesh.resources import get_bytes

    page = util.decompress(get_bytes("templates/viewer.zip"), file_type="zip")["viewer.html.template"].read().decode()
    script, start, _ = page.partition("<script>")[2].partition("</script>")[0].rpartition("init();")
    if not start or "GLTFLoader" not in script:
        raise MsrnError("msrn demo finds no three.js in this trimesh: install the version of requirements.lock")
    return script


def _png(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
