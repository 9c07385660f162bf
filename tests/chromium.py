"""Headless Chromium, driven through its DevTools protocol by a pipe."""

import base64
import json
import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

_TIMEOUT_S = 60
# Resolves when the condition holds, with its value; seconds later it rejects.
_UNTIL = """
new Promise((resolve, reject) => {
  const late = performance.now() + 40000;
  const look = () => {
    let found;
    try { found = (() => (%s))(); } catch (error) { return reject(error); }
    if (found) return resolve(found);
    if (performance.now() > late) return reject(new Error(
      "not in time; the page says: " + document.body.innerText));
    setTimeout(look, 20);
  };
  look();
})
"""


def chromium() -> str:
    """The program; the test skips where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        program = shutil.which(name)
        if program:
            return program
    pytest.skip("no chromium here: apt-get install chromium")


#: Of its command line: without a window, and asking nobody for anything.
QUIETLY = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-sync", "--disable-background-networking",
    "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder: Path):
    """Serves a folder as ``python -m http.server`` does; gives its address."""
    handler = partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(
        target=server.serve_forever, args=(0.02,), daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Page:
    """A page of a browser of its own.

    Arguments
    ---------
    profile : Path
        An empty folder for the browser.
    options : str
        Of Chromium's command line.
    """

    def __init__(self, profile: Path, *options: str) -> None:
        command = [
            chromium(), *QUIETLY, "--disable-dev-shm-usage", "--mute-audio",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--user-data-dir={profile}", "--remote-debugging-pipe",
            *options, "about:blank",
        ]  # fmt: skip
        ours, its = os.pipe(), os.pipe()
        # It reads from 3 and writes to 4.
        line = f'exec "$0" "$@" 3<&{ours[0]} 4>&{its[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", line, *command],
            pass_fds=(ours[0], its[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(its[1])
        self._out = open(ours[1], "wb", buffering=0)
        self._in = open(its[0], "rb")
        self._number, self._session = 0, None
        self.events: list[dict] = []
        targets = self.send("Target.getTargets")["targetInfos"]
        (target,) = (one for one in targets if one["type"] == "page")
        self._session = self.send(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        """Ends the browser."""
        try:
            self._session = None
            self.send("Browser.close")
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            self._out.close()
            self._in.close()

    def send(self, method: str, **parameters) -> dict:
        """Sends a command, and gives its result."""
        self._number += 1
        message = {
            "id": self._number,
            "method": method,
            "params": parameters,
        }
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        stuck = threading.Timer(_TIMEOUT_S, self.process.kill)
        stuck.start()
        try:
            while True:
                answer = self._read()
                if answer.get("id") == self._number:
                    assert "error" not in answer, (method, answer["error"])
                    return answer["result"]
                self.events.append(answer)
        finally:
            stuck.cancel()

    def _read(self) -> dict:
        """The next message, which ends with a zero byte."""
        parts = []
        while (byte := self._in.read(1)) != b"\0":
            assert byte, "the browser has gone"
            parts.append(byte)
        return json.loads(b"".join(parts))

    def open(self, address: str) -> None:
        """Goes to an address, and waits until it is loaded."""
        self.events.clear()
        self.send("Page.navigate", url=address)
        while not self._loaded():
            self.run("0")

    def _loaded(self) -> bool:
        loaded = "Page.loadEventFired"
        return any(one.get("method") == loaded for one in self.events)

    def run(self, script: str):
        """The value of an expression; a promise is waited for."""
        result = self.send(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, condition: str):
        """Waits until an expression is true, and gives its value."""
        return self.run(_UNTIL % condition)

    def choose(self, selector: str, path: Path) -> None:
        """Chooses a file, as a person does in the dialogue."""
        found = self.send(
            "Runtime.evaluate",
            expression=f"document.querySelector({json.dumps(selector)})",
        )
        self.send(
            "DOM.setFileInputFiles",
            objectId=found["result"]["objectId"],
            files=[str(path)],
        )

    def tab(self) -> None:
        """Presses the tabulator."""
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key="Tab",
                code="Tab",
                windowsVirtualKeyCode=9,
            )

    def look(self, width: int, dark: bool = False, height: int = 900) -> None:
        """Sets the width of the window and the colours."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = "dark" if dark else "light"
        self.send(
            "Emulation.setEmulatedMedia",
            features=[
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ],
        )

    def picture(self, path: Path) -> None:
        """Writes a PNG of the whole page."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """What the browser's console has, of errors and warnings."""
        self.run("0")
        found = []
        for event in self.events:
            kind = event.get("method")
            if kind == "Runtime.exceptionThrown":
                found.append(event["params"]["exceptionDetails"]["text"])
            elif kind == "Log.entryAdded":
                found.append(event["params"]["entry"]["text"])
            elif kind == "Runtime.consoleAPICalled":
                found.append(str(event["params"]["args"]))
        return found
