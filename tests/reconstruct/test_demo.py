"""The page: what it answers, whom it does not, and that a photograph becomes a mesh in a browser."""

import asyncio
import base64
import contextlib
import io
import json
import socket

import browser
import numpy as np
import pytest
from PIL import Image
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from msrn.errors import MsrnError
from msrn.reconstruct import demo

PUT = """(async () => {
  const bytes = Uint8Array.from(atob("%s"), letter => letter.charCodeAt(0)), moved = new DataTransfer();
  moved.items.add(new File([bytes], "box.png"));
  document.getElementById("file").files = moved.files;
  document.getElementById("file").dispatchEvent(new Event("change"));
})()"""
SAID = "document.getElementById('said').textContent"


@contextlib.asynccontextmanager
async def served(network):
    """The address of a page that is served."""
    told = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(demo._serve(network, 0, told.set_result))
    try:
        yield await asyncio.wait_for(told, 60)
    finally:
        task.cancel()


@pytest.fixture
def png(scene) -> bytes:
    file = io.BytesIO()
    scene.save(file, "PNG")
    return file.getvalue()


def form(content: bytes, threshold: str = "0.5", count: int = 1) -> dict:
    part = b'--x\r\nContent-Disposition: form-data; name="p%d"; filename="../a b/box.png"\r\n\r\n%s\r\n'
    body = b"".join(part % (k, content) for k in range(count))
    body += f'--x\r\nContent-Disposition: form-data; name="threshold"\r\n\r\n{threshold}\r\n--x--\r\n'.encode()
    return {"method": "POST", "body": body, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


async def asked(address: str, path: str = "/", headers: dict | None = None, **how):
    headers = {**how.pop("headers", {}), **(headers or {})}
    request = HTTPRequest(address + path, headers=headers, request_timeout=120, **how)
    answer = await AsyncHTTPClient().fetch(request, raise_error=False)
    return answer.code, answer.headers, answer.body


def run(network, *calls):
    async def all_of_them():
        async with served(network) as address:
            return [await asked(address, **call) for call in calls]

    return asyncio.run(all_of_them())


def test_a_photograph_becomes_mask_mesh_and_line(network, png):
    (code, _, body), (other, _, cut) = run(
        network, {"path": "/reconstruct", **form(png)}, {"path": "/reconstruct", **form(png, "0.95")}
    )
    made = json.loads(body)
    assert code == other == 200 and made["name"] == "box" and made["line"]["mask"] == "found"
    assert base64.b64decode(made["glb"])[:4] == b"glTF"
    assert Image.open(io.BytesIO(base64.b64decode(made["mask"]))).size == (96, 64)
    assert json.loads(cut)["line"]["mask"] == "given"  # at a threshold of the visitor's own


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (form(b"torn"), "box.png is not a whole image"),
        (form(b"", count=0), "0 photographs: expected one"),
        (form(b"x", count=2), "2 photographs: expected one"),
        (form(b"x", "2"), "threshold '2': expected a number between 0 and 1"),
        (form(b"x", "nan"), "threshold 'nan'"),
        (form(b"x", "<script>"), "threshold '<script>'"),
    ],
)
def test_what_cannot_be_taken_is_one_line(network, how, said):
    [(code, _, body)] = run(network, {"path": "/reconstruct", **how})
    assert code == 400 and said in json.loads(body)["error"] and "\n" not in json.loads(body)["error"]


def test_other_pages_and_other_names_are_answered_nothing(network, png):
    answers = run(
        network,
        {"headers": {"Host": "evil.example"}},
        {
            "path": "/reconstruct",
            **form(png),
            "headers": {"Origin": "http://evil.example", "Content-Type": "text/plain"},
        },
        {"path": "/../../etc/passwd"},
        {"path": "/"},
    )
    assert [code for code, _, _ in answers] == [403, 403, 404, 200]
    for _, headers, _ in answers:
        assert "default-src 'none'" in headers["Content-Security-Policy"] and "Server" not in headers
        assert headers["Cache-Control"] == "no-store"


def test_what_is_too_large_is_cut_off(network, monkeypatch, png):
    monkeypatch.setattr(demo, "MOST_BYTES", 1000)
    [(code, _, _)] = run(network, {"path": "/reconstruct", **form(png + bytes(5000))})
    assert code != 200


def test_it_listens_on_the_loopback_alone(network):
    async def look() -> list[bool]:
        async with served(network) as address:
            port, reached = int(address.rsplit(":", 1)[1]), []
            own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
            for name in ("127.0.0.1", *(name for name in own if not name.startswith("127."))):
                with socket.socket() as probe:
                    probe.settimeout(2)
                    reached.append(probe.connect_ex((name, port)) == 0)
            return reached

    loopback, *others = asyncio.run(look())
    assert loopback and not any(others)


def test_a_taken_port_is_one_line(network):
    with socket.socket() as taken:
        taken.bind((demo.ADDRESS, 0))
        taken.listen()
        with pytest.raises(MsrnError, match="--port .*; expected a free one"):
            demo.serve(network, taken.getsockname()[1], print)


@pytest.mark.skipif(not browser.CHROMIUM, reason="no chromium on the path; .ci/run installs it from Debian")
def test_the_page_in_a_browser(network, png, tmp_path):
    async def visit():
        async with served(network) as address, browser.page(address) as page:
            await page.ask(PUT % base64.b64encode(png).decode())
            said = await page.until(f"{SAID}.includes('mask IoU') && {SAID}")
            box = await page.ask("[...stage.box.min.toArray(), ...stage.box.max.toArray()]")
            link = await page.ask("document.getElementById('save').download")
            await page.picture(tmp_path / "page.png")
            await page.ask(PUT % base64.b64encode(b"torn").decode())
            await page.until(f"{SAID}.includes('not a whole image')")
            assert await page.ask("document.getElementById('result').hidden")  # nothing of the photograph before
            outside = [url for url in page.requests if not url.startswith((address, "data:", "blob:"))]
            return said, box, link, outside

    said, box, link, outside = asyncio.run(visit())
    assert "confidence" in said and link == "box.glb" and not outside
    assert (np.array(box[3:]) - box[:3] > 0.1).all()
    assert np.asarray(Image.open(tmp_path / "page.png").convert("L")).std() > 5
