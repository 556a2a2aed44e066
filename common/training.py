"""The training loop that the chapters share, wired out of ignite's own parts.

`train` takes a network to the end of its epochs, `evaluate` scores one. Both run on one device or, under `torchrun`, on
many: every process holds the whole network and a share of each batch. What a run needs to go on, to the bit, lies in
`last.pt`: the network, its average, the optimiser, the schedule, the random states and the place in the data.
"""

import logging
import math
import signal
import sys

import ignite.distributed as idist
import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import Checkpoint, EarlyStopping, EMAHandler, LRScheduler, ProgressBar, TerminateOnNan
from ignite.metrics import Average
from ignite.utils import apply_to_tensor
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler

from common import checkpoints, report
from common.checkpoints import load_weights
from common.cli import UserError

# ignite logs a failure before it raises it, and the failure is told once, by whoever ends the program.
logging.getLogger("ignite").setLevel(logging.CRITICAL)


def share_of(n):
    """The places that this process holds in a batch of `n` over all processes: all of them, unless under `torchrun`."""
    return slice(idist.get_rank(), n, idist.get_world_size())


def rand(*shape):
    """Uniform random numbers, one row an example of this process's share, `shape[0]` rows.

    Drawn for the whole batch on every process and then cut, so that an example meets the same numbers however many
    processes there are.
    """
    everyone = shape[0] * idist.get_world_size()
    return torch.rand(everyone, *shape[1:])[share_of(everyone)]


def keep(batch):
    """The collate function of a data set whose `__getitems__` already returns a batch."""
    return batch


class LikeLengths(BatchSampler):
    """Shuffled, full batches of examples whose lengths are alike, so that little is padded; for training.

    The shuffled examples are cut into pools of a hundred batches and each pool is sorted by length: a batch is of one
    length, almost, and of other company every epoch.

    Args:
        lengths: one number an example, (examples,).
        batch_size: that of all processes together; each takes its share of the batch.
    """

    def __init__(self, lengths, batch_size, seed):
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0
        self.sampler = self  # as in torch's own batch samplers, what `set_epoch` is called on

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.lengths) // self.batch_size

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)[: len(self) * self.batch_size]
        pools = (pool[self.lengths[pool].argsort(stable=True)] for pool in order.split(100 * self.batch_size))
        batches = torch.cat([*pools]).view(len(self), self.batch_size)
        for k in torch.randperm(len(self), generator=generator):
            yield batches[k, share_of(self.batch_size)].tolist()


def loader(dataset, args, *, training, batch_size=None, collate_fn=None, lengths=None):
    """A `DataLoader` over this process's share of a data set.

    In training the examples are shuffled, every batch is full, and batch k holds the same examples whatever the number
    of processes. In scoring every example comes once, in order.

    Args:
        lengths: one number an example, (examples,): makes batches of like length, in scoring the shortest first.

    Raises:
        UserError: the batch does not divide among the processes, or the data set has fewer examples than one batch.
    """
    size, processes = batch_size or args.batch_size, idist.get_world_size()
    if training and size % processes:
        raise UserError(f"--batch-size {size} does not divide among {processes} processes")
    if len(dataset) < (size if training else processes):
        raise UserError(f"--batch-size {size} is more than the {len(dataset)} examples that there are")
    share = max(1, size // processes)
    if training and lengths is not None:
        batches = LikeLengths(torch.as_tensor(lengths), size, args.seed)
    elif training:
        shuffled = DistributedSampler(dataset, processes, idist.get_rank(), seed=args.seed, drop_last=True)
        batches = BatchSampler(shuffled, share, drop_last=True)
    else:
        order = range(len(dataset)) if lengths is None else torch.as_tensor(lengths).argsort(stable=True).tolist()
        batches = BatchSampler(order[share_of(len(dataset))], share, drop_last=False)
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=args.workers,
        collate_fn=keep if hasattr(dataset, "__getitems__") else collate_fn,
        pin_memory=args.device.type == "cuda" and args.workers > 0,
        # Workers start anew each epoch: ones that stay draw their seeds at other times, and no resume would be exact.
        persistent_workers=False,
    )


def to_device(batch, device, non_blocking=False):
    """The default `prepare_batch`: moves a pair of tensors to the device."""
    return tuple(part.to(device, non_blocking=non_blocking) for part in batch)


