"""What lies under ignite's trainer: listings 3.21 to 3.30.

    python ch03_workflow/ignite_tour.py

Engines, events and checkpoints, each tried on its own. Nothing is trained: engines go through short lists, so that one
sees what is called when. The metrics of 3.25 are in `metrics_tour.py`, the trainer that uses all this is
`ignite_trainer.py`.
"""

# What the page quotes of ignite's source has changed; here it comes from the installed library, docstrings left out.
import ast
import functools
import inspect
import operator
import textwrap

import ignite.handlers
import torch
import torch.nn.functional as F
from ignite.engine import Engine, EventEnum, Events
from ignite.handlers import Checkpoint, DiskSaver
from ignite.metrics import EpochWise, Metric
from torch import nn, optim

from common.tours import tour

args = tour(__doc__)


def source(function):
    """The source of a function without its docstring and its comments."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    if ast.get_docstring(tree.body[0]):
        del tree.body[0].body[0]
    return ast.unparse(tree)


# %% 3.21 An engine calls its function with each batch
# max_epochs times through the data, and it keeps what is returned.
batches = []


def training_loop(engine, batch):
    batches.append((engine.state.epoch, engine.state.iteration, batch))
    return batch * 10


engine = Engine(training_loop)
state = engine.run([1, 2, 3], max_epochs=2)
print("epoch, iteration and batch of each call:", batches)
print(f"afterwards: epoch {state.epoch}, iteration {state.iteration}, output {state.output}, batch {state.batch}")
print("the logger that the text calls trainer_logger is trainer.logger:", engine.logger.name)

# %% Table: ignite's events
# The page's seven are marked with a star, the others came after the book.
PAGE_EVENTS = ["EPOCH_STARTED", "EPOCH_COMPLETED", "STARTED", "COMPLETED", "ITERATION_STARTED", "ITERATION_COMPLETED"]
PAGE_EVENTS += ["EXCEPTION_RAISED"]
all_events = list(Events)
for event in all_events:
    print("*" if event.name in PAGE_EVENTS else " ", event.name)

# %% 3.23 Handlers, and the order of the events
# Two handlers of one event are called in the order in which they were attached. One handler for every event shows the
# order of the events in a run of one epoch of two batches. "|" joins events.
engine = Engine(lambda engine, batch: None)
order = []
every_event = functools.reduce(operator.or_, Events)


@engine.on(every_event)
def note(engine):
    order.append(engine.last_event_name.name)


@engine.on(Events.COMPLETED)
def first(engine):
    order.append("the first handler of COMPLETED")


@engine.on(Events.COMPLETED)
def second(engine):
    order.append("the second")


engine.run([1, 2], max_epochs=1)
print("\n".join(order))


# %% EXCEPTION_RAISED: who handles it gets the exception
# And must raise it again if it shall go on.
def fail(engine, batch):
    raise ValueError(f"batch {batch} is spoilt")


caught = []
engine = Engine(fail)
engine.logger.setLevel("CRITICAL")
engine.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: caught.append(str(error)))
engine.run([7])
print("caught:", caught)

# %% 3.24 The function that calls an event's handlers, as it is today
fire_event_source = source(Engine._fire_event)
print(fire_event_source)

# %% Filters, which the page misses
# A handler is called on every n-th time, once, or when a function says so.
filtered = {"every=3": [], "once=5": [], "powers of two": [], "after=2, before=5": []}


def is_power_of_two(engine, number):
    return number & (number - 1) == 0


events = {
    "every=3": Events.ITERATION_COMPLETED(every=3),
    "once=5": Events.ITERATION_COMPLETED(once=5),
    "powers of two": Events.ITERATION_COMPLETED(event_filter=is_power_of_two),
    "after=2, before=5": Events.ITERATION_COMPLETED(after=2, before=5),
}
engine = Engine(lambda engine, batch: None)
for name, event in events.items():
    engine.add_event_handler(event, lambda engine, name: filtered[name].append(engine.state.iteration), name)
engine.run(range(10))
for name, iterations in filtered.items():
    print(f"{name:<18} called in the iterations {iterations}")


# %% Custom events, which the page says are impossible
# One between backward() and step(). Who fires it also counts it in the state, under the name that event_to_attr
# gives; filters such as every= look there.
class BackwardEvents(EventEnum):
    BACKWARD_COMPLETED = "backward_completed"


def step_with_event(engine, batch):
    loss = F.mse_loss(model(batch), batch)
    optimizer.zero_grad()
    loss.backward()
    engine.state.backwards += 1
    engine.fire_event(BackwardEvents.BACKWARD_COMPLETED)
    optimizer.step()


model = nn.Linear(4, 4)
optimizer = optim.SGD(model.parameters(), lr=0.1)
engine = Engine(step_with_event)
engine.register_events(*BackwardEvents, event_to_attr={BackwardEvents.BACKWARD_COMPLETED: "backwards"})
gradient_norms = []


@engine.on(BackwardEvents.BACKWARD_COMPLETED(every=2))
def log_gradient(engine):
    gradient_norms.append((engine.state.backwards, model.weight.grad.norm().item()))


engine.run([torch.rand(8, 4) for _ in range(6)])
print("norm of the gradient:", [f"{number}: {norm:.3f}" for number, norm in gradient_norms])

# %% 3.26 How a metric attaches its three handlers, as it is today
# `usage` says to which events.
attach_source = source(Metric.attach)
print(attach_source)
usage = EpochWise()
usage_events = [usage.STARTED.name, usage.ITERATION_COMPLETED.name, usage.COMPLETED.name]
print("the default usage:", usage_events)

# %% 3.28 and 3.29 Checkpoints every hundred iterations
# A file holds a dictionary of state dictionaries, not the objects.
has_engine_checkpoint = hasattr(ignite.handlers, "EngineCheckpoint")
dirname = args.out / "checkpoints"
model = nn.Linear(4, 2)
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
objects_to_checkpoint = {"model": model, "optimizer": optimizer}
trainer = Engine(lambda engine, batch: None)
handler = Checkpoint(objects_to_checkpoint, DiskSaver(dirname, require_empty=False), n_saved=None)
trainer.add_event_handler(Events.ITERATION_COMPLETED(every=100), handler)
trainer.run(range(500))
checkpoint_files = sorted(path.name for path in dirname.iterdir())
checkpoint = torch.load(dirname / "checkpoint_500.pt", weights_only=True)
model.load_state_dict(checkpoint["model"])
print(f"{has_engine_checkpoint = }, {checkpoint_files}, {list(checkpoint)}")

# %% 3.30 The check inside the handler, as printed and put right
# 1,000 iterations, an interval of 100.
saves = {"!= 0, as printed": 0, "== 0": 0}
save_interval = 100
trainer = Engine(lambda engine, batch: None)


@trainer.on(Events.ITERATION_COMPLETED)
def count_saves(engine):
    if engine.state.iteration % save_interval != 0:
        saves["!= 0, as printed"] += 1
    if engine.state.iteration % save_interval == 0:
        saves["== 0"] += 1


trainer.run(range(1000))
print("saved:", saves)
