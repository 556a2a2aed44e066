"""The loop that all chapters from the fourth on train with: pytorch-ignite's parts, wired in this one place.

A run that is killed and resumed ends as if it had never been: what it needs to go on, to the bit, lies in
`last.pt`: the network, its average, the optimiser, the schedule, the random states and the place in the data.
"""

import logging
import math
import sys
from functools import partial

import ignite.distributed as idist
import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import Checkpoint, EarlyStopping, EMAHandler, LRScheduler, ProgressBar, TerminateOnNan
from ignite.metrics import Average
from ignite.utils import apply_to_tensor
from torch import nn, optim
from torch.nn.utils import clip_grad_norm_

from common import checkpoints, report
from common.batches import to_device
from common.errors import UserError
from common.interruption import noted_interruptions

# ignite logs a failure before it raises it, and the failure is told once, by whoever ends the program.
logging.getLogger("ignite").setLevel(logging.CRITICAL)


def one_cycle(optimizer, args, loader, pct_start=0.2, **more):
    """The schedule of most programs: up to the optimiser's rates in a share of the steps, then down (1708.07120)."""
    steps, rates = args.epochs * len(loader), [group["lr"] for group in optimizer.param_groups]
    # OneCycleLR divides by zero where that share is a single step.
    return optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=max(steps, 10), pct_start=pct_start, **more)


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


def train(args, model, optimizer, loss_fn, loader, validate, **options):
    """Trains `model` in place, for `args.epochs` or until it stops early, and leaves in it the best weights seen.

    Args:
        args: the flags of `common.cli`.
        model: on its device already; its parameters are those of the optimiser.
        loss_fn: from the network's output and the target to the loss, a scalar tensor.
        loader: the training batches, from `batches.loader(..., training=True)`.
        validate: called with the network (with its average, if there is one); returns a dictionary of figures.
        options: those of `Training`.

    Returns:
        the figures of the run, a dictionary: the last epoch's `loss`, the `epochs` made, the `seconds` of training and
        the last epoch's `<unit>_per_second`; and the figures of each epoch, a list, for `report.finish`.

    Raises:
        UserError: nothing to resume, or a checkpoint of another run, or a full disk, or a loss that is not finite.
    """
    training = Training(args, model, optimizer, loss_fn, loader, validate, **options)
    try:
        training.run()
    except RuntimeError as error:
        if training.interrupted:  # the first process has saved and gone, and this one lost its partner
            raise KeyboardInterrupt from None
        if idist.get_world_size() > 1 and "onnection" in str(error):
            raise UserError("another process of this run is gone, so this one ends; go on with --resume") from None
        raise
    idist.barrier()
    checkpoints.load_weights(model, args.out / "best.pt")
    return training.figures_of_run()


