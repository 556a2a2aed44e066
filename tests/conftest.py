"""What holds for every test: pictures without a window, and one thread a test process."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import torch

# Tests run side by side, one process a core (setup.cfg): more threads than that would wait for each other.
torch.set_num_threads(1)
