"""A download or an unpacking: whole and checked, or it leaves nothing and says what happened in a line."""

import gzip
import hashlib
import http.server
import io
import tarfile
import time
import types

import pytest

from ch04_vision.loaders import cifar
from common import downloads
from common.downloads import download, gunzip, unpack
from common.errors import UserError

CONTENT = bytes(range(256)) * 400


class Answers(http.server.BaseHTTPRequestHandler):
    """What goes wrong on a network, each under its own address."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        name = self.path[1:]
        if name == "gone":
            self.send_error(404)
        elif name == "no_http":
            self.wfile.write(b"220 this is a mail server\r\n")
        elif name == "not_a_word":
            pass
        elif name in ("elsewhere", "to_a_file", "round"):
            self.send_response(302)
            self.send_header(
                "Location", {"elsewhere": "/login", "to_a_file": "ftp://127.0.0.1/x", "round": "/round"}[name]
            )
            self.end_headers()
        elif name == "chunks":
            self.protocol_version = "HTTP/1.1"
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"400\r\n" + CONTENT[:500])
        else:
            body = b"<html>Please log in</html>" if name == "login" else CONTENT
            self.send_response(200)
            length = {"huge": 1 << 40, "unsaid": None, "odd": "many"}.get(name, len(body))
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            if name in ("stalls", "cut"):
                self.wfile.write(body[:5000])
                self.wfile.flush()
                time.sleep(1.5 if name == "stalls" else 0)
            elif name == "drips":
                for _ in range(30):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.05)
            else:
                self.wfile.write(body)
            self.close_connection = True


@pytest.fixture
def answers(serve, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)
    return serve(Answers)


SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.mark.parametrize("name", ["whole", "unsaid"])
def test_a_file_arrives(answers, tmp_path, name):
    download(answers + name, tmp_path / "new" / "file", largest=len(CONTENT), checksum=SHA256)
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT and len(list((tmp_path / "new").iterdir())) == 1
    download(answers + name, tmp_path / "other", largest=len(CONTENT), checksum=SHA256[:15])
    assert (tmp_path / "other").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone", "HTTP Error 404"),
        ("no_http", "220 this is a mail server"),
        ("not_a_word", "Remote end closed connection"),
        ("elsewhere", r"login: not downloaded \(sha256 of its 26 bytes is \w+, expected \w+; .*Please log in"),
        ("login", "Please log in"),
        ("to_a_file", "sent on to ftp://127.0.0.1/x, which is not followed"),
        ("round", "infinite loop"),
        ("chunks", "IncompleteRead|bytes read"),
        ("huge", "1,099,511,627,776 bytes; expected at most 200,000"),
        ("odd", "invalid literal"),
        ("stalls", "timed out"),
        ("cut", "broken off: 5,000 of 102,400 bytes arrived"),
        ("drips", r"only \d+ bytes in"),
    ],
)
def test_what_goes_wrong_is_told_and_nothing_stays(answers, tmp_path, name, told):
    (tmp_path / "file").write_bytes(b"before")
    started = time.monotonic()
    with pytest.raises(UserError, match=told) as error:
        download(answers + name, tmp_path / "file", largest=200_000, checksum=SHA256)
    assert "\n" not in str(error.value) and str(error.value).startswith(answers + name)
    assert (tmp_path / "file").read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1
    assert time.monotonic() - started < 10


def test_more_than_was_expected_and_no_server(answers, tmp_path):
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        download(answers + "unsaid", tmp_path / "file", largest=1000)
    with pytest.raises(UserError, match="refused"):
        download("http://127.0.0.1:9/nobody", tmp_path / "file", largest=1000)
    (tmp_path / "a file").touch()
    with pytest.raises(UserError, match=r"not downloaded .*(Not a directory|File exists)"):
        download(answers + "whole", tmp_path / "a file" / "file", largest=1 << 20)
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


# Archives


def pack(path, *entries):
    """A gzipped tar archive of (name, content or a function that changes the entry)."""
    with tarfile.open(path, "w:gz") as archive:
        for name, what in entries:
            entry = tarfile.TarInfo(name)
            if callable(what):
                what(entry)
                archive.addfile(entry)
            else:
                entry.size = len(what)
                archive.addfile(entry, io.BytesIO(what))
    return path


def link(to, kind):
    def change(entry):
        entry.type, entry.linkname = kind, to

    return change


def test_one_folder_of_an_archive(tmp_path):
    (tmp_path / "out").mkdir()
    packed = pack(tmp_path / "a.tar.gz", ("x-1/Data/a/b.txt", b"b"), ("x-1/other.txt", b"o"), ("x-1/Data2/c.txt", b"c"))
    unpack(packed, tmp_path / "out", (None, "Data"), 100_000)
    assert [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.txt")] == ["a/b.txt"]
    assert (tmp_path / "out/a/b.txt").read_bytes() == b"b"


@pytest.mark.parametrize(
    ("name", "what", "told"),
    [
        ("d/../../evil", b"", "would lie elsewhere"),
        ("d/symbolic", link("../../evil", tarfile.SYMTYPE), "a link, a device"),
        ("d/hard", link("d/nothing", tarfile.LNKTYPE), "a link, a device"),
        ("d/pipe", link("", tarfile.FIFOTYPE), "a link, a device"),
        ("d/" + "deep/" * 2000 + "x", b"", "an odd name"),
        ("d/bomb", bytes(3_000_000), "more than 1,000,000 bytes"),
    ],
)
def test_an_archive_that_would_do_harm_is_refused(tmp_path, name, what, told):
    (tmp_path / "out").mkdir()
    packed = pack(tmp_path / "a.tar.gz", (name, what))
    with pytest.raises(ValueError, match=told):
        unpack(packed, tmp_path / "out", ("d",), 1_000_000)
    assert not list(tmp_path.rglob("evil"))


def test_a_flipped_bit_of_an_archive_is_noticed_or_changes_nothing(tmp_path):
    whole = pack(tmp_path / "a.tar.gz", ("d/a.txt", b"some text" * 20), ("d/b.txt", b"other")).read_bytes()
    passed = []
    for place in range(10, len(whole)):  # gzip's own ten bytes hold a time and a system, which nobody reads
        path = tmp_path / "b.tar.gz"
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        (tmp_path / str(place)).mkdir()
        try:
            unpack(path, tmp_path / str(place), ("d",), 1 << 20)
            passed.append({file.name: file.read_bytes() for file in (tmp_path / str(place)).iterdir()})
        except ValueError:
            pass
    assert len(passed) < 20 and all(files == {"a.txt": b"some text" * 20, "b.txt": b"other"} for files in passed)


def test_a_gzip_file_is_bounded_and_whole(tmp_path):
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(CONTENT))
    gunzip(packed, tmp_path / "a", len(CONTENT))
    assert (tmp_path / "a").read_bytes() == CONTENT
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        gunzip(packed, tmp_path / "a", 1000)
    for damaged in (packed.read_bytes()[:-9], b"<html>", b""):
        packed.write_bytes(damaged)
        if damaged:
            with pytest.raises(ValueError, match="not a whole gzip file"):
                gunzip(packed, tmp_path / "a", 1 << 20)


def test_cifar_comes_whole_or_not_at_all(serve, tmp_path, monkeypatch):
    (tmp_path / "server").mkdir()
    packed = pack(tmp_path / "server" / cifar.CIFAR10.filename, ("cifar-10-batches-py/test_batch", b"a batch"))
    monkeypatch.setattr(cifar.CIFAR10, "url", serve(tmp_path / "server") + packed.name)
    with pytest.raises(UserError, match="md5 of its"):
        cifar.download(tmp_path / "cifar")
    monkeypatch.setattr(cifar.CIFAR10, "tgz_md5", hashlib.md5(packed.read_bytes()).hexdigest())
    assert not (tmp_path / "cifar" / "cifar-10-batches-py").exists()
    cifar.download(tmp_path / "cifar")
    assert [path.name for path in (tmp_path / "cifar").rglob("*")] == ["cifar-10-batches-py", "test_batch"]
    with pytest.raises(UserError, match="is there already"):
        cifar.download(tmp_path / "cifar")


def test_weights_of_a_network_are_whole_or_not_there(serve, tmp_path, monkeypatch):
    (tmp_path / "server").mkdir()
    content = b"some weights"
    name = f"resnet-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (tmp_path / "server" / name).write_bytes(content)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    weights = types.SimpleNamespace(url=serve(tmp_path / "server") + name)
    path = tmp_path / "torch" / "hub" / "checkpoints" / name
    downloads.fetch_weights(weights)
    path.write_bytes(b"cut")
    downloads.fetch_weights(weights)
    assert path.read_bytes() == content
    path.unlink()
    (tmp_path / "server" / name).write_bytes(b"other weights")
    with pytest.raises(UserError, match="sha256 of its 13 bytes is"):
        downloads.fetch_weights(weights)
    assert not path.exists()
