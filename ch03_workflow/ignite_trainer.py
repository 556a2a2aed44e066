"""The chapter's trainer on MNIST: from the bare loop to ignite's engines, events, metrics, checkpoints (3.20 to 3.30).

    python ch03_workflow/ignite_trainer.py                            digits that the repository draws, a minute
    python ch03_workflow/ignite_trainer.py --data MNIST --epochs 3    the real set: above 0.99 of the test images
    python ch03_workflow/ignite_trainer.py --loop bare                listing 3.20 instead of ignite, or --loop engine

The file is in the order of the pages; the network and the data are in `digit_net.py`. A run prints the lines of 3.23
and 3.27, saves a checkpoint every hundred iterations into `runs/ignite_trainer/checkpoints` and leaves `best.pt`,
`curves.png` and `confusion.png`. Kill it and give it `--resume`: it goes on from the newest checkpoint, on a CPU to the
same weights, to the bit. `--print-every 1` prints each iteration, as the page does. Later chapters have all this wired
once, in `common/training.py`.
"""

import logging
import math
import time

import ignite.distributed as idist
import torch
import torch.nn.functional as F
from ignite.engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import Checkpoint, EarlyStopping, LRScheduler
from ignite.metrics import Accuracy, ConfusionMatrix, Loss
from torch import optim
from torch.utils.data import DataLoader

from ch03_workflow.digit_net import DigitNet, get_data_loaders, process_batch
from common import checkpoints, cli, report
from common.pictures import save_confusion

# 3.20 The loop that ignite will replace. What it goes through yields batches, not single examples.


def bare_loop(net, optimizer, loss_fn, dataset, epochs):
    for _ in range(epochs):
        for batch in dataset:
            x_batch, y_batch = process_batch(batch)
            optimizer.zero_grad()
            hyp = net(x_batch)
            loss = loss_fn(hyp, y_batch)
            loss.backward()
            optimizer.step()


# 3.21 The body of the loop as a function; the engine has the two loops around it.


def engine_trainer(net, optimizer, loss_fn):
    def training_loop(trainer, batch):
        net.train()  # not on the page, but an evaluator that ran in between has left it in evaluation mode
        x_batch, y_batch = process_batch(batch)
        optimizer.zero_grad()
        hyp = net(x_batch)
        loss = loss_fn(hyp, y_batch)
        loss.backward()
        optimizer.step()
        return loss.item()  # what is returned becomes engine.state.output; the page returns nothing

    return Engine(training_loop)


# 3.22 The same trainer ready-made, and an evaluator. A deterministic trainer can go on in the middle of an epoch.


def supervised_trainer(net, optimizer, loss_fn, device=None):
    return create_supervised_trainer(net, optimizer, loss_fn, device, prepare_batch=process_batch, deterministic=True)


def supervised_evaluator(net, metrics, device=None):
    return create_supervised_evaluator(net, metrics, device, prepare_batch=process_batch)


# 3.23 Events: what is to happen when. `every=` is an event filter; the page prints each iteration.


def log_losses(trainer, every):
    @trainer.on(Events.ITERATION_COMPLETED(every=every))
    def log_training_loss(engine):
        epoch = engine.state.epoch
        iteration = engine.state.iteration
        loss = engine.state.output
        print(f"Epoch:{epoch} Iteration:{iteration} Loss: {loss:.4f}", flush=True)

    @trainer.on(Events.ITERATION_COMPLETED)
    def stop_when_not_finite(engine):
        if not math.isfinite(engine.state.output):
            at = f"epoch {engine.state.epoch}, iteration {engine.state.iteration}"
            raise cli.UserError(f"loss is {engine.state.output} at {at}: stopped; lower --lr")


# 3.25 Metrics by name. The name given here is the one to read them by; the page mixes up 'null' and 'nll'.


def get_metrics(device):
    return {"accuracy": Accuracy(device=device), "nll": Loss(F.nll_loss, device=device)}


# 3.23, 3.27 The evaluator runs after each epoch, and its metrics are read. An event's handlers are called in the order
# in which they were attached.


