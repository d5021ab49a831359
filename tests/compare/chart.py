"""Charts as SVG, in plain Python: each is a few kilobytes, and read in a light page as in a dark one.

The colours follow the reader's theme. The background is the chart's own, since a page may follow another: GitHub's theme
need not be the browser's.
"""

import math
from html import escape

WIDTH = 760
LEFT, RIGHT, TOP, BOTTOM = 56, 212, 46, 46
LINE = 17

# For a light background and for a dark one. The first is ours, in whatever form: names that begin with it.
OURS = "exosend"
COLOURS = [
    ("#0550ae", "#58a6ff"), ("#9a6700", "#d29922"), ("#1a7f37", "#3fb950"), ("#8250df", "#bc8cff"),
    ("#cf222e", "#ff7b72"), ("#57606a", "#9aa4af"), ("#bf3989", "#f778ba"), ("#1b7c83", "#39c5cf"),
]


def style():
    themes = []
    for theme, (paper, ink, rule) in enumerate([("#ffffff", "#1f2328", "#d8dee4"), ("#0d1117", "#e6edf3", "#30363d")]):
        rules = [f".paper{{fill:{paper}}}", f"text{{fill:{ink}}}", f".rule{{stroke:{rule}}}"]
        for number, colours in enumerate(COLOURS):
            rules.append(f".l{number}{{stroke:{colours[theme]}}}.f{number}{{fill:{colours[theme]}}}")
        themes.append("".join(rules))
    shared = (
        "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}.title{font-weight:600;font-size:15px}"
        ".ours{font-weight:600}path{fill:none;stroke-width:1.6}.main{stroke-width:3}.variant{stroke-dasharray:6 4;stroke-width:2}"
        "path.thin{stroke-width:1}"
    )
    return f"<style>{shared}{themes[0]}@media(prefers-color-scheme:dark){{{themes[1]}}}</style>"


def text(x, y, words, anchor="start", kind=""):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def write(path, title, height, parts):
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>{escape(title)}</title>{style()}"
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>{text(16, 26, title, kind="title")}'
    )
    path.write_text("\n".join([head, *parts, "</svg>", ""]))


def scale(least, most, begin, end, logarithmic):
    def place(value):
        share = (value - least) / (most - least)
        if logarithmic:
            share = math.log(value / least) / math.log(most / least)
        return begin + share * (end - begin)

    return place


def lines(path, title, x_label, y_label, x_ticks, y_ticks, series, logarithmic=False):
    """`series` is a dict of name to points, `*_ticks` one of value to label: the first and the last are the ends."""
    height = 400
    bottom, right = height - BOTTOM, WIDTH - RIGHT
    across = scale(min(x_ticks), max(x_ticks), LEFT, right, logarithmic)
    up = scale(min(y_ticks), max(y_ticks), bottom, TOP + 28, logarithmic)
    parts = [text(16, TOP + 4, y_label), text(right, height - 10, x_label, "end")]
    for value, label in y_ticks.items():
        parts.append(f'<path class="rule thin" d="M{LEFT} {up(value):.1f}H{right}"/>')
        parts.append(text(LEFT - 8, up(value) + 4, label, "end"))
    for value, label in x_ticks.items():
        parts.append(text(across(value), bottom + LINE + 3, label, "middle"))
    # Names stand at the ends of their lines, moved apart where these are near each other, the last of them first.
    ends = sorted((up(points[-1][1]), name) for name, points in series.items())
    others = [name for name in series if not name.startswith(OURS)]
    places, floor = [], bottom
    for end, _ in reversed(ends):
        floor = min(end, floor - LINE if places else floor)
        places.append(floor)
    for (end, name), place in zip(reversed(ends), places):
        number = others.index(name) + 1 if name in others else 0
        kind = "" if number else "main" if name == OURS else "variant"
        drawn = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in series[name])
        parts.append(f'<path class="l{number} {kind}" d="M{drawn}"/>')
        parts.append(f'<path class="l{number} thin" d="M{right + 2} {end:.1f}L{right + 16} {place:.1f}"/>')
        parts.append(text(right + 20, place + 4, name, kind="ours" if number == 0 else ""))
    write(path, title, height, parts)


def bars(path, title, unit, rows):
    """`rows` is a dict of name to value."""
    left, right, step = 230, WIDTH - 90, 30
    height = TOP + 6 + step * len(rows) + 8
    along = scale(0, max(rows.values()), left, right, False)
    parts = []
    for number, (name, value) in enumerate(rows.items()):
        y = TOP + 6 + step * number
        colour, kind = (0, "ours") if name.startswith(OURS) else (5, "")
        parts.append(text(left - 10, y + 15, name, "end", kind))
        parts.append(f'<rect class="f{colour}" x="{left}" y="{y}" width="{along(value) - left:.1f}" height="20"/>')
        parts.append(text(along(value) + 8, y + 15, f"{value:,.1f} {unit}", kind=kind))
    write(path, title, height, parts)