def preparer(prepare):
    """ignite's `prepare_batch` out of a function that makes numbers of a batch's bytes, once they lie on the device."""

    def prepare_batch(batch, device, non_blocking=False):
        return prepare(*to_device(batch, device, non_blocking))

    return prepare_batch


def forward_in_precision(args):
    """How ignite shall call a network under `--amp`: in mixed precision, with the outputs in float32 again."""
    precision = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(args.amp)

    def forward(model, inputs):
        with torch.autocast(args.device.type, precision, enabled=precision is not None):
            outputs = model(inputs)
        return apply_to_tensor(outputs, torch.Tensor.float) if precision else outputs

    return forward


def evaluate(args, model, loader, metrics, prepare_batch=to_device):
    """Scores a network on a loader with ignite's metrics; over all processes, each example counted once.

    Returns:
        a dictionary, the metrics' names to their values.
    """
    evaluator = create_supervised_evaluator(
        model, metrics, args.device, prepare_batch=prepare_batch, model_fn=forward_in_precision(args)
    )
    _show_progress(evaluator, "scoring")
    return evaluator.run(loader).metrics


def _show_progress(engine, title, output_transform=None):
    if idist.get_rank() == 0 and sys.stderr.isatty():
        ProgressBar(persist=False, desc=title, file=sys.stderr).attach(engine, output_transform=output_transform)