def evaluate_each_epoch(trainer, evaluator, train_loader, val_loader, out):
    line = {}
    # In order and whole: the loader to train with shuffles, and leaves out what fills no batch.
    train_data = DataLoader(train_loader.dataset, batch_size=1000, collate_fn=train_loader.collate_fn)

    @trainer.on(Events.EPOCH_COMPLETED)
    def run_evaluator_on_training_data(engine):
        evaluator.run(train_data)
        metrics = evaluator.state.metrics
        line.update(epoch=engine.state.epoch, accuracy=metrics["accuracy"], loss=metrics["nll"])
        print(f"Training data:   Avg accuracy: {metrics['accuracy']:.4f} Avg loss: {metrics['nll']:.4f}", flush=True)

    @trainer.on(Events.EPOCH_COMPLETED)
    def run_evaluator_on_validation_data(engine):
        evaluator.run(val_loader)
        metrics = evaluator.state.metrics
        avg_accuracy = metrics["accuracy"]
        avg_nll = metrics["nll"]
        print(f"Validation data: Avg accuracy: {avg_accuracy:.4f} Avg loss: {avg_nll:.4f}", flush=True)
        lines = engine.state.lines
        lines.append({**line, "validation_accuracy": avg_accuracy, "validation_loss": avg_nll})
        report.write_epochs(out, lines)


# 3.28 to 3.30 Checkpoints. EngineCheckpoint is gone: Checkpoint says what is saved, DiskSaver where, and the event's
# filter when, so that no handler need count to a hundred itself, as 3.30 does (and gets it the wrong way round).


def save_every_hundred(trainer, objects_to_checkpoint, dirname):
    dirname.mkdir(parents=True, exist_ok=True)
    handler = Checkpoint(objects_to_checkpoint, checkpoints.writer(dirname), n_saved=None)
    trainer.add_event_handler(Events.ITERATION_COMPLETED(every=100), handler)


def resume(trainer, objects_to_checkpoint, dirname, epoch_length):
    """Puts the newest checkpoint of a folder back into the objects that it was made of.

    Raises:
        UserError: there is none, or it is damaged or of something else.
    """
    saved = sorted(dirname.glob("checkpoint_*.pt"), key=lambda path: int(path.stem.removeprefix("checkpoint_")))
    if not saved:
        raise cli.UserError(f"--resume: no checkpoint_*.pt in {dirname}; train without --resume first")
    try:
        Checkpoint.load_objects(objects_to_checkpoint, checkpoints.read(saved[-1]))
    except (ValueError, RuntimeError, KeyError) as error:
        raise cli.UserError(f"{saved[-1]}: of another network or run ({' '.join(str(error).split())[:160]})") from None
    print(f"resumed {saved[-1]} at epoch {trainer.state.epoch}, iteration {trainer.state.iteration}", flush=True)
    if trainer.state.iteration % epoch_length == 0:
        # Saved at the last iteration of an epoch, before the handlers of the epoch's end had run.
        trainer.fire_event(Events.EPOCH_COMPLETED)


