"""The small hub, taking uploads as huggingface.co does.

Repositories are made, branches too; large files arrive by their SHA-256 ahead
of the commit that names them; a commit makes a new folder, whole or not at
all, and is refused where its parent is no longer the newest.
"""

import base64
import hashlib
import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from small_hub import Answers, Hub

_LARGE = (".ckpt", ".onnx")
_MODEL = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(\w+)/([^/]+))?")
_BATCH = re.compile(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch")


@dataclass
class UploadHub(Hub):
    """A hub that one user may write to, with a token."""

    root: Path = Path()
    user: str = "ann"
    token: str = "hf_right"
    private: dict[str, bool] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    #: Called before a commit is looked at, as another who writes meanwhile.
    meanwhile: list = field(default_factory=list)

    def make(self, repository: str, private: bool = False) -> None:
        """A repository as the hub makes it: one file, one commit."""
        self.private[repository] = private
        self.commit(repository, "main", {".gitattributes": b"*.ckpt lfs\n"})

    def commit(
        self, repository: str, branch: str, files: dict[str, bytes]
    ) -> str:
        """The files that were there, and these; gives the new commit."""
        before = self.names.get(repository, {}).get(branch, "")
        told = json.dumps([before, sorted(files), len(self.commits)])
        commit = hashlib.sha1(told.encode() + b"".join(files.values()))
        folder = self.root / commit.hexdigest()
        if before:
            shutil.copytree(self.commits[repository][before], folder)
        else:
            folder.mkdir(parents=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        self.commits.setdefault(repository, {})[folder.name] = folder
        self.names.setdefault(repository, {})[branch] = folder.name
        return folder.name

    def writes(self) -> list[str]:
        """What was asked that changes something."""
        return [one for one in self.requests if one.startswith("POST /api")]


class Uploads(Answers):
    """Answers as the small hub does, and to those who write."""

    hub: UploadHub

    def do_GET(self) -> None:
        if not self.path.startswith("/api/"):
            super().do_GET()
        elif self._may():
            self._info(*_MODEL.fullmatch(self.path).groups())

    def do_PUT(self) -> None:
        if self._may(signed=True):
            data = self._body()
            self.hub.blobs[hashlib.sha256(data).hexdigest()] = data
            self._json({})

    def do_POST(self) -> None:
        body = self._body()
        if not self._may():
            return
        if self.path.startswith("/api/validate-yaml"):
            wrong = "license: none-such" in json.loads(body)["content"]
            told = [{"message": '"license" must be one of'}] * wrong
            self._json({"errors": told}, 400 if wrong else 200)
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif _BATCH.fullmatch(self.path):
            self._batch(json.loads(body))
        else:
            repository, what, branch = _MODEL.fullmatch(self.path).groups()
            getattr(self, f"_{what}")(repository, branch, body)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _may(self, signed: bool = False) -> bool:
        """Whether to go on: the right token, and no fault that is due."""
        self.hub.requests.append(f"{self.command} {self.path}")
        fault = self.hub.spoil(self.command, self.path)
        if fault:
            self._empty(fault.status, fault.headers)
        elif not signed and self.headers.get("Authorization") != (
            f"Bearer {self.hub.token}"
        ):
            told = "Invalid credentials in Authorization header"
            self._empty(401, {"X-Error-Message": told})
        else:
            return True
        return False

    def _json(self, facts: dict, status: int = 200) -> None:
        data = json.dumps(facts).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _info(self, repository: str, _, name: str | None) -> None:
        names = self.hub.names.get(repository)
        if names is None:
            self._empty(404, {"X-Error-Code": "RepoNotFound"})
            return
        commit = names.get(name or "main", name)
        folder = self.hub.commits[repository].get(commit)
        if folder is None:
            self._empty(404, {"X-Error-Code": "RevisionNotFound"})
            return
        files = [{"rfilename": one.name} for one in folder.iterdir()]
        private = self.hub.private[repository]
        self._json(
            {"id": repository, "sha": commit, "private": private}
            | {"siblings": files}
        )

    def _create(self, asked: dict) -> None:
        if asked["organization"] != self.hub.user:
            self._empty(403, {"X-Error-Message": "not your namespace"})
            return
        repository = f"{asked['organization']}/{asked['name']}"
        hidden = asked.get("private") or asked.get("visibility") == "private"
        self.hub.make(repository, bool(hidden))
        self._json({"url": f"{self.hub.url}/{repository}"})

    def _branch(self, repository: str, branch: str, _: bytes) -> None:
        names = self.hub.names[repository]
        names[branch] = names["main"]
        self._json({})

    def _preupload(self, repository: str, branch: str, body: bytes) -> None:
        told = [
            {
                "path": one["path"],
                "uploadMode": "lfs"
                if one["path"].endswith(_LARGE)
                else "regular",
                "shouldIgnore": False,
            }
            for one in json.loads(body)["files"]
        ]
        self._json({"files": told})

    def _batch(self, asked: dict) -> None:
        objects = []
        for one in asked["objects"]:
            href = f"{self.hub.url}/lfs/{one['oid']}"
            objects.append(one | {"actions": {"upload": {"href": href}}})
        self._json({"transfer": "basic", "objects": objects})

    def _commit(self, repository: str, branch: str, body: bytes) -> None:
        for other in self.hub.meanwhile:
            other()
        head, *lines = map(json.loads, body.splitlines())
        newest = self.hub.names[repository][branch]
        if head["value"].get("parentCommit", newest) != newest:
            self._empty(412, {"X-Error-Message": "the parent is not newest"})
            return
        files = {}
        for line in lines:
            one = line["value"]
            files[one["path"]] = (
                self.hub.blobs[one["oid"]]
                if line["key"] == "lfsFile"
                else base64.b64decode(one["content"])
            )
        commit = self.hub.commit(repository, branch, files)
        url = f"{self.hub.url}/{repository}/commit/{commit}"
        self._json({"commitUrl": url, "commitOid": commit})
