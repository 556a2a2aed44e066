"""The page's trainer on MNIST, from the loop to checkpoints.

    python ch03_workflow/ignite_page.py

Listings 3.20 to 3.29 one after the other, put together and put right; the network, the data and `process_batch`, which
the page does not give, are in `digit_net.py`. What a long training wants besides is in `ignite_trainer.py`.
"""

import copy

import torch
import torch.nn.functional as F
from ignite.engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import Checkpoint, DiskSaver
from ignite.metrics import Accuracy, Loss
from torch import optim

from ch03_workflow.digit_net import DigitNet, get_data_loaders, process_batch
from common.tours import tour

args = tour(__doc__)

# %% 3.20 The usual loop
# What it goes through must yield batches: a DataLoader, or as here the batches of one of its epochs in a list.
train_batch_size, val_batch_size = 128, 1000
train_loader, val_loader = get_data_loaders(train_batch_size, val_batch_size)
dataset, epochs, loss_fn = list(train_loader), 1, F.nll_loss
untrained = DigitNet()

net = copy.deepcopy(untrained)
optimizer = optim.SGD(net.parameters(), lr=0.1)
for _ in range(epochs):
    for batch in dataset:
        x_batch, y_batch = process_batch(batch)
        optimizer.zero_grad()
        hyp = net(x_batch)
        loss = loss_fn(hyp, y_batch)
        loss.backward()
        optimizer.step()
by_the_loop = net.state_dict()
print(f"{len(dataset)} batches of {train_batch_size}; the loss of the last one is {loss.item():.4f}")

# %% 3.21 The body of the loop as a function, given to an Engine, which has the two loops
net = copy.deepcopy(untrained)
optimizer = optim.SGD(net.parameters(), lr=0.1)


def training_loop(trainer, batch):
    net.train()  # not on the page, but an evaluator that runs between two epochs leaves it in evaluation mode
    x_batch, y_batch = process_batch(batch)
    optimizer.zero_grad()
    hyp = net(x_batch)
    loss = loss_fn(hyp, y_batch)
    loss.backward()
    optimizer.step()
    return loss.item()  # becomes engine.state.output; the page returns nothing, and it stays None


trainer = Engine(training_loop)
state = trainer.run(dataset, max_epochs=epochs)
same_by_engine = all(map(torch.equal, net.state_dict().values(), by_the_loop.values()))
print(f"the last loss is {state.output:.4f}; the same weights as the loop's: {same_by_engine}")

# %% 3.22 The same trainer ready-made, and an evaluator, whose output is a pair: predictions and labels
model = copy.deepcopy(untrained)
optimizer = optim.SGD(model.parameters(), lr=0.1)
trainer = create_supervised_trainer(model, optimizer, F.nll_loss, args.device, prepare_batch=process_batch)
evaluator = create_supervised_evaluator(model, device=args.device, prepare_batch=process_batch)
trainer.run(dataset, max_epochs=epochs)
y_pred, y = evaluator.run(val_loader).output
same_by_supervised = all(map(torch.equal, model.cpu().state_dict().values(), by_the_loop.values()))
print(f"{y_pred.shape = }, {y.shape = }; the same weights again: {same_by_supervised}")

# %% 3.25 Metrics by name, given to the evaluator
# The name given here is the one to read it by; the page's is 'null' here and 'nll' in 3.27.
epochs = 3
model = DigitNet().to(args.device)
optimizer = optim.SGD(model.parameters(), lr=0.1)
trainer = create_supervised_trainer(model, optimizer, F.nll_loss, args.device, prepare_batch=process_batch)
metrics = {"accuracy": Accuracy(), "nll": Loss(F.nll_loss)}
evaluator = create_supervised_evaluator(model, metrics=metrics, device=args.device, prepare_batch=process_batch)


# %% 3.23 Events: what is to happen when; here is a handler for each of the page's seven
@trainer.on(Events.STARTED)
def begin(engine):
    engine.state.images = 0


@trainer.on(Events.EPOCH_STARTED)
def head_the_epoch(engine):
    print(f"Epoch {engine.state.epoch} of {engine.state.max_epochs}")


@trainer.on(Events.ITERATION_STARTED)
def count_images(engine):
    _, labels = engine.state.batch
    engine.state.images += len(labels)


@trainer.on(Events.ITERATION_COMPLETED(every=10))  # the page prints each of them
def log_training_loss(engine):
    epoch = engine.state.epoch
    iteration = engine.state.iteration
    loss = engine.state.output
    print(f"Epoch:{epoch} Iteration:{iteration} Loss: {loss:.4f}")


@trainer.on(Events.EPOCH_COMPLETED)
def run_evaluator_on_training_data(engine):
    evaluator.run(train_loader)
    print("Training data:   Avg accuracy: {accuracy:.4f} Avg loss: {nll:.4f}".format(**evaluator.state.metrics))


# %% 3.27 The second handler of EPOCH_COMPLETED is called after the first, and reads its metrics by their names
@trainer.on(Events.EPOCH_COMPLETED)
def run_evaluator_on_validation_data(engine):
    evaluator.run(val_loader)
    metrics = evaluator.state.metrics
    avg_accuracy = metrics["accuracy"]
    avg_nll = metrics["nll"]
    print(f"Validation data: Avg accuracy: {avg_accuracy:.4f} Avg loss: {avg_nll:.4f}")


# %% 3.23 The last two of the seven
@trainer.on(Events.COMPLETED)
def tell_the_whole(engine):
    print(f"{engine.state.images:,} images in {engine.state.times['COMPLETED']:.1f} s")


@trainer.on(Events.EXCEPTION_RAISED)
def tell_the_exception(engine, error):
    print(f"{type(error).__name__} in iteration {engine.state.iteration}")
    raise error  # an exception that has a handler counts as handled


# %% 3.29 A checkpoint every hundred iterations, and the training
# EngineCheckpoint is gone: Checkpoint says what is saved, DiskSaver where, and the event's filter when.
dirname = args.out / "checkpoints"
objects_to_checkpoint = {"model": model, "optimizer": optimizer}
engine_checkpoint = Checkpoint(objects_to_checkpoint, DiskSaver(dirname, require_empty=False), n_saved=None)
trainer.add_event_handler(Events.ITERATION_COMPLETED(every=100), engine_checkpoint)
trainer.run(train_loader, max_epochs=epochs)

# %% 3.29 torch.load gives no objects but their state dictionaries, which objects of the same kind take in
checkpoint = torch.load(dirname / "checkpoint_100.pt")
print(f"{list(checkpoint) = }, {len(checkpoint['model'])} tensors in the model's")
loaded = DigitNet()
loaded.load_state_dict(checkpoint["model"])
print(f"{loaded.classifier.bias = }")