def train_with_ignite(args, run, model, optimizer, train_loader, val_loader):
    """Wires the parts above together and runs them; leaves the best weights on the validation data in `model`."""
    if args.loop == "engine":
        trainer = engine_trainer(model, optimizer, F.nll_loss)
    else:
        trainer = supervised_trainer(model, optimizer, F.nll_loss, args.device)
    evaluator = supervised_evaluator(model, get_metrics(args.device), args.device)
    trainer.logger.setLevel(logging.CRITICAL)  # it would tell an exception that is told anyway

    @trainer.on(Events.STARTED)
    def seed_epochs(engine):
        engine.state.seed = args.seed  # a deterministic engine draws the order of an epoch from it
        torch.use_deterministic_algorithms(False)  # it also slows a GPU down; exact is the CPU alone

    steps = args.epochs * len(train_loader)
    scheduler = LRScheduler(optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=steps, pct_start=0.2))
    trainer.add_event_handler(Events.ITERATION_STARTED, scheduler)
    log_losses(trainer, args.print_every)
    trainer.state.lines = []
    trainer.state_dict_user_keys.append("lines")
    evaluate_each_epoch(trainer, evaluator, train_loader, val_loader, args.out)

    # Attached after the evaluation, so both see the validation's metrics.
    def score(engine):
        return -evaluator.state.metrics["nll"]

    saver = checkpoints.writer(args.out)
    best = Checkpoint({"run": run, "model": model}, saver, filename_pattern="best.pt", score_function=score)
    stopper = EarlyStopping(args.patience, score, trainer)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, best)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, stopper)

    dirname = args.out / "checkpoints"
    objects_to_checkpoint = {
        "run": run,
        "model": model,
        "optimizer": optimizer,
        "trainer": trainer,
        "scheduler": scheduler,
    }
    objects_to_checkpoint |= {"best": best, "stopper": stopper}
    save_every_hundred(trainer, objects_to_checkpoint, dirname)
    if args.resume:
        resume(trainer, objects_to_checkpoint, dirname, len(train_loader))
    else:
        for stale in dirname.glob("checkpoint_*.pt"):
            stale.unlink()
    if trainer.state.iteration < steps and not trainer.should_terminate:
        trainer.run(train_loader, max_epochs=args.epochs)
    if trainer.state.epoch < args.epochs:
        print(f"stopped early: {args.patience} epochs without a lower loss on the validation data")
    checkpoints.load_weights(model, args.out / "best.pt")
    return trainer.state.epoch, trainer.state.lines


def read_flags(argv=None):
    flags = cli.parser(
        __doc__,
        epochs=8,
        batch_size=128,
        lr=0.01,
        omit=("--workers", "--amp", "--compile", "--evaluate", "--checkpoint", "--predict"),
    )
    flags.add_argument(
        "--loop", choices=["bare", "engine", "supervised"], default="supervised", help="3.20, 3.21, 3.22"
    )
    flags.add_argument("--patience", type=cli.positive_int, default=5, help="epochs without a better validation (5)")
    flags.add_argument("--print-every", type=cli.positive_int, default=100, help="iterations (default: %(default)s)")
    args = cli.parse(flags, argv)
    if args.resume and args.loop != "supervised":
        flags.error(f"--resume needs --loop supervised: --loop {args.loop} cannot go on where it stopped")
    return args


def main(argv=None):
    args = read_flags(argv)
    if idist.get_world_size() > 1:
        raise cli.UserError("this trainer runs in one process; see common/training.py for many")
    train_loader, val_loader, test_loader = get_data_loaders(args)
    run = report.begin(args)
    sizes = [len(loader.dataset) for loader in (train_loader, val_loader, test_loader)]
    print("{:,} images to train, {:,} to validate, {:,} to test, on {}".format(*sizes, args.device))

    model = DigitNet().to(args.device)
    optimizer = optim.AdamW(model.parameters(), lr=args.lr, fused=True)
    began, epochs, lines = time.perf_counter(), args.epochs, []
    if args.loop == "bare":
        bare_loop(model, optimizer, F.nll_loss, train_loader, args.epochs)
    else:
        epochs, lines = train_with_ignite(args, run, model, optimizer, train_loader, val_loader)
    seconds = time.perf_counter() - began

    metrics = get_metrics(args.device) | {"confusion": ConfusionMatrix(10, device=args.device)}
    test = supervised_evaluator(model, metrics, args.device).run(test_loader).metrics
    save_confusion(test["confusion"].cpu(), range(10), args.out / "confusion.png")
    figures = {"accuracy": test["accuracy"], "loss": test["nll"], "epochs": epochs, "seconds": round(seconds, 1)}
    report.finish(args.out, "MNIST with ignite", lines, **figures)
    print(
        f"{test['accuracy']:.2%} of {sizes[2]:,} test images named right after {epochs} epochs in {seconds:.0f} s; "
        f"look at {args.out}/confusion.png"
    )


if __name__ == "__main__":
    cli.run(main)
