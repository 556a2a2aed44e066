"""What holds for every test: pictures without a window, and one thread a test process."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
# Tests run side by side, one process a core (setup.cfg): more threads than that, in them or in the programs that they
# start, would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)
