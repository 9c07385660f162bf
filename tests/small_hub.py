"""A hub on this machine that answers as huggingface.co does.

Large files (``.ckpt``, ``.onnx``, ``.pt2``) are known by their SHA-256 and
lie behind a redirect; other files by the hash that git gives them. A fault is
what it answers instead, so many times.
"""

import contextlib
import hashlib
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: A repository, and a commit of it, for tests that need one.
TINY = "speechbrain/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LARGE = (".ckpt", ".onnx", ".pt2")
_PATH = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Fault:
    """An answer other than the right one.

    ``times`` answers of those that ask for ``file`` (any, where empty) by
    ``method`` (either, where empty) are spoiled: by a ``status``, or by
    sending ``cut_at`` bytes alone of what is announced, or by other bytes of
    the same number (``garbled``).
    """

    status: int = 0
    file: str = ""
    method: str = ""
    times: int = 1_000_000
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    garbled: bool = False


@dataclass
class Hub:
    """Repositories by id: commits with their folders, names with commits."""

    url: str = ""
    commits: dict[str, dict[str, Path]] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    #: "GET /speechbrain/tiny/resolve/main/hyperparams.yaml", …
    requests: list[str] = field(default_factory=list)
    #: The same without the method.
    asked: list[str] = field(default_factory=list)

    def publish(
        self, repository: str, folder: Path, commit: str, *names: str
    ) -> None:
        """Serves a folder, as it is when it is asked for, as a commit."""
        self.commits.setdefault(repository, {})[commit] = folder
        self.names.setdefault(repository, {}).update(
            dict.fromkeys(("main", *names), commit)
        )

    def forget(self) -> None:
        """Forgets who asked for what, and stops all faults."""
        self.requests.clear()
        self.asked.clear()
        self.faults.clear()

    def of(self, method: str, ending: str = "") -> list[str]:
        """The requests so far by a method, for files that end so."""
        return [
            one
            for one in self.requests
            if one.startswith(method) and one.endswith(ending)
        ]

    def spoil(self, method: str, path: str) -> Fault | None:
        """The fault that is due, if one is."""
        for fault in self.faults:
            due = fault.times > 0 and fault.file in path
            if due and fault.method in ("", method):
                fault.times -= 1
                return fault
        return None


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers ``HEAD`` and ``GET`` for one file of a repository."""

    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *args) -> None:
        """Keeps quiet."""

    def _answer(self) -> None:
        found = _PATH.fullmatch(self.path.partition("?")[0])
        if not found:  # the client also asks for other things, now and then
            self._empty(404, {})
            return
        repository, revision, name = found.groups()
        self.hub.asked.append(self.path)
        self.hub.requests.append(f"{self.command} {self.path}")
        self.fault = self.hub.spoil(self.command, self.path) or Fault()
        if self.fault.status:
            self._empty(self.fault.status, self.fault.headers)
            return
        commits = self.hub.commits.get(repository)
        if commits is None:
            # So it tells those who may not know whether there is one.
            self._empty(401, {"X-Error-Code": "RepoNotFound"})
            return
        commit = self.hub.names[repository].get(revision, revision)
        if commit not in commits:
            self._empty(404, {"X-Error-Code": "RevisionNotFound"})
            return
        self._file(commits[commit] / name, commit)

    def _file(self, file: Path, commit: str) -> None:
        headers = {"X-Repo-Commit": commit}
        if not file.is_file():
            self._empty(404, headers | {"X-Error-Code": "EntryNotFound"})
            return
        data = file.read_bytes()
        large = file.suffix in _LARGE
        etag = _sha256(data) if large else _git_hash(data)
        if large and "?cdn" not in self.path:
            headers |= {
                "Location": f"{self.hub.url}{self.path}?cdn",
                "X-Linked-Etag": f'"{etag}"',
                "X-Linked-Size": str(len(data)),
            }
            self._empty(302, headers)
            return
        self._send(data, headers | {"ETag": f'"{etag}"'})

    def _send(self, data: bytes, headers: dict[str, str]) -> None:
        size = len(data)
        first = int(re.sub(r"\D", "", self.headers.get("Range", "")) or 0)
        if first:
            headers |= {"Content-Range": f"bytes {first}-{size - 1}/{size}"}
        self.send_response(206 if first else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size - first))
        self.end_headers()
        if self.fault.garbled:
            data = bytes(size)
        if self.command == "GET":
            self.wfile.write(data[first : self.fault.cut_at])

    def _empty(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextlib.contextmanager
def serve(
    hub: Hub | None = None, answers: type[Answers] = Answers
) -> Iterator[Hub]:
    """A hub, by default an empty one, until the end of the block."""
    hub = Hub() if hub is None else hub
    handler = type("Answers", (answers,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def point_at(hub: Hub, cache: Path, monkeypatch) -> None:
    """Makes the client of this process ask this hub, with its own cache.

    The package reads ``HF_ENDPOINT`` once, when it is imported.
    """
    import huggingface_hub.constants as constants

    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    for name, value in {
        "HF_HUB_OFFLINE": False,
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": template,
        "HF_HUB_CACHE": str(cache),
    }.items():
        monkeypatch.setattr(constants, name, value)


def copy_of(folder: Path, other: Path) -> Path:
    """A second folder with the same files, for a second commit."""
    shutil.copytree(folder, other)
    return other
