"""What kind of answer does a question want? A convolution over words tells TREC's six kinds apart (listing 3.11).

    python ch03_workflow/question_classifier.py                 the questions written for it, in seconds
    python ch03_workflow/question_classifier.py --predict "How do you measure earthquakes ?" "Who is Duke Ellington ?"
    python ch03_workflow/question_classifier.py --data TREC     the real set, which --download TREC fetches
    python ch03_workflow/question_classifier.py --data TREC --vectors glove.6B.50d.txt

The tokens and the vocabulary are those of `plain_text_pipeline.py`, the network is the one of Kim (Convolutional neural
networks for sentence classification, arXiv 1408.5882); what it lacks without pretrained vectors, the words' endings
make up in part. A run prints a line an epoch and a table of the classes, and leaves `curves.png`, `confusion.png` and
the weights in `runs/question_classifier`.
"""

from collections import Counter
from pathlib import Path

import ignite.distributed as idist
import torch
import torch.nn.functional as F
from ignite.metrics import ConfusionMatrix, Loss
from torch import nn, optim
from torch.utils.data import Dataset

from ch03_workflow.loaders.packed import Packed
from ch03_workflow.loaders.trec import CLASSES, SPLITS, download, read_splits
from ch03_workflow.plain_text_pipeline import PADDING, UNKNOWN, Vocabulary, collate, tokenizer
from common import batches, cli, report, training
from common.checkpoints import load_weights
from common.names import printable
from common.pictures import save_confusion
from common.word_vectors import frequent_vectors

LABELS = list(CLASSES)
# What a run does unless a flag says otherwise.
RECIPES = {
    "sample": {"epochs": 20, "batch_size": 32, "lr": 0.003},
    "real": {"epochs": 8, "batch_size": 64, "lr": 0.002},
}
MOST = 50_000  # word vectors that are taken: rarer words would only make every checkpoint larger
VECTOR_SCALE = 0.4  # GloVe's numbers are larger than those that an embedding starts with


def signature(token):
    """A word's outside: that it has a digit, or the case of its first letter and its last three letters.

    "Ellington" and "Washington" have one, `<A-ton>`: what is learnt of one is known of the other.
    """
    if any(letter.isdigit() for letter in token):
        return "<digits>"
    return f"<{'A' if token[0].isupper() else 'a'}-{token[-3:].lower()}>"


def build_vocabulary(questions):
    """The words and the signatures that come at least twice in the questions, words in lower case."""
    tokens = [token for question in questions for token in tokenizer(question.text)]
    counts = Counter(part for token in tokens for part in (token.lower(), signature(token)))
    return Vocabulary.of([[part for part in counts.elements() if counts[part] > 1]])


def encode(text, vocabulary, known):
    """A question as indices of its words, of their signatures, and of their places in `known`, int64, (length, 3).

    Args:
        known: a `Vocabulary` of the words that have pretrained vectors.
    """
    tokens = tokenizer(text)
    words = [token.lower() for token in tokens]
    return torch.stack([vocabulary(words), vocabulary(map(signature, tokens)), known(words)], dim=1)


class Encoded(Dataset):
    """Questions as pairs of indices, int64, (length, 3), and the place of the label in LABELS."""

    def __init__(self, questions, vocabulary, known):
        self.indices = Packed([encode(question.text, vocabulary, known) for question in questions])
        self.labels = torch.tensor([LABELS.index(question.label) for question in questions])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.indices[index], self.labels[index].item()


