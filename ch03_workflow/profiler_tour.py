"""Listing 3.18: where the time of a network goes.

    python ch03_workflow/profiler_tour.py

It prints the tables of figures 3.2 and 3.3 and leaves `chrometrace.json`, which https://ui.perfetto.dev and Chrome's
chrome://tracing open, and the same calls drawn, `figure_3_4.png`, in `runs/profiler_tour`; a whole training step is in
`training_step.png`. The page's `torch.autograd.profiler` is still there; `torch.profiler` took its place.
"""

# %% The network of chapter 2, and its numbers out of 3.1
import os

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler tells on stderr that it starts and stops

import torch
from torch import nn, optim
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from ch03_workflow.fizbuz_dataset import FizBuzDataset
from ch03_workflow.pictures.timeline import draw_timeline
from common.tours import tour

args = tour(__doc__)
device = args.device
x_, y_ = (torch.stack(parts).to(device) for parts in zip(*FizBuzDataset(input_size=10)))
net = nn.Sequential(nn.Linear(10, 100), nn.Sigmoid(), nn.Linear(100, 4)).to(device)
# One pass before the profiler looks: the first one sets things up.
hyp = net(x_)
print(f"{x_.shape = }, {hyp.shape = }")

# %% 3.18 The forward pass, as printed: the first table has a row for every call
with torch.autograd.profiler.profile() as prof:
    hyp = net(x_)
print(prof)
# How to read the tables.
print("Self CPU: the time of the call itself; CPU total: with the calls inside it, as aten::addmm in aten::linear;")
print("%: of all that was recorded; CPU time avg: the total by the number of calls.")

# %% 3.18 The trace of this pass, for Chrome; the last print of the page is not this one, as its text says
trace_file = args.out / "chrometrace.json"
prof.export_chrome_trace(str(trace_file))
print(f"{trace_file}: {trace_file.stat().st_size:,} bytes")

# %% Figure 3.2: key_averages() puts the calls of one name into one row
averages = prof.key_averages()
calls = {row.key: row.count for row in averages}
print(averages)
print(f"two layers, so aten::linear was called {calls['aten::linear']} times")

# %% Figure 3.3: sorted by CPU time, the longest first; the text says ascending
by_cpu_time = prof.table("cpu_time")
print(by_cpu_time)

# %% Figure 3.4: the same events as a picture, a row a call
events = prof.function_events
draw_timeline(events, args.out / "figure_3_4.png", "The forward pass")
for event in events:
    if event.cpu_parent is None:
        print(f"{event.name:<15} from {event.time_range.start:6.0f} to {event.time_range.end:6.0f} us")

# %% Not on the page: a whole training step in today's words, with names for its parts
# The schedule lets one step pass, warms the profiler up in the next, and records two.
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
    average = row.cpu_time_total / row.count
    print(f"{name:<9} {row.count} times, {average:7.0f} us each, {row.cpu_time_total / total:.0%}")
_, last_step = [event for event in profiler.events() if event.name.startswith("ProfilerStep")]
in_last_step = [
    event
    for event in profiler.events()
    if event.device_type == torch.autograd.DeviceType.CPU
    and last_step.time_range.start <= event.time_range.start < last_step.time_range.end
]
draw_timeline(in_last_step, args.out / "training_step.png", "A training step", deepest=2)

# %% Memory: what a call allocated minus what it freed
# The hidden layer makes 1000 x 100 numbers of 4 bytes twice, before and after the sigmoid. Those after it are still
# there when the pass is over, along with the 1000 x 4 scores, since backward() will need them; without gradients the
# scores alone are.
on_device = "device_memory_usage" if device.type == "cuda" else "cpu_memory_usage"
with profile(activities=activities, profile_memory=True) as memory_profiler:
    with record_function("forward"):
        scores = net(x_)
    with record_function("forward without gradients"), torch.no_grad():
        scores_alone = net(x_)
kept = {row.key: getattr(row, on_device) for row in memory_profiler.key_averages() if row.key.startswith("forward")}
largest = max(getattr(event, on_device) for event in memory_profiler.events() if event.name == "aten::sigmoid")
print(memory_profiler.key_averages().table(sort_by=f"self_{on_device}", row_limit=5))
print(f"the sigmoid's bytes: {largest:,}, that is 1000 x 100 x 4; bytes kept after the pass:")
for name, count in kept.items():
    print(f"{name:<26}{count:>8,}")
print(f"look at {args.out}/figure_3_4.png")
