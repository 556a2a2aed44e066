"""Figure 3.1: the five stages, as the files of this chapter.

    python ch03_workflow/workflow.py

It prints the stages with their files and what each file says of itself, and draws `figure_3_1_workflow.png` into
`runs/workflow`. The chapter is about the three stages in the middle; the text alone names the first and the last.
"""

import ast
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt

import ch03_workflow
from common.tours import tour

args = tour(__doc__)

# %% Figure 3.1: the stages, and what each of their files says of itself
STAGES = {
    "ideation and\nplanning": [],
    "design and\nexperimentation": [
        "fizbuz_dataset.py",
        "loader_parts.py",
        "dataloader_tour.py",
        "mnist.py",
        "torchvision_tour.py",
        "transfer_tour.py",
        "torchtext_tour.py",
        "plain_text_pipeline.py",
        "torchaudio_tour.py",
    ],
    "model\nimplementation": [
        "digit_net.py",
        "profiler_tour.py",
        "bottleneck.py",
    ],
    "training and\nvalidation": [
        "ignite_page.py",
        "ignite_tour.py",
        "metrics_tour.py",
        "ignite_trainer.py",
        "question_classifier.py",
        "yesno.py",
    ],
    "deployment to\nproduction": [],
}
CHAPTER = Path(ch03_workflow.__path__[0])
for stage, files in STAGES.items():
    print(stage.replace("\n", " "))
    for name in files:
        described = ast.get_docstring(ast.parse((CHAPTER / name).read_text(encoding="utf-8")))  # the file is not run
        print(f"    {name:<24}{textwrap.shorten(described.splitlines()[0], 72, placeholder=' ...')}")

# %% Figure 3.1: the workflow, from left to right, and from each stage the way back to the one before
LINE = 0.19  # inches that a file's name takes
bottom = -0.45 - LINE * max(map(len, STAGES.values()))
figure = plt.figure(figsize=(12, 1.3 - bottom), dpi=130, layout="constrained")
axes = figure.add_subplot(xlim=(-0.55, len(STAGES) - 0.45), ylim=(bottom, 0.7))
axes.set_axis_off()
for place, (stage, files) in enumerate(STAGES.items()):
    box = dict(boxstyle="round,pad=0.6", facecolor="#cfe2f3" if files else "#eeeeee", edgecolor="#45688e")
    axes.text(place, 0.2, stage, ha="center", va="center", fontsize=11, bbox=box)
    axes.text(place, -0.35, "\n".join(files), ha="center", va="top", fontsize=9, family="monospace", linespacing=1.5)
    if place:
        arrow = dict(arrowstyle="-|>", color="#45688e", shrinkA=0, shrinkB=0)
        axes.annotate("", xytext=(place - 0.57, 0.28), xy=(place - 0.43, 0.28), arrowprops=arrow)
        back = arrow | {"linestyle": ":"}
        axes.annotate("", xytext=(place - 0.43, 0.12), xy=(place - 0.57, 0.12), arrowprops=back)
axes.set_title("Figure 3.1: the deep learning workflow, and the files of chapter 3")
figure.savefig(args.out / "figure_3_1_workflow.png")
plt.close(figure)
print(args.out / "figure_3_1_workflow.png")