class Training:
    """A network, its optimiser and its data in an ignite trainer; each method is one thing that happens to it.

    Args:
        args, model, optimizer, loss_fn, loader, validate: those of `train`.
        score: the figure of `validate` by which the best weights are kept, higher is better.
        unit: what the throughput counts.
        prepare_batch: `(batch, device, non_blocking)` to the pair (input, target) on the device; augments here.
        scheduler: one of `torch.optim.lr_scheduler`, stepped every iteration.
        average: the share of the new weights in an exponential moving average of them; None keeps no average.
        clip: the largest norm that all gradients together may have; longer ones are scaled down to it.
        patience: stops after so many validations without a better `score`; None goes through all epochs.
        validate_every: epochs from one validation to the next; the last epoch always has one.
        before_epoch: called with an epoch's number, from 1 up, before it begins or is gone on with.
        belongs: what the weights need to be used, such as a vocabulary; it goes into the checkpoints.
    """

    def __init__(
        self,
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
        before_epoch=None,
        belongs=None,
    ):
        self.args, self.model, self.loader, self.validate = args, model, loader, validate
        self.score, self.unit, self.validate_every = score, unit, validate_every
        self.figures, self.interrupted = {}, []
        # Other processes wait for the first, which may refuse the folder.
        self.whose = report.begin(args, belongs) if idist.get_rank() == 0 else checkpoints.Run("", {}, belongs)
        idist.barrier()

        # The average is a copy, so it is taken before the network is wrapped.
        averaging = EMAHandler(model, momentum=average, handle_buffers="update") if average else None
        self.scored = averaging.ema_model if averaging else model
        scaler = torch.amp.GradScaler(args.device.type) if args.amp == "fp16" else None
        self.trainer = create_supervised_trainer(
            self._distributed(),
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
        # The seconds of training, and the figures of each epoch, as in metrics.jsonl.
        self.trainer.state.seconds, self.trainer.state.epochs = 0.0, []
        self.trainer.state_dict_user_keys.extend(["seconds", "epochs"])
        Average(device=args.device).attach(self.trainer, "loss")
        if clip:
            optimizer.register_step_pre_hook(partial(self.clip_gradients, clip))
        if averaging:
            averaging.attach(self.trainer)
        self.stopping = EarlyStopping(patience or args.epochs, lambda _: self.figures[score], self.trainer)
        self.stopping.logger.disabled = True

        parts = {"run": self.whose, "trainer": self.trainer, "model": model, "optimizer": optimizer}
        parts |= {"average": averaging.ema_model} if averaging else {}
        parts |= {"scheduler": LRScheduler(scheduler)} if scheduler else {}
        parts |= {"scaler": scaler} if scaler else {}
        write = checkpoints.writer(args.out)
        self.best = Checkpoint(
            {"run": self.whose, "model": self.scored},
            write,
            filename_pattern="best.pt",
            score_function=lambda _: self.figures[score],
        )
        self.last = Checkpoint(
            {**parts, "stopping": self.stopping, "best": self.best}, write, filename_pattern="last.pt"
        )

        not_finite = TerminateOnNan()
        not_finite.logger.disabled = True  # `run` tells it
        on = self.trainer.add_event_handler
        on(Events.STARTED, self.seed_epochs)
        on(Events.EPOCH_STARTED, self.shuffle_anew)
        if before_epoch:
            on(Events.EPOCH_STARTED, lambda: before_epoch(self.trainer.state.epoch))
        if scheduler:
            on(Events.ITERATION_STARTED, parts["scheduler"])
        on(Events.ITERATION_COMPLETED, not_finite)
        on(Events.ITERATION_COMPLETED, self.save_when_interrupted)
        on(Events.EPOCH_COMPLETED, self.end_epoch)
        _show_progress(self.trainer, "epoch", lambda loss: {"loss": loss.item()})

    def _distributed(self):
        """The network as the trainer calls it: compiled, or wrapped for many processes."""
        network, args = self.model, self.args
        if args.compile:
            try_compiler(args.device)
            network.compile()
        if idist.get_world_size() > 1:
            on_gpu = args.device.type == "cuda"
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network) if on_gpu else network
            network = nn.parallel.DistributedDataParallel(network, device_ids=[args.device.index] if on_gpu else None)
        return network

    def run(self):
        """Trains from where the run stands to its end."""
        if self.args.resume:
            self.resume()
        ended = self.trainer.state.iteration >= self.args.epochs * len(self.loader)
        with noted_interruptions() as self.interrupted:
            if not ended and self.stopping.counter < self.stopping.patience:
                self.trainer.run(self.loader, max_epochs=self.args.epochs)
        state = self.trainer.state
        if self.trainer.should_terminate and not math.isfinite(state.output):
            at = f"epoch {state.epoch}, iteration {state.iteration}"
            raise UserError(f"loss is {state.output.item()} at {at}: stopped{self._what_is_kept()}; lower --lr")

    def resume(self):
        came_from = checkpoints.restore(self.args.out, self.last.to_save)
        state = self.trainer.state
        if idist.get_rank() == 0:
            report.check_config(self.args.out, self.whose.state_dict())
            report.write_config(self.args.out, self.whose)
            report.write_epochs(self.args.out, state.epochs)
        if state.epoch_length not in (None, len(self.loader)):
            was = f"an epoch had {state.epoch_length} batches, now it has {len(self.loader)}"
            raise UserError(f"--resume: {was}; resume with the data that the run was begun with")
        print(f"resumed {self.args.out / came_from} at iteration {state.iteration}", flush=True)

    def seed_epochs(self):
        # The deterministic engine seeds each epoch with this number and the epoch's; it must survive a resume.
        self.trainer.state.seed = self.args.seed
        # The engine also asks for deterministic algorithms everywhere, which slows a GPU down, and the promise of equal
        # weights to the bit is made for the CPU alone.
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = True

    def shuffle_anew(self):
        self.loader.batch_sampler.sampler.set_epoch(self.trainer.state.epoch)

    def clip_gradients(self, norm, *_):
        # Just before the step the gradients of all processes are summed, and a loss scaler's factor is gone.
        clip_grad_norm_(self.model.parameters(), norm)

    def save_when_interrupted(self):
        # Only between two steps is the state of a run whole; the first process saves, the others hold the same.
        if self.interrupted and idist.get_rank() == 0:
            self.last(self.trainer)
            state = self.trainer.state
            at = f"epoch {state.epoch}, iteration {state.iteration}"
            print(f"saved {self.args.out / 'last.pt'} at {at}; go on with --resume", file=sys.stderr)
            raise KeyboardInterrupt

    def end_epoch(self):
        state, args = self.trainer.state, self.args
        if not all(parameter.isfinite().all() for parameter in self.model.parameters()):
            raise UserError(f"weights not finite after epoch {state.epoch}{self._what_is_kept()}; lower --lr")
        seconds = state.times["EPOCH_COMPLETED"]
        state.seconds += seconds
        speed = len(self.loader) * args.batch_size / seconds
        line = {"epoch": state.epoch, "loss": state.metrics["loss"], f"{self.unit}_per_second": round(speed, 2)}
        if state.epoch % self.validate_every == 0 or state.epoch == args.epochs:
            self.figures = self.validate(self.scored)
            line.update(self.figures)
            self.best(self.trainer)
            self.stopping(self.trainer)
        state.epochs.append(line)
        # The figures before the checkpoint: a run killed in between writes them again, instead of never.
        if idist.get_rank() == 0:
            report.write_epochs(args.out, state.epochs)
        self.last(self.trainer)
        print(_sentence(line, args.epochs), flush=True)
        if self.stopping.counter >= self.stopping.patience:
            print(f"no better {self.score} in {self.stopping.patience} validations: stopped", flush=True)

    def _what_is_kept(self):
        return "; last.pt is of the epoch before" if (self.args.out / "last.pt").exists() else ""

    def figures_of_run(self):
        """What `train` returns."""
        epochs, seconds, speed = self.trainer.state.epochs, self.trainer.state.seconds, f"{self.unit}_per_second"
        last = epochs[-1]
        figures = {"loss": last["loss"], "epochs": last["epoch"], "seconds": round(seconds, 1), speed: last[speed]}
        return figures, epochs


def try_compiler(device):
    """Compiles two operations, to learn now and in one line what `torch.compile` lacks on this machine.

    Raises:
        UserError: it lacks something, such as a C++ compiler.
    """
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(2, device=device))
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise UserError(f"--compile: torch.compile does not work here ({reason}); leave it out") from None


def _sentence(line, epochs):
    told = [f"epoch {line['epoch']:>{len(str(epochs))}}/{epochs}"]
    for name, value in line.items():
        if isinstance(value, float):
            name = name.replace("_per_second", "/s").replace("_", " ").replace("iou", "IoU")
            told.append(f"{name} {value:.1f}" if name.endswith("/s") else f"{name} {value:.4f}")
    return "  ".join(told)
