"""The page's trainer, with what a long training wants: a schedule, early stopping, the best weights, resuming.

    python ch03_workflow/ignite_trainer.py                            digits that the repository draws, a minute
    python ch03_workflow/ignite_trainer.py --data MNIST --epochs 3    the real set: above 0.99 of the test images
    python ch03_workflow/ignite_trainer.py --resume                   goes on where it was interrupted or killed

The page's part is in `ignite_page.py`. Here a checkpoint goes to `runs/ignite_trainer/checkpoints` every hundred
iterations, and one more on Ctrl-C; resumed from any of them, also in the middle of an epoch, the training ends with the
same weights, on a CPU to the bit. To go back further, delete the newer ones. `best.pt`, `curves.png` and
`confusion.png` lie beside. Later chapters have all this wired once, in `common/training.py`.
"""

import math
import re
import sys

import ignite.distributed as idist
import torch
import torch.nn.functional as F
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.engine.deterministic import ReproducibleBatchSampler, update_dataloader
from ignite.handlers import Checkpoint, EarlyStopping, PiecewiseLinear, TerminateOnNan
from ignite.metrics import Accuracy, ConfusionMatrix, Loss
from torch import optim
from torch.utils.data import DataLoader

from ch03_workflow.digit_net import DigitNet, get_data_loaders, get_test_loader, process_batch
from common import checkpoints, cli, report
from common.errors import UserError
from common.interruption import noted_interruptions
from common.pictures import save_confusion


class RandomNumbers:
    """torch's random state as a part of a checkpoint, so that a network with dropout resumes exactly, too."""

    def state_dict(self):
        return {"torch": torch.get_rng_state()}

    def load_state_dict(self, state):
        torch.set_rng_state(state["torch"])


