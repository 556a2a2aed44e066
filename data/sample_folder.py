"""How a sample comes to lie in its folder: made beside it and renamed, so that it is there whole or not at all."""

import json
import os
import shutil
import tempfile
from pathlib import Path


def make_sample(root, parameters, write) -> Path:
    """Makes a sample in the folder `root`, unless it is there already, and returns the folder.

    Of processes that make it at once, the first to finish wins and the others use its work. A `sample.json` in the
    folder says what it was made with, how many files it holds and how many bytes: enough to notice a lost or a cut one.

    Args:
        root: the folder to make.
        parameters: what the sample depends on, a dictionary that JSON can hold; its "sample" is the sample's name.
        write: called with an empty folder, writes the files of the sample into it.

    Raises:
        FileExistsError: `root` holds something that is not a sample; it is left as it is.
    """
    root = Path(root)
    if is_complete(root, parameters):
        return root
    refuse_foreign(root, parameters["sample"])
    root.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        making.chmod(0o755)  # mkdtemp's folders are closed to other users
        write(making)
        (making / "sample.json").write_text(json.dumps(parameters | contents(making)) + "\n")
        publish(making, root, parameters)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return root


def contents(root):
    """How many files a sample holds, its `sample.json` aside, and how many bytes they take."""
    paths = (Path(folder, name) for folder, _, names in os.walk(root) for name in names if name != "sample.json")
    sizes = [path.stat().st_size for path in paths]
    return {"files": len(sizes), "bytes": sum(sizes)}


def is_complete(root, parameters):
    try:
        return json.loads((root / "sample.json").read_text()) == parameters | contents(root)
    except (OSError, ValueError):
        return False


def refuse_foreign(root, name):
    """Only a folder with a `sample.json`, or an empty one, is ours to replace: nobody's real data set is deleted."""
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        names = [root.name]
    if names and "sample.json" not in names:
        raise FileExistsError(f"{root}: no sample of {name} (it has no sample.json); move it or name another folder")


def publish(making, root, parameters):
    """Renames the finished folder to its place, unless another process has put the same sample there meanwhile."""
    while not is_complete(root, parameters):
        try:
            os.replace(making, root)
        except OSError:  # something is there: another sample, a damaged one, or by now the one that is wanted
            if is_complete(root, parameters):
                return
            refuse_foreign(root, parameters["sample"])
            outdated = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
            try:
                os.replace(root, outdated / "outdated")
            except FileNotFoundError:  # another process has just moved it away
                pass
            finally:
                shutil.rmtree(outdated, ignore_errors=True)
