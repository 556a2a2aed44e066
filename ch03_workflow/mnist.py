"""MNIST through torchvision: what listings 3.4 and 3.5 print.

    python ch03_workflow/mnist.py                     digits that the repository draws
    python ch03_workflow/mnist.py --data DIR          real files, in DIR/MNIST/raw
    python ch03_workflow/mnist.py --download DIR      fetches them

It draws the first images of each label into `runs/mnist/digits.png`. `loaders/mnist.py` draws the sample if it is not
there yet, and checks and unpacks what it is given.
"""

import argparse
from pathlib import Path

from torchvision import datasets

from ch03_workflow.loaders.mnist import download, mnist_folder
from ch03_workflow.pictures.digits import draw_sheet
from common import cli


def show(args):
    folder = mnist_folder(args.data)
    mnist = datasets.MNIST(folder)
    print(mnist)
    print(mnist[1])
    print(len(mnist))
    args.out.mkdir(parents=True, exist_ok=True)
    draw_sheet(mnist, args.out / "digits.png")
    test = datasets.MNIST(folder, train=False)
    print(f"{len(mnist):,} to train, {len(test):,} to test; look at {args.out / 'digits.png'}")


def main(argv=None):
    flags = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--data", default="sample", metavar="{sample,DIR}", help="the sample, or a folder")
    flags.add_argument("--download", type=Path, metavar="DIR", help="fetch the real set into DIR, then stop")
    flags.add_argument("--out", type=Path, default=Path("runs/mnist"), metavar="DIR", help="(default: %(default)s)")
    args = flags.parse_args(argv)
    download(args.download) if args.download else show(args)


if __name__ == "__main__":
    cli.run(main)