class QuestionNet(nn.Module):
    """Filters slide over the words, two to four at a time; where each one answers most, its answer is kept.

    Args:
        vocabulary_size: how many words and signatures there are.
        vectors: pretrained ones, `(words, dimension)`, the first two for unknown words and padding.
        word_dropout: the share of words that training makes unknown, so that it learns to go by their signatures.
    """

    def __init__(self, vocabulary_size, vectors, width=128, filters=128, spans=(2, 3, 4), word_dropout=0.1):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=PADDING)
        with torch.no_grad():
            self.embedding.weight *= 0.3  # wide enough to keep words apart, and gradients as large as the weights
        self.vectors = nn.Embedding.from_pretrained(vectors, freeze=False, padding_idx=PADDING)
        width += vectors.shape[1]
        # With so much padding one window sees nothing else, in every batch: a question's scores do not depend on how
        # much longer its neighbours are.
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, span, padding=span) for span in spans)
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(filters * len(spans), len(LABELS))
        self.word_dropout = word_dropout

    def forward(self, tokens):
        """From indices as of `encode`, (longest, batch, 3), to raw scores (logits), (batch, classes)."""
        words, signatures, known = tokens.unbind(dim=2)
        if self.training:
            dropped = (torch.rand_like(words, dtype=torch.float) < self.word_dropout) & (words != PADDING)
            words = words.masked_fill(dropped, UNKNOWN)
        # A word is the sum of what it is and of what it looks like; an unknown one still looks like something.
        embedded = self.embedding(words) + self.embedding(signatures)
        # Pretrained vectors know words that training has not seen; without any, they have no columns.
        embedded = torch.cat([embedded, self.vectors(known)], dim=2).permute(1, 2, 0)  # (batch, width, longest)
        answers = [F.relu(convolution(embedded)).amax(dim=2) for convolution in self.convolutions]
        return self.out(self.dropout(torch.cat(answers, dim=1)))


def make_loader(args, questions, vocabulary, known, *, train):
    dataset = Encoded(questions, vocabulary, known)
    size = args.batch_size if train else 256
    lengths = dataset.indices.lengths
    return batches.loader(dataset, args, training=train, batch_size=size, collate_fn=collate, lengths=lengths)


def score(args, net, loader):
    """Scores a network: `accuracy` from 0 to 1, `loss`, and `confusion`, counts by (true class, predicted class)."""
    metrics = {
        "confusion": ConfusionMatrix(len(LABELS), device=args.device),
        "loss": Loss(nn.CrossEntropyLoss(), device=args.device),
    }
    values = training.evaluate(args, net, loader, metrics)
    confusion = values["confusion"].cpu()
    return {"accuracy": (confusion.trace() / confusion.sum()).item(), "loss": values["loss"], "confusion": confusion}


def table(confusion):
    """A line a class: how many questions, the share found, and what the others were taken for."""
    lines = [f"{'class':<28}{'questions':>9}{'found':>8}   taken for"]
    for label, (name, row) in enumerate(zip(LABELS, confusion.tolist())):
        found = f"{row[label] / sum(row):.1%}" if sum(row) else "-"
        others = sorted(((count, other) for count, other in zip(row, LABELS) if count and other != name), reverse=True)
        taken = ", ".join(f"{other} {count}" for count, other in others)
        lines.append(f"{name:<5}{CLASSES[name]:<23}{sum(row):>9}{found:>8}   {taken}")
    return "\n".join(lines)


