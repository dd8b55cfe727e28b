"""Reading measured tables, fitting constants to half of one, and reporting errors on the rest."""
import csv

import numpy as np


def read_table(path):
    """A CSV file as {column: array}, numbers as float64."""
    with open(path, newline="") as handle:
        rows = list(csv.DictReader(handle))
    table = {}
    for name in rows[0]:
        column = [row[name] for row in rows]
        try:
            table[name] = np.array([float(value) for value in column])
        except ValueError:
            table[name] = np.array(column)
    return table


def select(table, mask):
    return {name: column[mask] for name, column in table.items()}


def half_of_groups(*keys, seed=11):
    """True for the rows of a random half of the groups (rows equal in all keys)."""
    groups, index = np.unique(np.stack(keys), axis=1, return_inverse=True)
    order = np.random.default_rng(seed).permutation(groups.shape[1])
    return (order < groups.shape[1] // 2)[index.reshape(-1)]


def alternate_rows(count):
    return np.arange(count) % 2 == 0


def nelder_mead(loss, start, step, iterations):
    simplex = [np.array(start, float)]
    for axis in range(len(start)):
        point = simplex[0].copy()
        point[axis] += step
        simplex.append(point)
    values = [loss(point) for point in simplex]
    for _ in range(iterations):
        order = np.argsort(values, kind="stable")
        simplex, values = [simplex[i] for i in order], [values[i] for i in order]
        if values[-1] - values[0] < 1e-5:
            break
        centre = np.mean(simplex[:-1], axis=0)
        candidate = 2 * centre - simplex[-1]
        value = loss(candidate)
        if value < values[0]:
            further = 3 * centre - 2 * simplex[-1]
            further_value = loss(further)
            if further_value < value:
                candidate, value = further, further_value
        elif value >= values[-2]:
            candidate = 0.5 * (centre + simplex[-1])
            value = loss(candidate)
        if value < values[-1]:
            simplex[-1], values[-1] = candidate, value
            continue
        for i in range(1, len(simplex)):
            simplex[i] = 0.5 * (simplex[0] + simplex[i])
            values[i] = loss(simplex[i])
    best = int(np.argmin(values))
    return simplex[best], values[best]


def fit(predict, start, data, seconds, rows=6000):
    """Constants > 0 that minimise mean |log ratio| + 0.15 of its 90th percentile.

    The mean is over decades of time rather than rows: most rows are empty calls of a few
    microseconds, while the long calls are those that a serving step is made of.
    """
    names = list(start)
    if len(seconds) > rows:
        chosen = np.random.default_rng(0).choice(len(seconds), rows, replace=False)
        data, seconds = select(data, chosen), seconds[chosen]
    measured = np.log(seconds)
    _, bin_of, size = np.unique(np.floor(3 * np.log10(seconds)), return_inverse=True,
                                return_counts=True)
    weight = np.minimum(1.0 / size, 10.0 / len(seconds))[bin_of]

    def unpack(point):
        return {name: float(np.exp(value)) for name, value in zip(names, point)}

    def loss(point):
        constants = unpack(point)
        excess = sum(max(0.0, v - 1.0) for n, v in constants.items() if n.startswith("eta"))
        residual = np.abs(np.log(predict(constants, data)) - measured)
        tail = np.quantile(residual, 0.9)
        return np.average(residual, weights=weight) + 0.15 * tail + 10 * excess

    point = np.log([start[name] for name in names])
    for step in (0.25, 0.1, 0.05):
        point, _ = nelder_mead(loss, point, step, 500)
    return unpack(point)


def errors(predicted, seconds):
    e = predicted / seconds - 1
    return dict(rows=len(e), median=100 * np.median(abs(e)), p90=100 * np.quantile(abs(e), 0.9),
                bias=100 * np.median(e))


class Report:
    """Prints as it goes and keeps everything for --json."""

    def __init__(self):
        self.constants, self.rows = {}, []

    def error(self, table, what, predicted, seconds):
        e = errors(predicted, seconds)
        self.rows.append(dict(table=table, what=what, **e))
        print(f"  {what:<46}{e['rows']:>7} rows  median {e['median']:5.1f} %  "
              f"p90 {e['p90']:5.1f} %  bias {e['bias']:+6.1f} %")

    def keep(self, table, constants, others=()):
        self.constants[table] = constants
        for name, value in constants.items():
            scale, unit = (1e6, " us") if name.startswith("t_") else (1.0, "")
            if name in ("t_row", "t_element"):
                scale, unit = (1e9, " ns") if name == "t_row" else (1e12, " ps")
            if name == "l2_bytes":
                scale, unit = 1e-6, " MB"
            seen = [value] + [other[name] for other in others]
            print(f"    {name:<12}{value * scale:9.4g}{unit:<4}"
                  f"({min(seen) * scale:.4g} .. {max(seen) * scale:.4g})")


def calibrate(report, table, predict, start, data, seconds, divisions, usable=None):
    """Fits the first division's half, predicts its other half, then repeats with the others."""
    usable = np.ones(len(seconds), bool) if usable is None else usable
    print(f"\n{table}")
    fitted, others = None, []
    for rule, half in divisions.items():
        for side in (half, ~half):
            constants = fit(predict, start, select(data, side & usable), seconds[side & usable])
            if fitted is None:
                fitted = constants
            else:
                others.append(constants)
            if side is half:
                predicted = predict(constants, data)
                report.error(table, f"fit, {rule}", predicted[half & usable],
                             seconds[half & usable])
                report.error(table, f"predicted, {rule}", predicted[~half], seconds[~half])
                if not usable.all() and fitted is constants:
                    below, at = ~half & usable, ~half & ~usable
                    report.error(table, "  of these below the power limit", predicted[below],
                                 seconds[below])
                    report.error(table, "  of these at the power limit", predicted[at],
                                 seconds[at])
    report.keep(table, fitted, others)
    return fitted
