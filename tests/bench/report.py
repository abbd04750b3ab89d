"""From samples to medians, and to a table in Markdown."""

import statistics

NOT_PEERS = ("direct",)


def spread(values):
    """Half the distance between the quartiles (between the extremes of less than four), as a part
    of the median."""
    middle = statistics.median(values)
    if len(values) < 2 or not middle:
        return 0.0
    low, _, high = statistics.quantiles(values) if len(values) >= 4 else (
        min(values), middle, max(values))
    return (high - low) / 2 / middle


def judge(figure, ours, ratio):
    """None where there is no target or nothing to compare with, else whether it is reached."""
    verdicts = []
    if figure.ratio is not None and ratio is not None:
        verdicts.append(ratio >= figure.ratio if figure.higher_is_better else ratio <= figure.ratio)
    if figure.value is not None:
        verdicts.append(ours <= figure.value)
    return all(verdicts) if verdicts else None


def summarise_figure(figure, samples, ours):
    """samples: {relay: [sample, ...]}."""
    values = {relay: [sample[figure.key] for sample in list_ if figure.key in sample]
              for relay, list_ in samples.items()}
    values = {relay: list_ for relay, list_ in values.items() if list_}
    medians = {relay: statistics.median(list_) for relay, list_ in values.items()}
    summary = {"median": medians, "spread": {relay: spread(list_)
                                             for relay, list_ in values.items()}}
    if not medians.get(ours):
        return summary
    peers = [value for relay, value in medians.items() if relay not in (ours, *NOT_PEERS) and value]
    ratio = None
    if peers:
        ratio = medians[ours] / (max(peers) if figure.higher_is_better else min(peers))
        summary["ours_to_best"] = ratio
    if medians.get("direct"):
        summary["ours_to_direct"] = medians[ours] / medians["direct"]
    summary["reached"] = judge(figure, medians[ours], ratio)
    return summary


def summarise(samples, ours, experiments):
    """{experiment: {figure: summary}}"""
    return {experiment.name: {figure.key: summarise_figure(figure, samples[experiment.name], ours)
                              for figure in experiment.figures}
            for experiment in experiments}


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cell(summary, relay):
    value = summary["median"].get(relay)
    if not value:
        return ""
    return f"{number(value)} ±{summary['spread'][relay] * 100:.0f}%"


def target(figure, reached):
    sign = "≥" if figure.higher_is_better else "≤"
    wanted = ([f"{sign} {figure.ratio}"] if figure.ratio is not None else []) + (
        [f"≤ {number(figure.value)} {figure.unit}".rstrip()] if figure.value is not None else [])
    mark = {None: "", True: " yes", False: " **no**"}[reached]
    return ", ".join(wanted) + (mark if wanted else "")


def row(experiment, figure, summary, compared):
    cells = [f"{experiment.title}: {figure.title}" + (f", {figure.unit}" if figure.unit else "")]
    cells += [cell(summary, relay) for relay in compared]
    cells += [number(summary.get("ours_to_best")), number(summary.get("ours_to_direct")),
              target(figure, summary.get("reached"))]
    return "| " + " | ".join(cells) + " |"


def table(result, compared, experiments):
    ours = compared[0]
    machine = result["machine"]
    lines = [f"{result['date']}; kernel {machine['kernel']}; {machine['processors']}; "
             f"{machine['network']}; load {machine['load_before']:.1f} before, "
             f"{machine['load_after']:.1f} after", ""]
    lines += [f"- {relay}: {version}" for relay, version in result["versions"].items()]
    head = ["", *compared, f"{ours} / best peer", f"{ours} / direct", "target"]
    lines += ["", "| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(compared) + 2) + "---|"]
    for experiment in experiments:
        for figure in experiment.figures:
            lines.append(row(experiment, figure, result["summary"][experiment.name][figure.key],
                             compared))
    lines += [""] * bool(result["failures"]) + [f"FAILED: {text}" for text in result["failures"]]
    return "\n".join(lines)