class Training:
    """The trainer, the evaluator, and the handlers that make them a training; `run()` goes through with it.

    Attributes:
        model: after `run()` with the weights that had the lowest loss on the validation data.
        history: the figures of each epoch, a list of dictionaries.
    """

    def __init__(self, args, model):
        self.args, self.model = args, model
        # The order of an epoch is drawn from a generator of its own, which each epoch seeds anew: it depends on nothing
        # that happened before. ignite's batch sampler can begin in the middle.
        self.generator = torch.Generator()
        loader, self.val_loader = get_data_loaders(args.batch_size, 1000, args.data, args.device, self.generator)
        self.train_loader = update_dataloader(loader, ReproducibleBatchSampler(loader.batch_sampler))
        # To score the training images, each of them once.
        self.train_images = DataLoader(loader.dataset, batch_size=1000, collate_fn=loader.collate_fn)
        self.steps = args.epochs * len(self.train_loader)

        optimizer = optim.AdamW(model.parameters(), lr=args.lr, fused=True)
        self.trainer = create_supervised_trainer(model, optimizer, F.nll_loss, args.device, prepare_batch=process_batch)
        self.evaluator = evaluator_of(model, args.device)
        self.trainer.logger.disabled = True  # it logs what ends a run, and the program tells it anyway
        self.trainer.state.history = self.history = []
        self.trainer.state_dict_user_keys.append("history")

        # The learning rate rises for a fifth of the training and falls to nothing.
        points = [(0, args.lr / 25), (max(1, self.steps // 5), args.lr), (self.steps + 1, 0)]
        scheduler = PiecewiseLinear(optimizer, "lr", points)
        self.stopper = EarlyStopping(args.patience, self.score, self.trainer)
        self.whose = report.begin(args)
        self.best = Checkpoint(
            {"run": self.whose, "model": model},
            checkpoints.writer(args.out),
            filename_pattern="best.pt",
            score_function=self.score,
        )
        self.folder = report.folder(args.out / "checkpoints")
        parts = {"run": self.whose, "model": model, "optimizer": optimizer, "trainer": self.trainer}
        parts |= {"scheduler": scheduler, "best": self.best, "stopper": self.stopper, "random": RandomNumbers()}
        self.checkpoint = Checkpoint(parts, checkpoints.writer(self.folder), n_saved=None)

        not_finite = TerminateOnNan()
        not_finite.logger.disabled = True  # `run` tells it
        # The handlers of an event are called in this order.
        on = self.trainer.add_event_handler
        on(Events.EPOCH_STARTED, self.shuffle_anew)
        on(Events.ITERATION_STARTED, scheduler)
        on(Events.ITERATION_COMPLETED, not_finite)
        on(Events.ITERATION_COMPLETED(every=args.print_every), self.log_training_loss)
        on(Events.ITERATION_COMPLETED, self.save)
        on(Events.EPOCH_COMPLETED, self.evaluate)
        on(Events.EPOCH_COMPLETED, self.best)
        on(Events.EPOCH_COMPLETED, self.stopper)

    def shuffle_anew(self, engine):
        self.generator.manual_seed(self.args.seed + engine.state.epoch)

    def log_training_loss(self, engine):
        state = engine.state
        print(f"Epoch:{state.epoch} Iteration:{state.iteration} Loss: {state.output:.4f}", flush=True)

    def save(self, engine):
        """3.30, the right way round; and between two steps, where the state is whole, a noted Ctrl-C takes effect."""
        if (engine.state.iteration % 100 == 0 or self.interrupted) and not engine.should_terminate:
            self.checkpoint(engine)
        if self.interrupted:
            print(f"saved {self.folder / self.checkpoint.last_checkpoint}; go on with --resume", file=sys.stderr)
            raise KeyboardInterrupt

    def evaluate(self, engine):
        figures = {"epoch": engine.state.epoch}
        for name, loader in (("training", self.train_images), ("validation", self.val_loader)):
            metrics = self.evaluator.run(loader).metrics
            figures |= {f"{name}_accuracy": metrics["accuracy"], f"{name}_loss": metrics["nll"]}
            told = f"{name.title()} data:".ljust(16)
            print(
                f"Epoch:{engine.state.epoch} {told} Avg accuracy: {metrics['accuracy']:.4f} "
                f"Avg loss: {metrics['nll']:.4f}",
                flush=True,
            )
        self.history.append(figures)
        report.write_epochs(self.args.out, self.history)

    def score(self, engine):
        """What the best weights and early stopping go by: the loss on the validation data, the lower the better."""
        return -self.evaluator.state.metrics["nll"]

    def resume(self):
        """Takes up the newest whole checkpoint; whatever else lies in the folder is passed over."""
        names = [path.name for path in self.folder.iterdir() if re.fullmatch(r"checkpoint_\d+\.pt", path.name)]
        if not names:
            raise UserError(f"--resume: no checkpoint_*.pt in {self.folder}; train without --resume first")
        names.sort(key=lambda name: int(re.search(r"\d+", name)[0]), reverse=True)
        names = [f"{self.folder.name}/{name}" for name in names]
        came_from = checkpoints.restore(self.args.out, self.checkpoint.to_save, names)
        state, epoch_length = self.trainer.state, len(self.train_loader)
        if state.epoch_length != epoch_length:
            raise UserError(
                f"--resume: an epoch had {state.epoch_length} batches, now it has {epoch_length}; "
                "resume with the data that the run was begun with"
            )
        self.history = state.history
        report.check_config(self.args.out, self.whose.state_dict())
        report.write_config(self.args.out, self.whose)
        report.write_epochs(self.args.out, self.history)
        print(f"resumed {self.args.out / came_from} in epoch {state.epoch}, iteration {state.iteration}", flush=True)
        self.train_loader.batch_sampler.start_iteration = state.iteration % epoch_length
        if state.iteration % epoch_length == 0:
            # Saved at the last iteration of an epoch, before the handlers of the epoch's end had run.
            self.trainer.fire_event(Events.EPOCH_COMPLETED)

    def run(self):
        with noted_interruptions() as self.interrupted:
            if self.args.resume:
                self.resume()
            else:
                for stale in self.folder.glob("checkpoint_*[0-9].pt"):
                    stale.unlink()
            if self.trainer.state.iteration < self.steps and not self.trainer.should_terminate:
                self.trainer.run(self.train_loader, max_epochs=self.args.epochs)
        state = self.trainer.state
        if state.output is not None and not math.isfinite(state.output):
            at = f"epoch {state.epoch}, iteration {state.iteration}"
            raise UserError(f"loss is {state.output} at {at}: stopped; lower --lr")
        if state.epoch < self.args.epochs:
            print(f"stopped early: {self.args.patience} epochs without a lower loss on the validation data")
        checkpoints.load_weights(self.model, self.args.out / "best.pt")


def evaluator_of(model, device, **more_metrics):
    metrics = {"accuracy": Accuracy(device=device), "nll": Loss(F.nll_loss, device=device)} | more_metrics
    return create_supervised_evaluator(model, metrics, device, prepare_batch=process_batch)


def train(args):
    if idist.get_world_size() > 1:
        raise UserError("this trainer runs in one process; common/training.py has the one for many")
    model = DigitNet().to(args.device)
    training, test_loader = Training(args, model), get_test_loader(1000, args.data, args.device)
    sizes = [len(loader.dataset) for loader in (training.train_loader, training.val_loader, test_loader)]
    print("{:,} images to train, {:,} to validate, {:,} to test, on {}".format(*sizes, args.device), flush=True)
    training.run()

    confusion = ConfusionMatrix(10, device=args.device)
    test = evaluator_of(model, args.device, confusion=confusion).run(test_loader).metrics
    epochs = training.history[-1]["epoch"]
    figures = {"accuracy": test["accuracy"], "loss": test["nll"], "epochs": epochs}
    report.finish(args.out, "MNIST with ignite", training.history, **figures)
    with report.drawing(args.out / "confusion.png") as picture:
        save_confusion(test["confusion"].cpu(), range(10), picture)
    print(
        f"{test['accuracy']:.2%} of {sizes[2]:,} test images named right after {epochs} epochs; "
        f"look at {args.out}/confusion.png"
    )


def read_flags(argv=None):
    omit = ("--workers", "--amp", "--compile", "--evaluate", "--checkpoint", "--predict")
    flags = cli.parser(__doc__, epochs=8, batch_size=128, lr=0.01, omit=omit)
    flags.add_argument("--patience", type=cli.positive_int, default=5, help="epochs without a better validation (5)")
    flags.add_argument("--print-every", type=cli.positive_int, default=100, help="iterations (default: %(default)s)")
    return cli.parse(flags, argv)


def main(argv=None):
    cli.dispatch(read_flags(argv), train)


if __name__ == "__main__":
    cli.run(main)