def train(args):
    splits = read_splits(args.data)
    vocabulary = build_vocabulary(splits["train"])
    words, vectors = frequent_vectors(args.vectors, MOST) if args.vectors else ([], torch.zeros(0, 0))
    known = Vocabulary(["<unk>", "<pad>", *words])
    vectors = torch.cat([torch.zeros(2, vectors.shape[1]), VECTOR_SCALE * vectors])
    trainloader, validloader, testloader = (
        make_loader(args, splits[split], vocabulary, known, train=split == "train") for split in SPLITS
    )
    sizes = [len(splits[split]) for split in SPLITS]
    print("{} questions to train, {} to choose the weights by, {} to test, on {}".format(*sizes, args.device))
    net = QuestionNet(len(vocabulary.tokens), vectors).to(args.device)
    optimizer = optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.01, fused=True)
    scheduler = training.one_cycle(optimizer, args, trainloader, pct_start=0.3)

    def validate(network):
        figures = score(args, network, validloader)
        return {"valid_loss": figures["loss"], "accuracy": figures["accuracy"]}

    run, epochs = training.train(
        args,
        net,
        optimizer,
        nn.CrossEntropyLoss(),
        trainloader,
        validate,
        score="accuracy",
        unit="questions",
        scheduler=scheduler,
        belongs={"vocabulary": vocabulary.tokens, "known": known.tokens, "dimension": vectors.shape[1]},
    )
    figures = score(args, net, testloader)
    confusion = figures.pop("confusion")
    majority = (confusion.sum(dim=1).max() / confusion.sum()).item()
    if idist.get_rank() == 0:
        run |= {"test_loss": figures["loss"], "accuracy": figures["accuracy"], "majority_class": majority}
        report.finish(args.out, "Question classifier", epochs, **run)
        with report.drawing(args.out / "confusion.png") as path:
            save_confusion(confusion, LABELS, path)
    print(table(confusion))
    print(
        f"{figures['accuracy']:.1%} of {sizes[2]} questions that it has not seen are told right, after "
        f"{run['seconds']:.0f} s of training; the largest class alone would be {majority:.1%}; files in {args.out}"
    )


def load(args):
    """The trained network and its two vocabularies, out of `--checkpoint`, or of `best.pt` in `--out`."""
    vocabulary, known = (Vocabulary(cli.belonging(args, name)) for name in ("vocabulary", "known"))
    net = QuestionNet(len(vocabulary.tokens), torch.zeros(len(known.tokens), cli.belonging(args, "dimension")))
    load_weights(net, cli.weights_of(args))
    return net.to(args.device).eval(), vocabulary, known


def evaluate(args):
    if args.evaluate not in SPLITS:
        raise cli.UserError(f"--evaluate {args.evaluate}: no such split; expected {', '.join(SPLITS)}")
    net, vocabulary, known = load(args)
    questions = read_splits(args.data)[args.evaluate]
    figures = score(args, net, make_loader(args, questions, vocabulary, known, train=False))
    confusion = figures.pop("confusion")
    print(table(confusion))
    print(f"accuracy {figures['accuracy']:.4f} over the {len(questions)} questions of {args.evaluate}")
    if idist.get_rank() == 0:
        folder = report.evaluation(args.out, args.evaluate, {"questions": len(questions), **figures})
        with report.drawing(folder / "confusion.png") as path:
            save_confusion(confusion, LABELS, path)


def predict(args):
    """Prints the two most probable classes of each question of `--predict`."""
    for question in args.predict:
        if not question.strip():
            raise cli.UserError("--predict: an empty question, expected words")
    net, vocabulary, known = load(args)
    tokens, _ = collate([(encode(question, vocabulary, known), 0) for question in args.predict])
    with torch.no_grad():
        probabilities = net(tokens.to(args.device)).softmax(dim=1).cpu()
    for question, shares in zip(args.predict, probabilities):
        (first, second), (best, next_best) = (part.tolist() for part in shares.topk(2))
        name, rival = LABELS[best], LABELS[next_best]
        print(f"{question}\n  {name} {first:.2f}, {CLASSES[name]}; else {rival} {second:.2f}, {CLASSES[rival]}")


def read_flags(argv=None):
    """The flags; what is not given comes from the recipe of the sample or of the real set."""
    flags = cli.parser(__doc__, epochs=8, batch_size=64, lr=0.002, predict="QUESTION", predict_type=printable)
    flags.add_argument("--vectors", type=Path, metavar="FILE", help="pretrained word vectors, in GloVe's text format")
    flags.add_argument("--download", type=Path, metavar="DIR", help="fetch the real set into DIR, then stop")
    given = flags.parse_known_args(argv)[0]
    flags.set_defaults(**RECIPES["sample" if given.data == "sample" else "real"])
    return cli.parse(flags, argv)


def main(argv=None):
    cli.dispatch(read_flags(argv), train, evaluate=evaluate, predict=predict, download=download)


if __name__ == "__main__":
    cli.run(main)
