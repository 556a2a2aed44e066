"""What holds for every test: pictures without a window, and one thread a test process."""

import functools
import http.server
import os
import threading
from pathlib import Path

import pytest
from matplotlib.figure import Figure

os.environ.setdefault("MPLBACKEND", "Agg")
# Tests run side by side, one process a core (setup.cfg): more threads than that, in them or in the programs that they
# start, would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)


def draw_nothing(patch):
    """Writes figures as empty files, where a test is not about them: half of the time of a short run."""
    patch.setattr(Figure, "savefig", lambda figure, path, **_: Path(path).touch())


@pytest.fixture
def no_figures(monkeypatch):
    draw_nothing(monkeypatch)


@pytest.fixture
def serve():
    """Starts a server on the loopback address: of a folder's files, or of what a handler answers; gives its address."""
    running = []

    def start(what):
        class Files(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

        handler = functools.partial(Files, directory=what) if isinstance(what, os.PathLike) else what
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.handle_error = lambda request, address: None  # a client that goes away is what many a test wants
        running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()  # looks that often for its end
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()
