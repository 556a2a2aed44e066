"""Figures 1.18 and 1.19: the cells of tensors, and what lies under them."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

SHEET_GAP = 0.4
BOX = dict(boxstyle="round,pad=0.5", edgecolor="black")


def draw_tensors(path, title, rows):
    """Draws small tensors of whole numbers, every cell with its value; values below 6 are blue, the others yellow.

    Args:
        path: the picture to write.
        title: what stands above all.
        rows: a list of rows, each of them a dict from the text above a tensor to the tensor, of one to three
            dimensions: (sheet, row, column), the sheets side by side, each a little higher, or (row, column),
            or (column,).
    """
    columns = max(map(len, rows))
    sheets_of = [{name: _as_sheets(tensor) for name, tensor in row.items()} for row in rows]
    heights = [2 + max(sheets.shape[1] + SHEET_GAP * (len(sheets) - 1) for sheets in row.values()) for row in sheets_of]
    figure = Figure(figsize=(3.2 * columns, 0.42 * sum(heights)), dpi=150, layout="constrained")
    figure.suptitle(title)
    layout = dict(sharex=True, sharey="row", gridspec_kw=dict(height_ratios=heights), subplot_kw=dict(aspect="equal"))
    for axes_row, row, shown in zip(figure.subplots(len(rows), columns, squeeze=False, **layout), rows, sheets_of):
        for axes in axes_row:
            axes.set_axis_off()
        for axes, (name, tensor) in zip(axes_row, row.items()):
            axes.set_title(f"{name}\n{tuple(tensor.shape)}", fontsize=10, loc="left")
            for (sheet, i, j), value in np.ndenumerate(shown[name]):
                left = j + sheet * (shown[name].shape[2] + SHEET_GAP)
                bottom = sheet * SHEET_GAP - i
                colour = "lightblue" if value < 6 else "moccasin"
                axes.add_patch(Rectangle((left, bottom), 1, 1, facecolor=colour, edgecolor="black"))
                axes.text(left + 0.5, bottom + 0.5, value, ha="center", va="center", size=9)
            axes.autoscale_view()
    figure.savefig(path)


def _as_sheets(tensor):
    return tensor.cpu().reshape((1,) * (3 - tensor.dim()) + tensor.shape).numpy()


def draw_layers(path, title, tensors, array):
    """Draws figure 1.19 from live values: tensors above, the storage they share, and the memory it points to.

    Args:
        path: the picture to write.
        title: what stands above all.
        tensors: name -> tensor on the CPU; all are views of one storage of float32.
        array: the name and the NumPy array that points to the same memory.
    """
    first = next(iter(tensors.values()))
    storage = first.untyped_storage()
    address = storage.data_ptr()
    values = first.new_empty(0).set_(storage).tolist()
    figure = Figure(figsize=(11, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot(title=title, xlim=(0, 11), ylim=(0, 5))
    axes.set_axis_off()
    text = dict(ha="center", va="center", size=9, linespacing=1.5)
    storage_box = axes.text(
        3.2,
        2.4,
        f"storage: {storage.nbytes()} bytes at {address:#x}\n(StorageImpl, once THStorage)",
        bbox=BOX | dict(facecolor="moccasin"),
        **text,
    )
    top = []
    for column, (name, tensor) in enumerate(tensors.items()):
        place = (1.3 + 2.7 * column, 4.2)
        label = f"{name}: size {tuple(tensor.shape)}\nstride {tensor.stride()}, offset {tensor.storage_offset()}"
        top.append(axes.text(*place, label + "\n(TensorImpl)", bbox=BOX | dict(facecolor="lightblue"), **text))
    name, array = array
    label = f"{name}: shape {array.shape}\nstrides {array.strides} bytes\n(numpy.ndarray)"
    array_box = axes.text(9.6, 4.2, label, bbox=BOX | dict(facecolor="lightgrey"), **text)
    for number, value in enumerate(values):
        left = 2 + 2 * number
        axes.add_patch(Rectangle((left, 0.4), 2, 0.6, facecolor="whitesmoke", edgecolor="black"))
        axes.text(left + 1, 0.7, f"{value:g}", **text)
        axes.text(left + 1, 0.15, f"{address + 4 * number:#x}", **text | dict(size=8))
    axes.text(0.9, 0.7, "raw memory\n(float32)", **text)

    # The boxes that end the arrows have no size before they are drawn once.
    figure.draw_without_rendering()
    arrows = [(box, storage_box, storage_box.get_position()) for box in top]
    arrows += [(storage_box, None, (2.8, 1)), (array_box, None, (3.4, 1))]
    for start, end, point in arrows:
        style = dict(arrowstyle="->", patchA=start.get_bbox_patch(), patchB=end and end.get_bbox_patch())
        axes.annotate("", point, start.get_position(), arrowprops=style, zorder=1)
    figure.savefig(path)
