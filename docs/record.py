"""Records what a page shows of a program: the lines that a run on the sample prints, and its pictures, made small.

python docs/record.py                 every program, some twenty minutes on two cores
python docs/record.py linknet yesno   these alone
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "docs" / "recorded"
PROGRAMS = {
    "ch02_simple_nn/fizzbuzz.py": [],
    "ch03_workflow/mnist.py": ["digits"],
    "ch03_workflow/ignite_trainer.py": ["confusion"],
    "ch03_workflow/question_classifier.py": ["confusion"],
    "ch03_workflow/yesno.py": ["answers"],
    "ch04_vision/simple_cnn.py": ["filters", "feature_maps"],
    "ch04_vision/linknet.py": ["predictions", "curves"],
    "ch05_sequence/simple_rnn.py": ["states"],
    "ch05_sequence/advanced_rnn.py": ["gates", "attention"],
    "ch05_sequence/spinn.py": ["steps", "parse"],
}
LARGEST = 110_000  # bytes that a picture may take


def shrink(picture, path):
    """Saves a picture in 128 colours, as wide as a page at most, narrower until it is small enough."""
    image = Image.open(picture).convert("RGB")
    width = min(image.width, 1000)
    while not path.exists() or path.stat().st_size > LARGEST:
        small = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
        small.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        width = width * 9 // 10


def record(program, pictures):
    name = Path(program).stem
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, str(ROOT / program)]
        run = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        RECORDED.mkdir(exist_ok=True)
        for old in RECORDED.glob(f"{name}.*"):
            old.unlink()
        (RECORDED / f"{name}.txt").write_text(f"$ python {program}\n{run.stdout}", encoding="utf-8")
        for picture in pictures:
            shrink(Path(folder, "runs", name, f"{picture}.png"), RECORDED / f"{name}.{picture}.png")


if __name__ == "__main__":
    for program, pictures in PROGRAMS.items():
        if not sys.argv[1:] or Path(program).stem in sys.argv[1:]:
            print(program, flush=True)
            record(program, pictures)
