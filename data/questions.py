"""Questions of TREC's six kinds, written for this repository: the sample that the question classifier trains on.

    python data/questions.py --out runs/questions

The questions stand in `questions.txt`, in TREC's own form, and none is one of TREC's. They are laid out as TREC is
published: `train_5500.label` and `TREC_10.label`, a line `COARSE:fine question ?`, in ISO-8859-1.
"""

import random
from pathlib import Path

from data.sample_folder import main, make_sample

WRITTEN = Path(__file__).with_name("questions.txt")
TEST_SHARE = 5  # every fifth question of a class


def make_questions(root, seed=0) -> Path:
    """Writes the sample into the folder `root`, unless it is there already, and returns the folder.

    A fifth of each class goes to the test file, and the seed says which and in what order the lines stand.

    Raises:
        FileExistsError: `root` holds something that is not a sample; it is left as it is.
    """
    lines = WRITTEN.read_text(encoding="utf-8-sig").splitlines()
    generator = random.Random(seed)
    generator.shuffle(lines)
    # Sorting keeps the shuffled order within a class, so that every fifth line is a fifth of each class.
    by_class = sorted(lines, key=lambda line: line.partition(":")[0])
    parts = {"TREC_10.label": set(by_class[::TEST_SHARE])}
    parts["train_5500.label"] = set(lines) - parts["TREC_10.label"]

    def write(folder):
        for name, chosen in parts.items():
            text = "".join(f"{line}\n" for line in lines if line in chosen)
            # A reader's own question may have letters that ISO-8859-1 lacks.
            (folder / name).write_bytes(text.encode("iso-8859-1" if max(text, default="") < "\u0100" else "utf-8"))

    # The text itself, so that a sample on disk is made again when a question is changed.
    return make_sample(root, {"sample": "questions", "seed": seed, "questions": sorted(lines)}, write)


if __name__ == "__main__":
    main(make_questions, "Lay the questions out as TREC is.")
