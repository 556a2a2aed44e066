"""Fetches files and unpacks archives: whole and checked, or not at all; what happened is said in one line."""

import gzip
import hashlib
import http.client
import os
import shutil
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from common.errors import UserError
from common.files import beside

TIMEOUT = 30  # seconds in which a server must send something
SLOWEST = 1000  # bytes a second, measured over that time
DEEPEST = 20  # folders in one another in an archive


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server elsewhere only where the way stays as safe as it was."""

    def redirect_request(self, request, file, code, message, headers, url):
        if not url.startswith("https:") and not (url.startswith("http:") and request.full_url.startswith("http:")):
            raise OSError(f"sent on to {url}, which is not followed")
        return super().redirect_request(request, file, code, message, headers, url)


def download(url, path, *, largest, checksum=None, check=None):
    """Fetches a file: afterwards it lies whole at `path`, or what lay there before does.

    Args:
        url: of http or https.
        largest: how many bytes it may have at most.
        checksum: what it must have, such as `sha256:9e4c8b...`; the beginning of one will do.
        check: called with the path of the file before it gets its name; raises a ValueError that says what is wrong.

    Raises:
        UserError: no network, a server that stalls or breaks off, an answer that is not the file, or no room for it.
    """
    path, came_from = Path(path), url
    print(f"downloading {url}", flush=True)
    try:
        with beside(path) as folder:
            fetched = folder / path.name
            with urllib.request.build_opener(_Redirects).open(url, timeout=TIMEOUT) as answer:
                came_from = answer.geturl()
                _receive(answer, fetched, largest)
            if checksum:
                _compare(fetched, checksum)
            if check:
                check(fetched)
            os.replace(fetched, path)
    except (OSError, http.client.HTTPException, ValueError) as error:
        sent_on = f", sent on to {came_from}" if came_from != url else ""
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(f"{url}{sent_on}: not downloaded ({reason}); nothing was kept") from None


def _receive(answer, path, largest):
    promised = int(answer.headers.get("Content-Length") or -1)
    if promised > largest:
        raise ValueError(f"{promised:,} bytes; expected at most {largest:,}")
    received, since, then = 0, time.monotonic(), 0
    with (
        open(path, "wb") as file,
        tqdm(total=max(promised, 0) or None, unit="B", unit_scale=True, disable=not _on_a_terminal()) as bar,
    ):
        while part := answer.read1(1 << 16):
            received += file.write(part)
            bar.update(len(part))
            if received > largest:
                raise ValueError(f"more than {largest:,} bytes; expected fewer")
            if (seconds := time.monotonic() - since) > TIMEOUT:
                if received - then < SLOWEST * seconds:
                    raise TimeoutError(f"only {received - then:,} bytes in {seconds:.0f} s")
                since, then = time.monotonic(), received
    if received < promised:
        raise ValueError(f"broken off: {received:,} of {promised:,} bytes arrived")
    if not received:
        raise ValueError("an empty answer")


def _on_a_terminal():
    return sys.stderr is not None and sys.stderr.isatty()


def _compare(path, checksum):
    kind, _, expected = checksum.partition(":")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
        file.seek(0)
        begins = file.read(40)
    if not found.startswith(expected):
        size = path.stat().st_size
        raise ValueError(f"{kind} of its {size:,} bytes is {found}, expected {expected}; they begin with {begins!r}")


def fetch_weights(weights):
    """Sees to it that torchvision finds the parameters of a network: whole ones lie in torch's cache folder afterwards.

    Args:
        weights: such as `torchvision.models.ResNet18_Weights.DEFAULT`.

    Raises:
        UserError: they could not be fetched.
    """
    import torch

    path = Path(torch.hub.get_dir(), "checkpoints", weights.url.rpartition("/")[2])
    checksum = f"sha256:{path.stem.rpartition('-')[2]}"  # the name ends with the beginning of it
    try:
        if path.exists():
            return _compare(path, checksum)
    except ValueError as error:
        print(f"{path}: {error}; fetched anew", file=sys.stderr)
    download(weights.url, path, largest=1 << 30, checksum=checksum)


def gunzip(source, path, largest):
    """Unpacks a file: the checksum within it is compared, and no more than `largest` bytes are written.

    Raises:
        ValueError: the file is damaged, or unpacks to more.
    """
    try:
        with gzip.open(source, "rb") as packed, open(path, "wb") as unpacked:
            shutil.copyfileobj(_Bounded(packed, largest), unpacked)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"not a whole gzip file: {error}") from None


class _Bounded:
    """A file to read from that holds no more than so many bytes."""

    def __init__(self, file, largest):
        self.file, self.largest, self.left = file, largest, largest

    def read(self, size):
        part = self.file.read(min(size, self.left + 1))
        self.left -= len(part)
        if self.left < 0:
            raise ValueError(f"more than {self.largest:,} bytes in it")
        return part


def unpack(archive, folder, inside, largest):
    """Unpacks one folder of a gzipped tar archive: nothing but files and folders, and nothing outside `folder`.

    Args:
        folder: is there already, and takes what lies in the archive's folder.
        inside: what the names of its files begin with, such as `(None, "CamVid")`; None stands for any name.
        largest: how many bytes the archive may unpack to at most.

    Raises:
        ValueError: the archive is damaged, or would do what an archive of data has no need to.
    """
    try:
        with gzip.open(archive, "rb") as stream:
            bounded = _Bounded(stream, largest)
            with tarfile.open(fileobj=bounded, mode="r|") as entries:
                for entry in entries:
                    path = PurePosixPath(entry.name).parts
                    begin, rest = path[: len(inside)], path[len(inside) :]
                    if not rest or entry.isdir() or any(name not in (None, part) for name, part in zip(inside, begin)):
                        continue
                    if not entry.isreg() or len(rest) > DEEPEST or "\0" in entry.name:
                        raise ValueError(f"{entry.name[:100]!r}, a link, a device or an odd name")
                    entry.name = str(PurePosixPath(*rest))
                    # Raises FilterError for absolute names and for names with .. that lead outside.
                    entries.extract(entry, folder, filter="data")
            while bounded.read(1 << 20):  # gzip compares its checksum at the end
                pass
    except tarfile.FilterError as error:
        raise ValueError(f"refused, an entry would lie elsewhere: {error}") from None
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, LookupError) as error:
        raise ValueError(f"not a whole archive: {error}") from None
