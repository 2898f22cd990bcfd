"""Pillow's resize in the order of any Pillow. Each pass is rounded to 8 bits, so the order shows.

Orders are named by the version that brought them, as the option `pillow` names them.
"""
import PIL

ORDERS = ["13", "12.2", "9.4"]
NATIVE = next(order for order in ORDERS
              if [*map(int, order.split("."))] <= [*map(int, PIL.__version__.split(".")[:2])])


def down_first(order, size, new):
    """Whether a picture of `size` becomes one of `new` by the pass down, then the one across."""
    less_width, less_height = size[0] - new[0], size[1] - new[1]
    if order == "9.4" or less_height <= 0:
        return False
    return size[1] > 100 * size[0] if order == "12.2" else less_height > 2 * less_width


def resize(image, new, resample, order="13"):
    """The installed Pillow's own resize where it has this order, else its two passes one by one."""
    if order == NATIVE:
        return image.resize(new, resample)
    between = (image.width, new[1]) if down_first(order, image.size, new) else (new[0], image.height)
    return image.resize(between, resample).resize(new, resample)
