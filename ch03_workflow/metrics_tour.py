"""Listings 3.25 to 3.27: ignite's metrics and their formulas.

python ch03_workflow/metrics_tour.py
"""

import inspect

import torch
import torch.nn.functional as F
from ignite import metrics
from ignite.engine import Engine, create_supervised_evaluator
from torch import nn

from common.tours import tour

tour(__doc__)


# %% 3.25 A metric attached to an engine
# reset() when the epoch starts, update() with each iteration's output, compute() when it ends, and the result goes
# into state.metrics under the name that was given.
class Spy(metrics.Metric):
    """The mean of the outputs, which notes what is called."""

    def reset(self):
        calls.append("reset")
        self.outputs = []

    def update(self, output):
        calls.append(f"update({output})")
        self.outputs.append(output)

    def compute(self):
        calls.append("compute")
        return sum(self.outputs) / len(self.outputs)


calls = []
engine = Engine(lambda engine, batch: batch)
spy = Spy()
calls.clear()  # a metric resets itself when it is made, too
spy.attach(engine, "mean")
engine.run([1.0, 2.0, 6.0])
print(calls, engine.state.metrics)

# %% 3.25 The page's list of metrics, each beside its formula
# Known data: 10 examples, 3 classes, in batches of 4, 4 and 2, so that a mean of batch means would be wrong.
labels = torch.tensor([0, 1, 2, 2, 1, 0, 0, 2, 1, 1])
scores = (torch.randn(10, 3, dtype=torch.float64) + F.one_hot(labels)).log_softmax(dim=1)
values, targets = torch.randn(2, 10, dtype=torch.float64)
points, goals = torch.randn(2, 10, 3, dtype=torch.float64)
named = scores.argmax(dim=1)
counts = torch.zeros(3, 3, dtype=torch.float64)
for label, name in zip(labels, named):
    counts[label, name] += 1
right, of_class, as_class = counts.diag(), counts.sum(dim=1), counts.sum(dim=0)


def averaged(batch_losses, alpha=0.98):
    """RunningAverage: alpha times what was, 1 - alpha times what comes."""
    mean = batch_losses[0]
    for loss in batch_losses[1:]:
        mean = alpha * mean + (1 - alpha) * loss
    return mean


def in_batches(*tensors):
    return list(zip(*(tensor.split(4) for tensor in tensors)))


def run_metric(metric, data):
    """The value of a metric after an engine has gone through batches of (prediction, target)."""
    engine = Engine(lambda engine, batch: batch)
    metric.attach(engine, "value")
    return engine.run(data).metrics["value"]


classification, regression, places = in_batches(scores, labels), in_batches(values, targets), in_batches(points, goals)
last_two = scores.topk(2, dim=1).indices
batch_losses = [F.nll_loss(score, label) for score, label in classification]
matrix = metrics.ConfusionMatrix
PAGE_METRICS = {
    "Accuracy": (metrics.Accuracy(), classification, (named == labels).double().mean()),
    "Loss": (metrics.Loss(F.nll_loss), classification, -scores[range(10), labels].mean()),
    "MeanAbsoluteError": (metrics.MeanAbsoluteError(), regression, (values - targets).abs().mean()),
    "MeanPairwiseDistance": (
        metrics.MeanPairwiseDistance(),
        places,
        (points - goals + 1e-6).square().sum(dim=1).sqrt().mean(),
    ),
    "MeanSquaredError": (metrics.MeanSquaredError(), regression, (values - targets).square().mean()),
    "Precision": (metrics.Precision(), classification, right / as_class),
    "Recall": (metrics.Recall(), classification, right / of_class),
    "RootMeanSquaredError": (metrics.RootMeanSquaredError(), regression, (values - targets).square().mean().sqrt()),
    "TopKCategoricalAccuracy": (
        metrics.TopKCategoricalAccuracy(k=2),
        classification,
        (last_two == labels[:, None]).any(dim=1).double().mean(),
    ),
    "RunningAverage": (
        metrics.RunningAverage(output_transform=lambda output: F.nll_loss(*output)),
        classification,
        averaged(batch_losses),
    ),
    "IoU": (metrics.IoU(matrix(3)), classification, right / (of_class + as_class - right)),
    "mIoU": (metrics.mIoU(matrix(3)), classification, (right / (of_class + as_class - right)).mean()),
}
by_ignite, by_formula = {}, {}
print(f"{'metric':<24}{'by ignite':<26}{'by its formula':<26}is a")
for name, (metric, data, formula) in PAGE_METRICS.items():
    by_ignite[name], by_formula[name] = torch.as_tensor(run_metric(metric, data)), formula
    told = [", ".join(f"{number:.4f}" for number in value[name].view(-1)) for value in (by_ignite, by_formula)]
    kind = "class" if inspect.isclass(getattr(metrics, name)) else "function of a ConfusionMatrix"
    print(f"{name:<24}{told[0]:<26}{told[1]:<26}{kind}")

# %% Metrics that divide by the examples, not by the numbers
# MeanSquaredError, MeanAbsoluteError and RootMeanSquaredError: with three columns their "mean" is three times that of
# nn.MSELoss.
of_examples = run_metric(metrics.MeanSquaredError(), places)
of_numbers = nn.MSELoss()(points, goals).item()
print(f"MeanSquaredError of 10 x 3 numbers: {of_examples:.4f}, nn.MSELoss: {of_numbers:.4f}")

# %% The confusion matrix: a row is a true class, a column a named one
# Precision is its diagonal over the sums of its columns, recall over the sums of its rows.
confusion = run_metric(matrix(3), classification)
print(confusion)

# %% 3.25 and 3.27 The evaluator's names are the keys of state.metrics
# F.null_loss and CategoricalAccuracy do not exist.
evaluator = create_supervised_evaluator(
    nn.Identity(), metrics={"accuracy": metrics.Accuracy(), "nll": metrics.Loss(F.nll_loss)}
)
evaluated = evaluator.run(classification).metrics
prediction, target = evaluator.state.output
print(evaluated, [hasattr(F, "null_loss"), hasattr(metrics, "CategoricalAccuracy")])
