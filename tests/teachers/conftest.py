"""Fixtures for teachers: model folders, a hub, waveforms."""

import hashlib
import http.server
import threading
from pathlib import Path

import pytest
import torch
from teacher_layout import write_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def wavs():
    """Two seconds of noise, four times."""
    return 0.1 * torch.randn(
        4, 32000, generator=torch.Generator().manual_seed(1)
    )


@pytest.fixture
def ecapa(tmp_path):
    """A folder with a small ECAPA, for a test to spoil."""
    return write_model(tmp_path / "ecapa")


class _Hub(http.server.BaseHTTPRequestHandler):
    """Answers the two requests of ``hf_hub_download`` for one model."""

    folder: Path
    asked: list[str]

    def _send(self, body: bool) -> None:
        self.asked.append(self.path)
        prefix = "/speechbrain/tiny/resolve/"
        revision, _, name = self.path.removeprefix(prefix).partition("/")
        file = self.folder / name
        known = self.path.startswith(prefix) and revision in (
            "main",
            "v1",
            COMMIT,
        )
        if not known or not file.is_file():
            self.send_response(404)
            self.send_header(
                "X-Error-Code", "EntryNotFound" if known else "RevisionNotFound"
            )
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = file.read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        self._send(body=False)

    def do_GET(self) -> None:
        self._send(body=True)

    def log_message(self, *args) -> None:
        """Keeps quiet."""


@pytest.fixture
def hub(tmp_path, ecapa, monkeypatch):
    """The model speechbrain/tiny on a hub of this machine; gives the paths
    that were asked for."""
    import huggingface_hub.constants as constants

    handler = type("Hub", (_Hub,), {"folder": ecapa, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    # The package reads HF_ENDPOINT once, when it is imported.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        url + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield handler.asked
    server.shutdown()
    server.server_close()
    thread.join()
