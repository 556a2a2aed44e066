"""Records what a page shows of a program: the lines that a run on the sample prints, and its pictures, made small.

python docs/record.py                 every program, some ten minutes on two cores
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
PICTURES = {
    "ch01_intro/xor_dynamic_graph.py": ["xor_graph"],
    "ch02_simple_nn/fizzbuzz.py": ["curves"],
    "ch03_workflow/ignite_trainer.py": ["confusion"],
    "ch03_workflow/question_classifier.py": ["confusion"],
    "ch03_workflow/yesno.py": ["answers"],
    "ch04_vision/simple_cnn.py": ["filters", "feature_maps"],
    "ch04_vision/linknet.py": ["predictions", "curves"],
    "ch05_sequence/simple_rnn.py": ["states"],
    "ch05_sequence/advanced_rnn.py": ["gates", "words"],
    "ch05_sequence/spinn.py": ["steps", "plan"],
}
LARGEST = 110_000  # bytes that a picture may take

for program, pictures in PICTURES.items():
    name = Path(program).stem
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        run = subprocess.run([sys.executable, ROOT / program], cwd=folder, env=environment, stdout=-1, check=True)
        (RECORDED / f"{name}.txt").write_bytes(f"$ python {program}\n".encode() + run.stdout)
        for picture in pictures:
            path, size = RECORDED / f"{name}.{picture}.png", LARGEST + 1
            image = Image.open(Path(folder, "runs", name, f"{picture}.png")).convert("RGB")
            image.thumbnail((1000, 4000))
            while size > LARGEST:
                image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
                size = path.stat().st_size
                image.thumbnail((image.width * 9 // 10, image.height))
