"""How a sample comes to lie in its folder: made beside it and renamed, so that it is there whole or not at all."""

import argparse
import json
import os
import sys
from pathlib import Path

from common.files import beside, from_a_browser


def make_sample(root, parameters, write) -> Path:
    """Makes a sample in the folder `root`, unless it is there already, and returns the folder.

    Of processes that make it at once, the first to finish wins and the others use its work. A `sample.json` in the
    folder says what it was made with and how many bytes each of its files has: enough to notice a lost or a cut one.
    What else lies in the folder is somebody's own, and stays.

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
    if sys.stderr.isatty():  # for some samples somebody waits half a minute
        print(f"the sample of {parameters['sample']} is made, once: {root}", file=sys.stderr)
    with beside(root) as making:
        making = making / root.name
        making.mkdir()
        write(making)
        files = {path.relative_to(making).as_posix(): path.stat().st_size for path in files_of(making)}
        (making / "sample.json").write_text(json.dumps(parameters | {"files": files}) + "\n")
        publish(making, root, parameters)
    return root


def files_of(root):
    return [Path(folder, name) for folder, _, names in os.walk(root) for name in names]


def read_list(root):
    """What `sample.json` says; an empty dictionary where it cannot be read."""
    try:
        said = json.loads((root / "sample.json").read_text())
        return said if isinstance(said["files"], dict) else {}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}


def is_complete(root, parameters):
    said = read_list(root)
    files = said.pop("files", None)
    try:
        return said == parameters and all((root / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError):
        return False


def refuse_foreign(root, name):
    """Only a folder with a `sample.json`, or an empty one, is ours to replace: nobody's real data set is deleted."""
    try:
        names = [each for each in os.listdir(root) if not from_a_browser(each)]
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
            outdated = making.with_name("outdated")
            try:
                os.replace(root, outdated)
            except FileNotFoundError:  # another process has just moved it away
                continue
            keep_what_is_not_ours(outdated, root, {*read_list(making)["files"], "sample.json"})


def keep_what_is_not_ours(outdated, root, ours):
    """Deletes the files of an old sample; what is left, somebody's notes, is put beside the new one.

    Args:
        ours: the names of the new sample's files: what an old one has that lost its list.
    """
    ours |= read_list(outdated).get("files", {}).keys()
    others = []
    for path in files_of(outdated):
        if path.relative_to(outdated).as_posix() in ours:
            path.unlink()
        elif not from_a_browser(path.name):
            others.append(path)
    if others:
        number = 1
        while (kept := root.with_name(f"{root.name}_kept_{number}")).exists():
            number += 1
        os.replace(outdated, kept)
        print(f"{root}: made anew; {len(others)} files in it that are not the sample's lie in {kept} now")


def main(make, description):
    """The command line of a maker of samples, `make(root, seed=0)`: `--out FOLDER` and `--seed N`."""
    from common import cli  # with torch, two seconds that a sample does without

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")
    parser.add_argument("--seed", type=cli.seed_number, default=0)
    arguments = parser.parse_args()

    def make_it():
        try:
            print(make(arguments.out, seed=arguments.seed))
        except OSError as error:
            raise cli.UserError(error) from None

    cli.run(make_it)
