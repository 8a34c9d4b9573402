"""D-Wave's Solver API on the loopback: enough for the real client to connect, submit and wait.

Replies can be replaced: `reply` maps (method, path) to (status, body), to HANG, to DROP or to None.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import dimod
import numpy as np
from dwave.cloud.solver import StructuredSolver
from dwave.cloud.testing import mocks
from dwave.samplers import SteepestDescentSampler

HANG, DROP = "hang", "drop"
NAME = "Advantage_fake"
_TYPES = {
    "solvers": "application/vnd.dwave.sapi.solver-definition-list+json",
    "solver": "application/vnd.dwave.sapi.solver-definition+json",
    "problems": "application/vnd.dwave.sapi.problems+json",
    "problem": "application/vnd.dwave.sapi.problem+json",
    "regions": "application/vnd.dwave.metadata.regions+json",
}


def solver_data(**changes):
    parameters = {"num_reads": "", "annealing_time": "", "auto_scale": "", "label": ""}
    data = mocks.qpu_pegasus_solver_data(
        4, name=NAME, graph_id="01", problem_timing_data=mocks.qpu_problem_timing_data()
    )
    data["properties"] |= {"parameters": parameters}
    return data | changes


class FakeSapi:
    """As a context manager; `url` is DWAVE_API_ENDPOINT. `seen`: (method, path, token) so far."""

    def __init__(self):
        self.solvers, self.problems, self.seen = [solver_data()], {}, []
        self.reply = lambda method, path: None
        self.regions, self.status, self.proxied = [], "COMPLETED", []
        self._ids, self._release = itertools.count(1), threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self):
                fake._handle(self)

            do_GET = do_POST = do_DELETE = do_CONNECT = _any  # noqa: N815  # http.server's names

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/sapi/v2/"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._release.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, method, part=""):
        return sum(m == method and part in path for m, path, _ in self.seen)

    def _handle(self, request):
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length)
        if request.headers.get("Content-Encoding") == "deflate":
            body = zlib.decompress(body)
        if request.command == "CONNECT" or not request.path.startswith("/"):
            self.proxied.append(request.path)
        address = urlsplit(request.path)
        path, asked = unquote(address.path), parse_qs(address.query).get("id", [""])[0].split(",")
        self.seen.append((request.command, request.path, request.headers.get("X-Auth-Token")))
        own = self.reply(request.command, request.path)
        if own == HANG:
            self._release.wait(30)
        if own in (HANG, DROP):
            request.close_connection = True
            request.connection.close()
            return
        kind, (status, answer) = "problems", own or (None, None)
        if own is None:
            status, kind, answer = self._answer(request.command, path.rstrip("/"), body, asked)
        text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        request.send_response(status)
        plain = isinstance(answer, str)
        form = (
            "text/plain" if plain else f"{_TYPES[kind]}; version={3 - 2 * (kind == 'regions')}.0.0"
        )
        request.send_header("Content-Type", form)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def _answer(self, method, path, body, asked):
        if "/regions" in path:
            return 200, "regions", self.regions
        if path.endswith("/solvers/remote"):
            return 200, "solvers", self.solvers
        if "/solvers/remote/" in path:
            found = [s for s in self.solvers if s["identity"]["name"] == path.rpartition("/")[2]]
            return (200, "solver", found[0]) if found else (404, "solver", "no such solver")
        if method == "DELETE":
            return 202, "problems", [self.problems[i]["head"] for i in json.loads(body)]
        if method == "POST":
            return 202, "problems", [self._solve(problem) for problem in json.loads(body)]
        if path.endswith("/problems"):
            heads = [self.problems[name]["head"] | {"status": self.status} for name in asked]
            return 200, "problems", heads
        return 200, "problem", self.problems[path.rpartition("/")[2]]["whole"]

    def _solve(self, problem):
        """Descends from random starts; answers as SAPI does, in format qp."""
        data = next(s for s in self.solvers if s["identity"]["name"] == problem["solver"]["name"])
        solver = StructuredSolver(client=None, data=data)
        raw = np.frombuffer(base64.b64decode(problem["data"]["lin"]))
        active = [q for q, bias in zip(solver._encoding_qubits, raw, strict=True) if bias == bias]
        pairs = [
            c for c in solver._encoding_couplers if c[0] in set(active) and c[1] in set(active)
        ]
        quad = np.frombuffer(base64.b64decode(problem["data"]["quad"]))
        linear = dict(zip(active, raw[raw == raw].tolist(), strict=True))
        bqm = dimod.BQM(linear, dict(zip(pairs, quad.tolist(), strict=True)), 0.0, "SPIN")
        reads = problem["params"].get("num_reads", 1)
        found = SteepestDescentSampler().sample(bqm, num_reads=reads, seed=1)
        samples = found.record.sample[:, np.argsort(np.asarray(found.variables))]
        name = f"problem-{next(self._ids)}"
        head = {
            "id": name, "type": "ising", "solver": problem["solver"], "label": None,
            "status": "PENDING", "submitted_on": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        answer = {
            "format": "qp",
            "active_variables": _b64(np.array(active, dtype="<i4")),
            "num_occurrences": _b64(np.ones(reads, dtype="<i4")),
            "energies": _b64(found.record.energy.astype("<f8")),
            "solutions": _b64(np.packbits(samples > 0, axis=1)),
            "num_variables": data["properties"]["num_qubits"],
            "timing": {"qpu_access_time": 12345.0},
        }
        solved = {"status": "COMPLETED", "solved_on": "2026-01-01T00:00:01Z"}
        self.problems[name] = {"head": head, "whole": head | solved | {"answer": answer}}
        return head


def _b64(array):
    return base64.b64encode(array.tobytes()).decode()
