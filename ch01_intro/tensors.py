"""Listings 1.4 to 1.10: making, computing, reshaping tensors.

    python ch01_intro/tensors.py
    python ch01_intro/tensors.py --device cuda

The page's names and order; where the page is wrong, the line here is right, a comment says so, and README.md tells how
to see it. The last cells turn ten sentences into one-hot vectors, and save and load tensors safely.
"""

# %% 1.4 Importing PyTorch
import pickle
from fractions import Fraction

import torch

from ch01_intro.pictures.tensors import draw_tensors
from common.tours import tour

args = tour(__doc__)
# The page's own lines make their tensors on this device, all but torch.Tensor and torch.FloatTensor, which make them on
# the CPU.
torch.set_default_device(args.device)
print(f"{torch.__version__ = }, {torch.get_default_device() = }")

# %% 1.5 Four ways to create a tensor
# torch.Tensor(3, 2) is torch.empty(3, 2): whatever the memory held.
uninitialized = torch.Tensor(3, 2)
rand_initialized = torch.rand(3, 2)
matrix_with_ones = torch.ones(3, 2)
matrix_with_zeros = torch.zeros(3, 2)
print(f"{uninitialized.shape = }, {uninitialized.dtype = }")
print(f"{rand_initialized = }")
print(f"{matrix_with_ones = }")
print(f"{matrix_with_zeros = }")

# %% 1.5 From a Python list
# torch.FloatTensor turns every number into float32; like np.array, torch.tensor keeps whole numbers whole.
python_list = [[1, 2], [3, 4]]
from_list = torch.FloatTensor(python_list)
from_list_today = torch.tensor(python_list)
print(f"{from_list = }")
print(f"{from_list_today = }")

# %% Table 1.1: data types, brought up to date
# The page's eight classes are still there; the newest types have none, so one says dtype= and device= instead.
data_types = {
    "32-bit floating point": torch.float32,
    "64-bit floating point": torch.float64,
    "16-bit floating point": torch.float16,
    "16-bit float, 8-bit exponent": torch.bfloat16,
    "8-bit integer (unsigned)": torch.uint8,
    "8-bit integer (signed)": torch.int8,
    "16-bit integer (signed)": torch.int16,
    "32-bit integer (signed)": torch.int32,
    "64-bit integer (signed)": torch.int64,
    "boolean": torch.bool,
    "64-bit complex": torch.complex64,
    "128-bit complex": torch.complex128,
    "8-bit float, 4-bit exponent": torch.float8_e4m3fn,
    "8-bit float, 5-bit exponent": torch.float8_e5m2,
    "16-bit integer (unsigned)": torch.uint16,
    "32-bit integer (unsigned)": torch.uint32,
    "64-bit integer (unsigned)": torch.uint64,
}
accelerator = "cuda" if args.device.type == "cpu" else args.device.type
table_1_1 = [("data type", "dtype", "CPU tensor", "GPU tensor")]
for description, dtype in data_types.items():
    cpu_type = accelerator_type = "no class"
    name = torch.empty(0, dtype=dtype, device="cpu").type().removeprefix("torch.")
    if hasattr(torch, name):
        cpu_type, accelerator_type = f"torch.{name}", f"torch.{accelerator}.{name}"
    table_1_1.append((description, str(dtype), cpu_type, accelerator_type))
for row in table_1_1:
    print("{:29} {:20} {:21} {}".format(*row))
print(f"{torch.tensor([1, 2], dtype=torch.bfloat16) = }")
print(f"{torch.tensor([3 + 4j]).abs() = }")

# %% 1.6 size() and shape give the same torch.Size
size = rand_initialized.size()
shape = rand_initialized.shape
print(f"{size == shape = }")

# %% 1.7 A shape is a tuple: it can be indexed and unpacked, but not changed
rows, columns = shape
print(f"{shape[0] = }, {shape[1] = }, {rows = }, {columns = }")
try:
    shape[0] = 4
except TypeError as error:
    immutable = str(error)
    print(f"TypeError: {immutable}")

# %% 1.8 Operators: a scalar added, elements multiplied, matrices multiplied
x = torch.ones(3, 2)
y = torch.ones(3, 2) + 2
z = torch.ones(2, 1)
# The text calls z and the result 3 x 2: z is 2 x 1, and the result 3 x 1. From left to right: (x * y) @ z.
elementwise = x * y
product = x * y @ z
print(f"{x = }")
print(f"{y = }")
print(f"{z = }")
print(f"{elementwise = }")
print(f"{product = }")

# %% 1.9 Out of place and in place
# The page prints 2 x 3 random numbers, which cannot come from the x and y above: they are made anew here.
x = torch.rand(2, 3)
y = torch.rand(2, 3)
x_before = x.clone()
z = x.add(y)
unchanged = torch.equal(x, x_before)
print(f"{z = }")
print(f"x.add(y) leaves x as it was: {unchanged}")
total = x + y
z = x.add_(y)  # in-place addition
print(f"{z = }")
print(f"{x = }")
print(f"x.add_(y) returns x itself: {z is x}")
# The page prints ones of type uint8, as PyTorch did before 1.2.
comparison = x == z
print(f"{comparison = }")
# "All operators" have such a twin, says the page: most elementwise ones do, a matrix product does not.
in_place_twins = {name: hasattr(torch.Tensor, name) for name in ("add_", "sub_", "mul_", "sigmoid_", "matmul_")}
print(f"{in_place_twins = }")

# %% 1.9 Matrix multiplication: matmul, mm and @
x = torch.rand(2, 3)
y = torch.rand(3, 4)
matrix_product = x.matmul(y)
print(f"{matrix_product = }")
print(f"{torch.equal(matrix_product, torch.mm(x, y)) = }, {torch.equal(matrix_product, x @ y) = }")

