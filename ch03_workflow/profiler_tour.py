"""Listing 3.18: where the time of a network goes, on chapter 2's FizzBuzz network; figures 3.2 to 3.4.

    python ch03_workflow/profiler_tour.py

It prints the tables of figures 3.2 and 3.3 and leaves `chrometrace.json`, which https://ui.perfetto.dev and Chrome's
chrome://tracing open, and `figure_3_4.png`, the same timeline drawn from that file, in `runs/profiler_tour`. The page's
`torch.autograd.profiler` is still there; `torch.profiler` took its place and adds GPUs, schedules and memory.
"""

# The network and the data of chapter 2. One pass before the profiler looks: the first one sets things up.
import os

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler tells on stderr that it starts and stops

import torch
from torch import nn, optim
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from ch02_simple_nn.data import get_class_index_data
from ch02_simple_nn.fizzbuzz import FizBuzNet
from ch03_workflow.pictures.timeline import draw_timeline, read_trace
from common.tours import tour

args = tour(__doc__)
device = args.device
trX, trY, _, _ = get_class_index_data(input_size=10)
x_ = torch.from_numpy(trX).float().to(device)
y_ = torch.from_numpy(trY).to(device)
net = FizBuzNet(input_size=10, hidden_size=100, output_size=4, logits=True).to(device)
hyp = net(x_)

# %% 3.18 The profiler over the forward pass
# A row for every call, as printed.
with torch.autograd.profiler.profile() as prof:
    hyp = net(x_)
print(prof)

# %% 3.18 Figure 3.2: averages by name
# key_averages() puts the calls of one name into one row. Two layers, so aten::linear was called twice.
averages = prof.key_averages()
calls = {row.key: row.count for row in averages}
print(averages)

# %% 3.18 Figure 3.3: sorted by CPU time
# The longest first (the text says ascending). A row's time includes that of the calls inside it: aten::linear
# contains aten::addmm, and "Self CPU" is what remains for itself.
by_cpu_time = prof.table("cpu_time")
print(by_cpu_time)

# %% A whole training step by today's torch.profiler
# What the page leaves out. record_function names a part of it. The schedule lets one step pass, warms the profiler up
# in the next, and records two.
optimizer = optim.SGD(net.parameters(), lr=0.1)
loss_fn = nn.CrossEntropyLoss()
activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
with profile(activities=activities, schedule=schedule(wait=1, warmup=1, active=2)) as profiler:
    for _ in range(4):
        with record_function("forward"):
            hyp = net(x_)
            loss = loss_fn(hyp, y_)
        with record_function("backward"):
            optimizer.zero_grad()
            loss.backward()
        with record_function("update"):
            optimizer.step()
        profiler.step()
print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=10, max_name_column_width=40))

# %% The named parts: their share of the two steps
parts = {row.key: row for row in profiler.key_averages() if row.key in ("forward", "backward", "update")}
total = sum(row.cpu_time_total for row in parts.values())
for name, row in parts.items():
    print(
        f"{name:<9} {row.count} times, {row.cpu_time_total / row.count:7.0f} us each, {row.cpu_time_total / total:.0%}"
    )

# %% 3.18 Figure 3.4: the trace as a file, and drawn from the file
# A bar under another was called by it.
trace_file = args.out / "chrometrace.json"
profiler.export_chrome_trace(str(trace_file))
events = read_trace(trace_file)
draw_timeline(events, args.out / "figure_3_4.png")
print(f"{len(events)} bars in {trace_file}")

# %% Memory: what a call allocated minus what it freed
# The hidden layer makes 900 x 100 numbers of 4 bytes twice, before and after the sigmoid. The second stay for
# backward() after the pass, along with the 900 x 4 scores; without gradients the scores alone do.
on_device = "device_memory_usage" if device.type == "cuda" else "cpu_memory_usage"
with profile(activities=activities, profile_memory=True) as memory_profiler:
    with record_function("forward"):
        scores = net(x_)
    with record_function("forward without gradients"), torch.no_grad():
        scores_alone = net(x_)
kept = {row.key: getattr(row, on_device) for row in memory_profiler.key_averages() if row.key.startswith("forward")}
largest = max(getattr(event, on_device) for event in memory_profiler.events() if event.name == "aten::sigmoid")
print(memory_profiler.key_averages().table(sort_by=f"self_{on_device}", row_limit=5))
print(f"the sigmoid's bytes: {largest}, that is 900 x 100 x 4 = {900 * 100 * 4}; kept after the pass: {kept}")
print(f"look at {args.out}/figure_3_4.png")
