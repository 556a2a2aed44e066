"""For a training loop written by hand: what happens between two epochs, so that the loop shows nothing but training.

    loop = PlainLoop(args, model, optimizer)
    for epoch in loop.epochs():
        ...
        loop.note(loss=loss)

After each epoch its figures are in metrics.jsonl and all that going on needs is in last.pt, so that a run that is
killed and resumed ends as if it had never been. best.pt holds the weights of the lowest loss.
"""

import math
import sys
import time

from common import checkpoints, report
from common.errors import UserError
from common.interruption import noted_interruptions


class PlainLoop:
    """The epochs of a run, and its files in `args.out`.

    Args:
        args: the flags of `common.cli`: `out`, `epochs`, `resume`, `lr`.
        model, optimizer: what is saved, and filled again on `--resume`.
        belongs: what the weights need to be used, plain lists, numbers and strings; it goes into the checkpoints.

    Attributes:
        history: the figures of each epoch so far, a list of dictionaries.

    Raises:
        UserError: nothing to resume, or a checkpoint of another run, or a folder that cannot be written.
    """

    def __init__(self, args, model, optimizer, belongs=None):
        self.args, self.history = args, []
        self.parts = {"run": report.begin(args, belongs), "model": model, "optimizer": optimizer, "loop": self}
        self.write = checkpoints.writer(args.out)
        if args.resume:
            came_from = checkpoints.restore(args.out, self.parts)
            report.check_config(args.out, self.parts["run"].state_dict())
            report.write_epochs(args.out, self.history)
            print(f"resumed {args.out / came_from} after epoch {len(self.history)}")

    def state_dict(self):
        return {"history": self.history}

    def load_state_dict(self, state):
        self.history[:] = state["history"]

    def epochs(self):
        """The numbers of the epochs still to be made, from 1 in a new run; between two of them the run is saved.

        Raises:
            UserError: a loss that is not finite, or a full disk.
            KeyboardInterrupt: after Ctrl-C or SIGTERM, once the epoch is through and saved.
        """
        began = time.perf_counter() - (self.history[-1]["seconds"] if self.history else 0)
        with noted_interruptions() as interrupted:
            for epoch in range(len(self.history) + 1, self.args.epochs + 1):
                yield epoch
                self._save(epoch, time.perf_counter() - began)
                if interrupted:
                    saved = self.args.out / "last.pt"
                    print(f"saved {saved} after epoch {epoch}; go on with --resume", file=sys.stderr)
                    raise KeyboardInterrupt

    def note(self, **figures):
        """The figures of the epoch that ends, `loss` among them."""
        self.noted = figures

    def _save(self, epoch, seconds):
        loss = self.noted["loss"]
        if not math.isfinite(loss):
            raise UserError(f"the loss is {loss} in epoch {epoch}: --lr {self.args.lr} is too high")
        best = loss < min((line["loss"] for line in self.history), default=math.inf)
        self.history.append({"epoch": epoch, **self.noted, "seconds": round(seconds, 3)})
        report.write_epochs(self.args.out, self.history)
        state = {name: part.state_dict() for name, part in self.parts.items()}
        if best:
            self.write({"run": state["run"], "model": state["model"]}, "best.pt")
        self.write(state, "last.pt")
