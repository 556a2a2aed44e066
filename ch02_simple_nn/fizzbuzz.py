"""Listings 2.13 and 2.29: FizzBuzz the PyTorch way.

    python ch02_simple_nn/fizzbuzz.py
    python ch02_simple_nn/fizzbuzz.py --predict 7 15 98 1000
    python ch02_simple_nn/fizzbuzz.py --target next --network own-linear --out runs/next

The first trains on 900 of the numbers from 0 to 999 and asks for the other 100; the second plays the game with what the
first has left in --out; the third answers for the next number, as the text of the page has it.

Network, loss, epochs and batches are the page's; with its other settings the answer is "other" for every number. What
gets the unseen numbers right is AdamW at a learning rate of 0.03, inputs of -1 and +1, and a first layer that starts
wide and stays so. benchmarks/fizzbuzz.py takes each of these back.
"""

from functools import partial

import torch
from torch import nn, optim

from ch02_simple_nn.data import binary_decoder, binary_encoder, class_index, get_numpy_data, said_number, spoken
from ch02_simple_nn.fizbuz_net import FizBuzNet, Linear, sequential
from common import checkpoints, cli, report
from common.plain_loop import PlainLoop

input_size = 10
hidden_size = 100
output_size = 4
NETWORKS = {"module": FizBuzNet, "sequential": sequential, "own-linear": partial(FizBuzNet, linear=Linear)}


def new_network(args):
    """The network that `--network` names, its first weights as in listing 2.5: wider than nn.Linear starts."""
    net = NETWORKS[args.network](input_size, hidden_size, output_size)
    nn.init.normal_(next(net.parameters()))
    return net.to(args.device)


def network_input(bits, args):
    """Bits as -1 and +1: a bit of 0 would say nothing to the first layer."""
    return 2 * torch.as_tensor(bits, dtype=torch.float32, device=args.device) - 1


def answers(net, bits, args):
    """The class that the network gives to each number, an array."""
    with torch.no_grad():
        return net(network_input(bits, args)).argmax(dim=1).cpu().numpy()


def train(args):
    """Trains on 900 numbers, asks for the other 100, and writes the run's files."""
    trX, trY, teX, teY = get_numpy_data(input_size, target=args.target, seed=args.seed)
    all_x, all_y = network_input(trX, args), torch.from_numpy(trY).to(args.device, torch.float32)
    unseen = [binary_decoder(bits) for bits in teX]
    net = new_network(args)
    loss_fn = nn.MSELoss()
    # Weight decay keeps the output layer from learning numbers by heart; the first layer is to stay as wide as it is.
    parameters = list(net.parameters())
    groups = [{"params": parameters[:2], "weight_decay": 0}, {"params": parameters[2:], "weight_decay": 0.1}]
    optimizer = optim.AdamW(groups, lr=args.lr, fused=True)
    loop = PlainLoop(args, net, optimizer, belongs={"unseen": unseen})
    for epoch in loop.epochs():
        # The order is the epoch's own, whether or not the run was broken off before.
        order = torch.randperm(len(trX), generator=torch.Generator().manual_seed(args.seed * 1_000_000 + epoch))
        x, y = all_x[order], all_y[order]
        total = 0.0
        for start in range(0, len(x), args.batch_size):
            end = start + args.batch_size
            x_ = x[start:end]
            y_ = y[start:end]
            hyp = net(x_)
            loss = loss_fn(hyp, y_)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(x_)
        accuracy = (answers(net, teX, args) == teY.argmax(axis=1)).mean()
        loop.note(loss=total.item() / len(x), accuracy=float(accuracy))
        if epoch % 50 == 0 or epoch in (1, args.epochs):
            print(f"epoch {epoch:3}: loss {total.item() / len(x):.4f}, unseen numbers right {accuracy:.2f}", flush=True)

    checkpoints.load_weights(net, args.out / "best.pt")
    right, last = int((answers(net, teX, args) == teY.argmax(axis=1)).sum()), loop.history[-1]
    figures = dict(accuracy=right / len(unseen), loss=last["loss"], epochs=last["epoch"], seconds=last["seconds"])
    report.finish(args.out, "FizzBuzz", loop.history, **figures)
    print(f"{right} of {len(unseen)} unseen numbers right, in {last['seconds']:.1f} s; files in {args.out}")


def play(args):
    """Prints what the network says for each number of `--predict`, and where the rule says otherwise."""
    net = new_network(args)
    checkpoints.load_weights(net, cli.weights_of(args))
    unseen = cli.belonging(args, "unseen")
    bits = [binary_encoder(input_size)(number) for number in args.predict]
    print("the answer for the next number:" if args.target == "next" else "the answer for the number itself:")
    for number, answer in zip(args.predict, answers(net, bits, args)):
        right = class_index(said_number(number, args.target))
        known = "trained on" if number < 1000 and number not in unseen else "never seen"
        verdict = "" if answer == right else f", wrong: {spoken(number, right, args.target)}"
        print(f"{number:5} -> {spoken(number, answer, args.target):8} ({known}{verdict})")


def main():
    number = cli.whole(0, 2**input_size - 1)
    omit = ("--data", "--workers", "--seed", "--amp", "--compile", "--evaluate")
    flags = cli.parser(__doc__, epochs=500, batch_size=64, lr=0.03, predict="NUMBER", predict_type=number, omit=omit)
    flags.add_argument(
        "--seed", type=cli.seed_number, default=0, help="weights, order, and which 100 numbers stay unseen"
    )
    flags.add_argument("--network", choices=NETWORKS, default="module", help="three ways to write it (default: module)")
    flags.add_argument("--target", choices=["number", "next"], default="number", help="whose answer (default: number)")
    # What is asked for after training comes from the run, and a flag that says otherwise is refused.
    args = cli.parse(flags, network=("network", "target", "epochs", "batch_size", "lr", "seed"))
    cli.dispatch(args, train, predict=play)


if __name__ == "__main__":
    cli.run(main)
