"""A network reads the eight answers of a recording, yes or no in Hebrew, without being told where a word begins.

    python ch03_workflow/yesno.py                               spoken-like tones, seconds of training
    python ch03_workflow/yesno.py --data yesno                  YESNO's 60 recordings, 48 to train, 12 held out
    python ch03_workflow/yesno.py --predict recording.wav       what the trained network hears in a recording

A label says which words were spoken, not when. Connectionist temporal classification (Graves and others, 2006) sums the
probability over every way in which the words can lie in the frames, with silence (the "blank") between them, so that
the network finds the places itself. It prints what was heard in the held-out recordings and leaves one of them as
`answers.png`, beside `curves.png` and the weights, in `runs/yesno`. The seed draws the held-out fifth.
"""

import torch
import torch.nn.functional as F
import torchaudio
from ignite import distributed as idist
from torch import nn, optim
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from ch03_workflow.loaders.packed import Packed
from ch03_workflow.loaders.yesno import SAMPLE_RATE, SPLITS, open_recording, read_split
from ch03_workflow.pictures.audio import save_answers
from common import batches, cli, report, training
from common.checkpoints import load_weights
from common.names import Names, printable, readable

BANDS = 40
CLASSES = ("silence", "no", "yes")  # label + 1; CTC's blank is class 0

mel_spectrogram = torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, n_fft=256, hop_length=80, n_mels=BANDS)
to_decibels = torchaudio.transforms.AmplitudeToDB(top_db=60)


def features(waveform):
    """How far each mel band stands above its own background noise, in units of 20 dB, every 10 ms.

    Silence is then zero in every recording, however loud, and padding with zeros is silence too.

    Args:
        waveform: `(samples,)`, 8 kHz.

    Returns:
        float32, `(bands, frames)`.
    """
    decibels = to_decibels(mel_spectrogram(waveform))
    background = decibels.quantile(0.1, dim=1, keepdim=True)
    return (decibels - background) / 20


class Recordings(Dataset):
    """One split of YESNO's recordings, in memory: items are features `(bands, frames)` and labels `(8,)`."""

    def __init__(self, data, split, seed):
        self.paths, labels = read_split(data, split, seed)
        self.labels = torch.stack(labels)  # (recordings, 8)
        self.features = Packed([features(open_recording(path)) for path in self.paths], axis=1)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.features[index], self.labels[index]


def collate(items):
    """Pads recordings with silence to the longest: features `(batch, bands, frames)` and labels `(batch, 8)`."""
    batch, labels = zip(*items)
    padded = pad_sequence([each.T for each in batch], batch_first=True)  # (batch, frames, bands)
    return padded.transpose(1, 2), torch.stack(labels)


def add_noises(features, noises=6):
    """Lays patches of noise over recordings, so that a bird, a click or the tail of a word learns to be silence.

    A patch spans some bands and some tenths of a second and is up to 30 dB above the background.

    Args:
        features: `(batch, bands, frames)`; a new tensor of this shape is returned.
        noises: how many patches a recording.
    """
    _, bands, frames = features.shape
    random = batches.rand(len(features), noises, 5).to(features.device)
    place, length, band, width, strength = random[..., None].unbind(2)  # each (batch, noises, 1)
    over_time = (-(((torch.arange(frames, device=features.device) - place * frames) / (5 + 15 * length)) ** 2)).exp()
    over_bands = (-(((torch.arange(bands, device=features.device) - band * bands) / (2 + 6 * width)) ** 2)).exp()
    patches = 1.5 * strength[..., None] * over_bands[..., None] * over_time[..., None, :]
    # Of two sounds in one band, decibels hear the louder.
    return torch.maximum(features, patches.amax(1))


def prepare_noisy(batch, device, non_blocking=False):
    """ignite's `prepare_batch` for training: to the device, and noises over it."""
    features, labels = batches.to_device(batch, device, non_blocking)
    return add_noises(features), labels


class YesNoNet(nn.Module):
    """Four convolutions over time; a frame of the output stands for 40 ms and sees 0.45 s.

    Args:
        start: how strongly quiet frames begin as silence and loud ones as words. Without it (0) the sum over all ways
            settles on one that holds a word through the pauses: 0 to 17 of YESNO's 96 words instead of 95 or 96.
    """

    def __init__(self, channels=64, start=8.0):
        super().__init__()
        self.start = start
        self.layers = nn.Sequential(
            *[nn.Conv1d(BANDS, channels, 5, stride=2, padding=2), nn.ReLU(), nn.Dropout1d(0.2)],
            *[nn.Conv1d(channels, channels, 5, stride=2, padding=2), nn.ReLU(), nn.Dropout1d(0.2)],
            *[nn.Conv1d(channels, channels, 9, padding=4), nn.ReLU(), nn.Dropout1d(0.2)],
            nn.Conv1d(channels, len(CLASSES), 1),
        )

    def forward(self, features):
        """From features, `(batch, bands, frames)`, to log probabilities, `(batch, classes, frames / 4)`."""
        scores = self.layers(features)
        quiet = self.start * (0.5 - features[:, :, ::4].mean(1, keepdim=True))  # (batch, 1, frames / 4)
        scores = scores + F.pad(quiet, (0, 0, 0, len(CLASSES) - 1))  # for silence alone
        return scores.log_softmax(1)