# %% 1.10 Indexing: one index a dimension, by commas or one after the other
x = torch.rand(2, 3, 4)
x_with_2n3_dimension = x[1, :, :]
scalar_x = x[1, 1, 1]  # the second value of each dimension, not the first as on the page: that is x[0, 0, 0]
print(f"{x_with_2n3_dimension.shape = }")
print(f"{scalar_x = }, {scalar_x == x[1][1][1] = }")

# %% 1.10 Slicing as in NumPy
x = torch.rand(2, 3)
without_first_column = x[:, 1:]
without_last_row = x[:-1, :]
print(f"{x = }")
print(f"{without_first_column = }")
print(f"{without_last_row = }")

# %% 1.10 Transpose: t() is a method, and only for two dimensions at most
transposed = x.t()
print(f"{transposed = }")
try:
    torch.rand(2, 3, 4).t()
except RuntimeError as error:
    only_matrices = str(error)
    print(f"RuntimeError: {only_matrices}")
print(f"{torch.rand(2, 3, 4).transpose(0, 2).shape = }")

# %% 1.10 Concatenation joins along a dimension, stacking adds one
x = torch.rand(2, 3)
y = torch.rand(2, 3)
concat_rows = torch.cat((x, y))
concat_columns = torch.cat((x, y), dim=1)
stacked = torch.stack((x, y), dim=0)
print(f"{concat_rows = }")
print(f"{concat_columns = }")
print(f"{stacked = }")
# The text gives 3 x 2 x 4 for two 3 x 2 x 4 tensors: concatenation doubles the dimension that it joins.
concat_shapes = [tuple(torch.cat((torch.rand(3, 2, 4), torch.rand(3, 2, 4)), dim).shape) for dim in range(3)]
print(f"{concat_shapes = }")

# %% 1.10 Split takes the size of a piece, chunk the number of pieces
x = torch.rand(3, 2)  # 2 x 3 on the page, which would come back in one piece
splitted = x.split(split_size=2, dim=0)
print(f"{splitted = }")
# The text calls all of these pieces 3 x 2: by 1 they are three of 1 x 2, by 2 they are 2 x 2 and 1 x 2.
split_by_1 = x.split(1, 0)
chunks = x.chunk(2, dim=0)
print(f"{[tuple(piece.shape) for piece in split_by_1] = }")
print(f"{[tuple(piece.shape) for piece in chunks] = }")

# %% 1.10 Squeeze takes dimensions of size 1 away, unsqueeze adds one
column = torch.rand(3, 2, 1)
squeezed = column.squeeze()
row = torch.rand(3)
with_fake_dimension = row.unsqueeze(0)
print(f"{column.shape = }, {squeezed.shape = }")
print(f"{row.shape = }, {with_fake_dimension.shape = }")
# Without an argument every such dimension goes, a batch of one too: name the dimension that is meant.
print(f"{torch.rand(1, 1, 100).squeeze().shape = }")
print(f"{torch.rand(1, 1, 100).squeeze(1).shape = }")

# %% 1.10 Ten sentences of five words as one-hot vectors
# 10 x 5 numbers become 10 x 5 x 100; one word of each sentence is 10 x 1 x 100, squeezed 10 x 100.
sentences = torch.randint(100, (10, 5))  # vocabulary of 100 words
one_hot = torch.nn.functional.one_hot(sentences, num_classes=100)
one_word = one_hot.split(1, dim=1)[0]
one_word_squeezed = one_word.squeeze(1)
print(f"{sentences.shape = }, {one_hot.shape = }")
print(f"{one_word.shape = }, {one_word_squeezed.shape = }")
print(f"{torch.equal(one_word_squeezed.argmax(dim=1), sentences[:, 0]) = }")

# %% Figure 1.18: concatenation, stacking, squeezing and unsqueezing, drawn from the values
x = torch.arange(6).reshape(2, 3)
y = torch.arange(6, 12).reshape(2, 3)
column = torch.arange(6).reshape(3, 2, 1)
row = torch.arange(3)
draw_tensors(
    args.out / "figure_1_18.png",
    "Figure 1.18: concatenation and stacking, squeezing and unsqueezing",
    [
        {"x": x, "y": y, "cat((x, y))": torch.cat((x, y)), "cat((x, y), dim=1)": torch.cat((x, y), dim=1)},
        {
            "stack((x, y))": torch.stack((x, y)),
            "stack((x, y), dim=1)": torch.stack((x, y), dim=1),
            "column": column,
            "column.squeeze()": column.squeeze(),
        },
        {"row": row, "row.unsqueeze(0)": row.unsqueeze(0), "row.unsqueeze(1)": row.unsqueeze(1)},
    ],
)
print(args.out / "figure_1_18.png")

# %% Save and load
# weights_only=True reads tensors and plain containers, and runs nothing that the file says.
file = args.out / "tensors.pt"
torch.save({"x": x, "y": y}, file)
loaded = torch.load(file, map_location=args.device, weights_only=True)
print(f"{torch.equal(loaded['x'], x) = }")

# %% A file with any other object in it is refused, because unpickling an object runs code
torch.save({"x": x, "half": Fraction(1, 2)}, args.out / "not_only_tensors.pt")
try:
    torch.load(args.out / "not_only_tensors.pt", weights_only=True)
except pickle.UnpicklingError as error:
    refusal = str(error)[str(error).index("Unsupported global") :].split(". ")[0]
    print(f"UnpicklingError: {refusal}")
