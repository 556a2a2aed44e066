"""The FizzBuzz data set: listing 2.1, its decoder, and the split that the page leaves to the reader.

The text of the page wants the answer for the NEXT number (8 -> fizz, since 9 is divisible by 3); its code gives the
answer for the number itself (8 -> other, 9 -> fizz). Both are here: `target="next"` is the text, `target="number"`, the
default, is the code.
"""

import numpy as np

# The order of the columns of the code; the text of the page names them in another.
CLASSES = ["fizzbuzz", "buzz", "fizz", "other"]


def binary_encoder(input_size):
    """A function from a whole number to the list of its `input_size` bits, the highest first.

    The function raises:
        ValueError: the number is negative or has more than `input_size` bits. The page's code would return a code that
            is too long for the network.
    """

    def wrapper(num):
        if not 0 <= num < 2**input_size:
            raise ValueError(f"{num} does not fit: {input_size} bits hold the numbers from 0 to {2**input_size - 1}")
        ret = [int(i) for i in f"{num:b}"]
        return [0] * (input_size - len(ret)) + ret

    return wrapper


def binary_decoder(bits):
    """The number that `binary_encoder` turned into `bits`."""
    return int("".join(str(int(bit)) for bit in bits), base=2)


def class_index(number):
    """Where the answer for `number` stands in `CLASSES`, by the rule of the game."""
    if number % 15 == 0:
        return 0
    if number % 5 == 0:
        return 1
    if number % 3 == 0:
        return 2
    return 3


def said_number(number, target="number"):
    """The number whose answer is wanted: `number` itself, or with `target="next"` the one after it."""
    return number + 1 if target == "next" else number


def spoken(number, index, target="number"):
    """What a player says for class `index`: the word, or for "other" the number itself."""
    return str(said_number(number, target)) if CLASSES[index] == "other" else CLASSES[index]


def training_test_gen(x, y, test_share=0.1, seed=0):
    """Shuffles the rows of `x` and `y` together and splits them; the page calls this function and never shows it.

    Returns:
        `(trX, trY, teX, teY)`; of 1000 rows 900 are for training and 100 for the test.
    """
    order = np.random.default_rng(seed).permutation(len(x))
    test_rows = round(test_share * len(x))
    train, test = order[test_rows:], order[:test_rows]
    return x[train], y[train], x[test], y[test]


def get_numpy_data(input_size=10, limit=1000, target="number", seed=0):
    """The numbers from 0 to `limit` - 1 as bits, with one-hot answers, split in two.

    Returns:
        `(trX, trY, teX, teY)`, int64 arrays: X `(rows, input_size)` of 0 and 1, Y `(rows, 4)`, columns as in `CLASSES`.

    Raises:
        ValueError: `limit` - 1 has more than `input_size` bits.
    """
    x = []
    y = []
    encoder = binary_encoder(input_size)
    for i in range(limit):
        x.append(encoder(i))
        one_hot = [0, 0, 0, 0]
        one_hot[class_index(said_number(i, target))] = 1
        y.append(one_hot)
    return training_test_gen(np.array(x), np.array(y), seed=seed)


def get_class_index_data(input_size=10, limit=1000, target="number", seed=0):
    """`get_numpy_data` with the answers as class indices, as `nn.CrossEntropyLoss` takes them: int64 `(rows,)`."""
    trX, trY, teX, teY = get_numpy_data(input_size, limit, target, seed)
    return trX, trY.argmax(axis=1), teX, teY.argmax(axis=1)