def ctc_loss(log_probabilities, labels):
    """The mean over a batch of -log P(labels) a word: `(batch, classes, frames)` and `(batch, words)` to a scalar."""
    batch, _, frames = log_probabilities.shape
    # Padding is silence, which is what follows the last word anyway: every recording may be as long as the longest.
    lengths = torch.full((batch,), frames), torch.full((batch,), labels.shape[1])
    return F.ctc_loss(log_probabilities.permute(2, 0, 1), labels + 1, *lengths)


def collapse(classes):
    """CTC's reading: of the likeliest class of each frame, `(frames,)`, runs count once and silence not at all.

    Returns:
        a list of labels, 0 for no and 1 for yes.
    """
    return [number - 1 for number in classes.unique_consecutive().tolist() if number]


def words_right(heard, spoken):
    """How many of the words that were spoken were heard: one less for each left out, put in or mistaken; at least 0."""
    return max(0, len(spoken) - torchaudio.functional.edit_distance(heard, spoken))


@torch.inference_mode()
def probabilities(net, each):
    """What the network hears in one recording: features `(bands, frames)` to `(classes, frames / 4)`, on the CPU."""
    net.eval()
    return net(each[None].to(next(net.parameters()).device))[0].exp().cpu()


def score(net, dataset):
    """The share of a split's words that the network hears rightly, and what it heard in each recording."""
    heard = [collapse(probabilities(net, each).argmax(0)) for each in dataset.features]
    right = [words_right(words, labels.tolist()) for words, labels in zip(heard, dataset.labels)]
    return sum(right) / sum(map(len, dataset.labels)), heard


def say(labels):
    """Labels as words: `[0, 1]` is "no yes"."""
    return " ".join(CLASSES[label + 1] for label in labels) or "no word"


def show(net, dataset, out):
    """Prints what was heard in each recording and draws the first mistake, or else the first recording."""
    accuracy, heard = score(net, dataset)
    spoken = [labels.tolist() for labels in dataset.labels]
    for path, words, truth in zip(dataset.paths, heard, spoken):
        print(f"{path.name}: {say(words)}" + ("" if words == truth else f"   (its name says {say(truth)})"))
    drawn = next((index for index, words in enumerate(heard) if words != spoken[index]), 0)
    path = dataset.paths[drawn]
    draw(net, path, out / "answers.png", f"{path.name}\nthe name says: {say(spoken[drawn])}")
    return accuracy


def draw(net, path, picture, title):
    """Draws one recording with the probabilities of its frames; returns the labels heard."""
    waveform = open_recording(path)
    chances = probabilities(net, features(waveform))
    heard = collapse(chances.argmax(0))
    with report.drawing(picture):
        save_answers(picture, waveform, SAMPLE_RATE, chances, CLASSES, f"{title}\nheard: {say(heard)}")
    return heard


def train(args):
    trainset, testset = (Recordings(args.data, split, args.seed) for split in SPLITS)
    print(f"{len(trainset)} recordings to train, {len(testset)} held out, on {args.device}")
    trainloader = batches.loader(trainset, args, training=True, collate_fn=collate)
    net = YesNoNet().to(args.device)
    optimizer = optim.AdamW(net.parameters(), lr=args.lr)
    scheduler = training.one_cycle(optimizer, args, trainloader, pct_start=0.3)

    def validate(network):
        # Scored by the steps taken, the last weights are kept: nothing is chosen, by no recording.
        return {"train_accuracy": score(network, trainset)[0], "steps": scheduler.last_epoch}

    run, epochs = training.train(
        args,
        net,
        optimizer,
        ctc_loss,
        trainloader,
        validate,
        score="steps",
        unit="recordings",
        prepare_batch=prepare_noisy,
        scheduler=scheduler,
    )
    if idist.get_rank() == 0:
        accuracy = show(net, testset, args.out)
        words = sum(map(len, testset.labels))
        report.finish(args.out, "Yes and no", epochs, accuracy=accuracy, words=words, **run)
        print(
            f"{round(accuracy * words)} of {words} held-out words right after {run['seconds']:.0f} s of training; "
            f"look at {args.out}/answers.png"
        )


def load_trained(args):
    net = YesNoNet().to(args.device)
    load_weights(net, cli.weights_of(args))
    return net


def evaluate(args):
    net = load_trained(args)
    dataset = Recordings(args.data, args.evaluate, args.seed)
    if idist.get_rank() == 0:
        folder = report.evaluation(args.out, args.evaluate, {"accuracy": score(net, dataset)[0]})
        accuracy = show(net, dataset, folder)
        print(f"accuracy {accuracy:.4f} over the words of the {len(dataset)} recordings of {args.evaluate}")


def predict(args):
    net = load_trained(args)
    report.folder(args.out)
    names = Names("_answers.png")
    for path in args.predict:
        picture = args.out / f"{names(path)}_answers.png"
        heard = draw(net, path, picture, readable(path))
        print(f"{printable(path)}: {say(heard)}; wrote {picture}")


def read_flags(argv=None):
    flags = cli.parser(__doc__, epochs=40, batch_size=8, lr=0.003, predict="RECORDING")
    # The seed says which recordings were held out.
    return cli.parse(flags, argv, network=("seed",))


def main(argv=None):
    cli.dispatch(read_flags(argv), train, evaluate=evaluate, predict=predict)


if __name__ == "__main__":
    cli.run(main)
