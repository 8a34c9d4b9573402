"""Texts of a figure that lie over one another, or beyond its edge."""

from itertools import combinations

from matplotlib.text import Text


def crowded(figure):
    """A line for each pair of texts that overlap by more than a pixel, and for each that is cut off."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes, beyond = [], _ticks_beyond(figure)
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and id(text) not in beyond:
            boxes.append((text.get_text(), text.get_window_extent(renderer).padded(-1)))
    width, height = figure.canvas.get_width_height()
    found = [f"{a!r} over {b!r}" for (a, x), (b, y) in combinations(boxes, 2) if x.overlaps(y)]
    for label, box in boxes:
        if box.x0 < -2 or box.y0 < -2 or box.x1 > width + 2 or box.y1 > height + 2:
            found.append(f"{label!r} is cut off")
    return found


def _ticks_beyond(figure):
    """Ids of the labels of ticks beyond the limits of their axis: they exist, but are not drawn."""
    beyond = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            shown = axis._update_ticks()
            for tick in (*axis.majorTicks, *axis.minorTicks):
                if tick not in shown or not axes.get_visible():
                    beyond |= {id(tick.label1), id(tick.label2)}
    return beyond
