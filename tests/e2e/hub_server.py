"""A hub on this machine that speaks the protocol, with faults to order: what longhand and huggingface_hub pull from in tests."""
import collections
import hashlib
import http.server
import json
import re
import ssl
import sys
import threading
import urllib.parse

COMMIT = "c0ffee" + 34 * "0"


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Repository:
    """Files by name; those of more than `large` bytes are kept in the large-file storage, at another address."""
    large = 1000

    def __init__(self, files: dict, token: str = "", gated: bool = False):
        self.files, self.token, self.gated = files, token, gated

    def is_large(self, path: str) -> bool:
        return len(self.files[path]) > self.large

    def etag(self, path: str) -> str:
        data = self.files[path]
        return hashlib.sha256(data).hexdigest() if self.is_large(path) else git_sha1(data)

    def sibling(self, path: str, blobs: bool) -> dict:
        entry = {"rfilename": path}
        if blobs:
            data = self.files[path]
            entry |= {"size": len(data), "blobId": git_sha1(data)}
            if self.is_large(path):
                entry["lfs"] = {"sha256": self.etag(path), "size": len(data), "pointerSize": 130}
        return entry

    def branch(self, path: str) -> dict:
        entry = self.sibling(path, True)
        tree = {"type": "file", "path": path, "size": entry["size"], "oid": entry["blobId"]}
        if "lfs" in entry:
            tree["lfs"] = {"oid": self.etag(path), "size": entry["size"], "pointerSize": 130}
        return tree


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that are interrupted hang up: that is part of the tests."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Hub:
    """Two servers: the hub itself, and the storage that it redirects to. All requests are kept in `requests`."""

    def __init__(self, certificate: tuple = None):
        self.repositories, self.requests = {}, []
        self.moved = {}            # old name -> the name that it redirects to
        self.listed_etags = True   # blobs=true is understood
        self.ranges = True         # Range is understood
        self.cut = collections.Counter()      # path -> how many transfers break off in the middle
        self.busy = collections.Counter()     # path -> how many answers are 503
        self.damaged = collections.Counter()  # path -> how many transfers come with a wrong byte
        self.claimed_size = {}                # path -> a size that is not the file's
        self.slow = 0                         # seconds between two pieces
        self.storage = self._serve(Storage, None)
        self.hub = self._serve(Api, certificate)
        scheme = "https" if certificate else "http"
        self.endpoint = f"{scheme}://127.0.0.1:{self.hub.server_port}"
        # Another name of this machine as well as another port: another host to any client.
        self.store = f"http://localhost:{self.storage.server_port}"

    def _serve(self, handler, certificate):
        server = Server(("127.0.0.1", 0), handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.world = self
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def close(self):
        for server in (self.hub, self.storage):
            server.shutdown()
            server.server_close()

    def paths(self, method: str) -> list:
        return [request["path"] for request in self.requests if request["method"] == method]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    @property
    def world(self) -> Hub:
        return self.server.world

    def note(self):
        self.world.requests.append({"method": self.command, "path": self.path, "host": self.headers["Host"],
                                    "token": self.headers.get("Authorization"), "range": self.headers.get("Range")})

    def answer(self, status: int, body: bytes = b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str):
        self.answer(status, json.dumps({"error": message}).encode(), X_Error_Code=code, X_Error_Message=message,
                    Content_Type="application/json")

    def send_file(self, path: str, data: bytes, **headers):
        """The bytes asked for, with the faults that were ordered."""
        world, start = self.world, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and world.ranges:
            start = int(asked[1])
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if world.damaged[path] > 0 and self.command == "GET":
            world.damaged[path] -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        part = data[start:]
        cut = self.command == "GET" and world.cut[path] > 0
        if cut:
            world.cut[path] -= 1
        self.send_response(206 if start else 200)
        for name, value in (headers | {"Content_Length": len(part)}).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        sent = part[:len(part) // 2] if cut else part
        for begin in range(0, len(sent), 1 << 16):
            self.wfile.write(sent[begin:begin + (1 << 16)])
            if world.slow:
                self.wfile.flush()
                threading.Event().wait(world.slow)
        if cut:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)


class Storage(Handler):
    """Large files by their hash. It is another host: a token that comes here has leaked."""

    def do_GET(self):
        self.note()
        path = urllib.parse.unquote(self.path).lstrip("/")
        repository, _, name = path.partition("//")
        self.send_file(name, self.world.repositories[repository].files[name], ETag='"storage"')


class Api(Handler):
    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.note()
        url = urllib.parse.urlsplit(self.path)
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", url.path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", url.path)
        found = api or resolve
        if found and found[1] in self.world.moved:
            return self.answer(307, Location=self.path.replace(found[1], self.world.moved[found[1]]))
        repository = self.world.repositories.get(found[1]) if found else None
        given = self.headers.get("Authorization")
        if repository is None:
            return self.refuse(404 if given else 401, "RepoNotFound", "Repository not found")
        if repository.token and given != f"Bearer {repository.token}" and (resolve or not repository.gated):
            code = "GatedRepo" if repository.gated else "RepoNotFound"
            return self.refuse(403 if given else 401, code, "Access is restricted\tto those who ask")
        revision = urllib.parse.unquote(found[3] if api else found[2])
        if revision not in ("main", "v1", "refs/pr/1", COMMIT):
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        if api:
            return self.list(found[2], repository, urllib.parse.parse_qs(url.query))
        self.resolve(found[1], repository, urllib.parse.unquote(resolve[3]))

    def list(self, what: str, repository: Repository, query: dict):
        if what == "tree":
            body = [repository.branch(path) for path in repository.files]
        else:
            blobs = "blobs" in query and self.world.listed_etags
            body = {"id": "x/y", "sha": COMMIT, "siblings": [repository.sibling(path, blobs) for path in repository.files]}
            for entry in body["siblings"] if blobs else []:
                size = self.world.claimed_size.get(entry["rfilename"])
                if size:
                    entry["size"] = entry["lfs"]["size"] = size
        self.answer(200, json.dumps(body).encode(), Content_Type="application/json")

    def resolve(self, name: str, repository: Repository, path: str):
        if path not in repository.files:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        if self.world.busy[path] > 0:
            self.world.busy[path] -= 1
            return self.answer(503)
        data = repository.files[path]
        if repository.is_large(path):
            location = f"{self.world.store}/{urllib.parse.quote(name)}//{urllib.parse.quote(path)}"
            return self.answer(302, Location=location, X_Repo_Commit=COMMIT, X_Linked_Size=len(data),
                               X_Linked_ETag=f'"{repository.etag(path)}"')
        self.send_file(path, data, ETag=f'"{repository.etag(path)}"', X_Repo_Commit=COMMIT)
