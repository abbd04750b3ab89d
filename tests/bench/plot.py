"""The picture for the README: one block of bars per figure, as SVG written by hand."""

from xml.sax.saxutils import escape

import report

WIDTH, NAME, LABEL, BAR, GAP = 760, 90, 110, 15, 34
COLOURS = ("#1a7f5a", "#9aa5b1")  # ours, the others
STYLE = ("text { font: 12px sans-serif; fill: #222 } .head { font-weight: bold } "
         "@media (prefers-color-scheme: dark) { text { fill: #ddd } }")


def text(x, y, words, kind=""):
    mark = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{mark}>{escape(words)}</text>'


def bar(y, relay, value, most, figure, ours):
    length = max(1, (WIDTH - NAME - LABEL) * value / most)
    return [text(0, y + 11, relay),
            f'<rect x="{NAME}" y="{y}" width="{length:.1f}" height="{BAR - 3}" '
            f'fill="{COLOURS[relay != ours]}"/>',
            text(NAME + length + 5, y + 11, f"{report.number(value)} {figure.unit}")]


def block(y, experiment, figure, medians, ours):
    """The bars of one figure from y on, and where they end. `direct` is left out: it is the limit
    and no relay, and would make all other bars short."""
    relays = {relay: value for relay, value in medians.items() if relay != "direct" and value}
    wish = "more is better" if figure.higher_is_better else "less is better"
    lines = [text(0, y, f"{experiment.title}: {figure.title} ({wish})", "head")]
    y += 7
    for relay, value in relays.items():
        lines += bar(y, relay, value, max(relays.values()), figure, ours)
        y += BAR
    return lines, y + GAP - BAR


def picture(result, compared, experiments):
    """Of all figures that have a target."""
    lines, y = [], 18
    for experiment in experiments:
        for figure in experiment.figures:
            medians = result["summary"][experiment.name][figure.key]["median"]
            if (figure.ratio is None and figure.value is None) or not medians:
                continue
            added, y = block(y, experiment, figure, medians, compared[0])
            lines += added
    machine = result["machine"]
    lines.append(text(0, y, f"{result['date'][:10]}, kernel {machine['kernel']}, "
                            f"{machine['processors']}, medians"))
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
                      f'height="{y + 12:.0f}" viewBox="0 0 {WIDTH} {y + 12:.0f}">',
                      f"<style>{STYLE}</style>", *lines, "</svg>"]) + "\n"
