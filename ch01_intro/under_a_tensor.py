"""Listings 1.11 to 1.13: what lies under a tensor.

    python ch01_intro/under_a_tensor.py
    python ch01_intro/under_a_tensor.py --device cuda

A tensor is a size, a stride and an offset into a storage; a storage is a piece of memory. Views and NumPy arrays share
that memory, so that a write through one is seen through all; a clone, a move to another device and a change of data
type each make memory of their own. NumPy reads the CPU's memory only, so `x` of the page is made there on any device.
"""

# %% 1.11 A tensor, a view of it and a NumPy array
import warnings

import numpy as np
import torch

from ch01_intro.pictures.tensors import draw_layers
from common.tours import tour

args = tour(__doc__)
x = torch.ones(2, 2)
xv = x.view(-1)
xn = x.numpy()  # the text writes .NumPy(), which does not exist
print(f"{x = }")
print(f"{xv = }")
print(f"{xn = }")

# %% 1.12 The storage, second layer of a tensor, is the same for both
# x.storage(), as on the page, still works, but warns; untyped_storage() is today's name.
with warnings.catch_warnings(record=True) as storage_warnings:
    warnings.simplefilter("always")
    typed_storage = x.storage()
print(f"x.storage():\n{typed_storage}")
print(f"{storage_warnings[0].category.__name__}: {str(storage_warnings[0].message).split('. ')[0]}")
same_storage = x.untyped_storage().data_ptr() == xv.untyped_storage().data_ptr()
print(f"{x.untyped_storage().data_ptr() == xv.untyped_storage().data_ptr() = }")
print(f"{x.untyped_storage().nbytes() = }, {xv.untyped_storage().nbytes() = }")

# %% 1.13 A write through the tensor is seen in the view and in the array
before = x.data_ptr(), xv.data_ptr(), xn.ctypes.data
x[0, 0] = 20
after = x.data_ptr(), xv.data_ptr(), xn.ctypes.data
print(f"{x = }")
print(f"{xv = }")
print(f"{xn = }")
print(f"data_ptr of x, xv, xn before: {[hex(address) for address in before]}")
print(f"data_ptr of x, xv, xn after:  {[hex(address) for address in after]}")

# %% Figure 1.19, drawn from the live tensors; a row of x starts further on in the storage
second_row = x[1]
draw_layers(
    args.out / "figure_1_19.png",
    "Figure 1.19: tensors, their storage, and the memory (THTensor and THStorage are gone)",
    {"x": x, "xv": xv, "x[1]": second_row},
    ("xn", xn),
)
print(args.out / "figure_1_19.png")

# %% Size, stride and offset
# Element [i, j] lies at offset + i * stride[0] + j * stride[1] of the storage.
table = torch.arange(12.0, device=args.device).reshape(3, 4)
views = {
    "table": table,
    "table.t()": table.t(),
    "table[1]": table[1],
    "table[:, 1::2]": table[:, 1::2],
    "table.view(2, 6)": table.view(2, 6),
    "table[:1].expand(3, 4)": table[:1].expand(3, 4),
}
for name, view in views.items():
    shares = view.untyped_storage().data_ptr() == table.untyped_storage().data_ptr()
    layout = f"size {tuple(view.shape)!s:7} stride {view.stride()!s:7} offset {view.storage_offset()}"
    print(f"{name:23} {layout}  contiguous {view.is_contiguous()!s:5}  same storage {shares}")

# %% view() never copies, reshape() and contiguous() do when no stride can describe the result
try:
    table.t().view(-1)
except RuntimeError as error:
    no_view = str(error)
    print(f"RuntimeError: {no_view.split(' (')[0]}")
flat = table.t().reshape(-1)
print(f"{flat = }")
print(f"{flat.data_ptr() == table.data_ptr() = }")

# %% The NumPy bridge in the other direction: from_numpy shares, torch.tensor copies
array = np.zeros(3)
shared = torch.from_numpy(array)
copied = torch.tensor(array)
array[0] = 7
print(f"{shared = }")
print(f"{copied = }")

# %% DLPack, the exchange format between frameworks: no copy, in either direction
numpy_view = np.from_dlpack(x)
x[1, 1] = 5
tensor_view = torch.from_dlpack(array)
array[2] = 9
print(f"{numpy_view = }")
print(f"{tensor_view = }")
print(f"{numpy_view.ctypes.data == x.data_ptr() = }, {tensor_view.data_ptr() == array.ctypes.data = }")

# %% What breaks the sharing: a clone, a change of data type, a move to another device
clone = x.clone()
double = x.double()
moved = x.to(args.device)  # on the CPU nothing moves, and this is x itself
copied_to_device = x.to(args.device, copy=True)
x[0, 1] = -1
for name, other in dict(clone=clone, double=double, moved=moved, copied_to_device=copied_to_device).items():
    verdict = "sees the write" if other[0, 1] == -1 else "has memory of its own"
    print(f"{name:17} {other.dtype!s:14} {other.device!s:7} {verdict}")
print(f"{moved is x = }")