def train(
    args,
    model,
    optimizer,
    loss_fn,
    loader,
    validate,
    *,
    score,
    unit="images",
    prepare_batch=to_device,
    scheduler=None,
    average=None,
    clip=None,
    patience=None,
    validate_every=1,
):
    """Trains `model` in place, for `args.epochs` or until it stops early, and leaves in it the best weights seen.

    Args:
        args: the flags of `common.cli`.
        model: on its device already; its parameters are those of the optimiser.
        loss_fn: from the network's output and the target to the loss, a scalar tensor.
        loader: the training batches, from `loader(..., training=True)`.
        validate: called with the network (with its average, if there is one); returns a dictionary of figures.
        score: the figure of `validate` by which the best weights are kept, higher is better.
        unit: what the throughput counts.
        prepare_batch: `(batch, device, non_blocking)` to the pair (input, target) on the device; augments here.
        scheduler: one of `torch.optim.lr_scheduler`, stepped every iteration.
        average: the share of the new weights in an exponential moving average of them; None keeps no average.
        clip: the largest norm that all gradients together may have; longer ones are scaled down to it.
        patience: stops after so many validations without a better `score`; None goes through all epochs.
        validate_every: epochs from one validation to the next; the last epoch always has one.

    Returns:
        the last epoch's `loss`, the `epochs` made, the `seconds` of training and the last epoch's `<unit>_per_second`.

    Raises:
        UserError: nothing to resume, or a checkpoint of another network, or a full disk, or a loss that is not finite.
    """
    if idist.get_rank() == 0:
        report.begin(args)
    idist.barrier()

    # The average is a copy, so it is taken before the network is wrapped.
    averaging = EMAHandler(model, momentum=average, handle_buffers="update") if average else None
    scored = averaging.ema_model if averaging else model
    network = model
    if args.compile:
        model.compile()
    if idist.get_world_size() > 1:
        if args.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        network = nn.parallel.DistributedDataParallel(
            network, device_ids=[args.device.index] if args.device.type == "cuda" else None
        )

    scaler = torch.amp.GradScaler(args.device.type) if args.amp == "fp16" else None
    trainer = create_supervised_trainer(
        network,
        optimizer,
        loss_fn,
        args.device,
        prepare_batch=prepare_batch,
        model_fn=forward_in_precision(args),
        output_transform=lambda x, y, y_pred, loss: loss.detach(),
        deterministic=True,
        amp_mode="amp" if scaler else None,
        scaler=scaler or False,
    )
    trainer.state.seconds = 0.0
    trainer.state_dict_user_keys.append("seconds")
    mean_loss = Average(device=args.device)
    mean_loss.attach(trainer, "loss")
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    parts = {"trainer": trainer, "model": model, "optimizer": optimizer}
    if clip:

        @optimizer.register_step_pre_hook
        def clip_gradients(*_):
            # Just before the step the gradients of all processes are summed, and a loss scaler's factor is gone.
            clip_grad_norm_(model.parameters(), clip)

    if averaging:
        averaging.attach(trainer)
        parts["average"] = averaging.ema_model
    if scheduler:
        parts["scheduler"] = LRScheduler(scheduler)
        trainer.add_event_handler(Events.ITERATION_STARTED, parts["scheduler"])
    if scaler:
        parts["scaler"] = scaler

    write = checkpoints.writer(args.out)
    figures = {}
    stopping = parts["stopping"] = EarlyStopping(patience or args.epochs, lambda _: figures[score], trainer)
    stopping.logger.disabled = True
    best = Checkpoint({"model": scored}, write, filename_pattern="best.pt", score_function=lambda _: figures[score])
    last = Checkpoint({**parts, "best": best}, write, filename_pattern="last.pt")
    interrupted = []

    @trainer.on(Events.STARTED)
    def seed_epochs():
        # The deterministic engine seeds each epoch with this number and the epoch's; it must survive a resume.
        trainer.state.seed = args.seed
        # It also slows a GPU down for an exactness that is promised on the CPU alone.
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = True

    @trainer.on(Events.EPOCH_STARTED)
    def shuffle_anew():
        loader.batch_sampler.sampler.set_epoch(trainer.state.epoch)

    @trainer.on(Events.ITERATION_COMPLETED)
    def save_when_interrupted():
        # Only between two steps is the state of a run whole; the first process saves, the others hold the same.
        if interrupted and idist.get_rank() == 0:
            last(trainer)
            at = f"epoch {trainer.state.epoch}, iteration {trainer.state.iteration}"
            print(f"saved {args.out / 'last.pt'} at {at}; go on with --resume", file=sys.stderr)
            raise KeyboardInterrupt

    @trainer.on(Events.EPOCH_COMPLETED)
    def end_epoch():
        state = trainer.state
        if not all(parameter.isfinite().all() for parameter in model.parameters()):
            raise UserError(f"weights not finite after epoch {state.epoch}: last.pt is of the epoch before; lower --lr")
        seconds = state.times["EPOCH_COMPLETED"]
        state.seconds += seconds
        speed = len(loader) * args.batch_size / seconds
        line = {"epoch": state.epoch, "loss": state.metrics["loss"], f"{unit}_per_second": round(speed, 2)}
        if state.epoch % validate_every == 0 or state.epoch == args.epochs:
            figures.clear()
            figures.update(validate(scored))
            line.update(figures)
            best(trainer)
            stopping(trainer)
        # The figures before the checkpoint: a run killed in between writes them again, instead of never.
        if idist.get_rank() == 0:
            report.log_epoch(args.out, **line)
        last(trainer)
        print(_sentence(line, args.epochs), flush=True)
        if stopping.counter >= stopping.patience:
            print(f"no better {score} in {patience} validations: stopped", flush=True)

    _show_progress(trainer, "epoch", lambda loss: {"loss": loss.item()})
    if args.resume:
        came_from = checkpoints.restore(args.out, last.to_save)
        print(f"resumed {args.out / came_from} at iteration {trainer.state.iteration}", flush=True)

    def interrupt(signum, frame):
        if interrupted:
            raise KeyboardInterrupt
        interrupted.append(signum)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if trainer.state.iteration < args.epochs * len(loader) and stopping.counter < stopping.patience:
            trainer.run(loader, max_epochs=args.epochs)
    except RuntimeError:
        if interrupted:  # the first process has saved and gone, and this one lost its partner
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if trainer.should_terminate and not math.isfinite(trainer.state.output):
        at = f"epoch {trainer.state.epoch}, iteration {trainer.state.iteration}"
        loss = trainer.state.output.item()
        raise UserError(f"loss is {loss} at {at}: stopped; last.pt is of the epoch before; lower --lr")

    idist.barrier()
    load_weights(model, args.out / "best.pt")
    last_line = report.read_epochs(args.out)[-1]
    return {
        "loss": last_line["loss"],
        "epochs": last_line["epoch"],
        "seconds": round(trainer.state.seconds, 1),
        f"{unit}_per_second": last_line[f"{unit}_per_second"],
    }


def _sentence(line, epochs):
    told = [f"epoch {line['epoch']:>{len(str(epochs))}}/{epochs}"]
    for name, value in line.items():
        if isinstance(value, float):
            name = name.replace("_per_second", "/s").replace("_", " ").replace("iou", "IoU")
            told.append(f"{name} {value:.1f}" if name.endswith("/s") else f"{name} {value:.4f}")
    return "  ".join(told)
