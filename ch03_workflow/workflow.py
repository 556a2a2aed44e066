"""Figure 3.1: the five stages, as the files of this chapter.

    python ch03_workflow/workflow.py

It prints the stages with their files and what each file says of itself, and draws `figure_3_1_workflow.png` into
`runs/workflow`. The chapter is about the three stages in the middle; the text alone names the first and the last.
"""

import ast
from pathlib import Path

from matplotlib.figure import Figure

from common.tours import tour

CHAPTER = Path(__file__).parent
LINE = 0.19  # inches that a file's name takes
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


def first_line(path):
    """The first line of a file's docstring; the file is not run."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0]


def draw_workflow(stages, path):
    """Draws the stages from left to right, their files below them, and the way back from each to the one before."""
    bottom = -0.45 - LINE * max(map(len, stages.values()))
    figure = Figure(figsize=(12, 1.3 - bottom), dpi=130, layout="constrained")
    axes = figure.add_subplot(xlim=(-0.55, len(stages) - 0.45), ylim=(bottom, 0.7))
    axes.set_axis_off()
    for place, (stage, files) in enumerate(stages.items()):
        colour = "#cfe2f3" if files else "#eeeeee"
        box = {"boxstyle": "round,pad=0.6", "facecolor": colour, "edgecolor": "#45688e"}
        axes.text(place, 0.2, stage, ha="center", va="center", fontsize=11, bbox=box)
        axes.text(
            place, -0.35, "\n".join(files), ha="center", va="top", fontsize=9, family="monospace", linespacing=1.5
        )
        if place:
            arrow = {"arrowstyle": "-|>", "color": "#45688e", "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", xytext=(place - 0.57, 0.28), xy=(place - 0.43, 0.28), arrowprops=arrow)
            axes.annotate(
                "", xytext=(place - 0.43, 0.12), xy=(place - 0.57, 0.12), arrowprops=arrow | {"linestyle": ":"}
            )
    axes.set_title("Figure 3.1: the deep learning workflow, and the files of chapter 3")
    figure.savefig(path)


if __name__ == "__main__":
    args = tour(__doc__)
    for stage, files in STAGES.items():
        print(stage.replace("\n", " "))
        for name in files:
            print(f"    {name:<24}{first_line(CHAPTER / name)}")
    draw_workflow(STAGES, args.out / "figure_3_1_workflow.png")
