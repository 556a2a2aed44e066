"""What the chapters share.

Read `tours.py` for the tours; for the programs `cli.py` (flags, mistakes), `batches.py`, `training.py`, and `report.py`
and `checkpoints.py` for what a run leaves. What a chapter's page does not need lies below: `files.py`, `names.py`,
`downloads.py` and `streams.py` meet what disks, networks and shells bring; `word_vectors.py` reads GloVe's format;
`pictures.py` and `graph.py` draw.

Whoever imports it is the repository's own script, beside the repository's own `data`.
"""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def _whose(name):
    """The folder that a package of this name would be imported from."""
    found = importlib.util.find_spec(name)
    return Path(found.origin).resolve().parents[1] if found and found.origin else None


def _check():
    """Ends the program, in a line, where `data` or the script's own files are not those that would be imported."""
    # `common` and `data` are names that others use too, and an installed copy would hide the files that a reader edits.
    script = Path(getattr(sys.modules["__main__"], "__file__", None) or HERE / "common" / "none").resolve()
    if _whose("data") != HERE:
        told = f"another package named data, in {_whose('data')}, hides {HERE / 'data'}"
    elif script.parent.parent != HERE and (script.parent.parent / "ch01_intro").is_dir():
        told = f"{script} would run with the copy in {HERE}; try: pip install -e {script.parent.parent}"
    else:
        return
    print(told, file=sys.stderr)
    sys.exit(2)


_check()
