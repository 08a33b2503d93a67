"""Golden models of the methods that make one model, written out from their papers with numpy.

    python generate_methods.py FOLDER

writes FOLDER/methods.safetensors (inputs, statistics, merged models) and FOLDER/methods.jsonl (a line for the tensors,
then one for each case with the methods that were run on it). Nothing here is shared with the program: thresholds come
from sorting, DARE's bits from a Threefry of its own, RegMean from exact fractions. Inputs and models are stored as the
bits that a checkpoint would hold; the models of `fisher` and `regmean` as F64.
    <case>/base/<tensor>   <case>/<t>/<tensor>   <case>/<fisher|gram|gram_in>/<t>/<tensor>   <case>/merged/<number>/<tensor>
"""

import hashlib
import json
import math
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parent))
from generate import f32, noise, to_bits, to_f32  # noqa: E402

SHAPES = {"embed": (19, 11), "bias": (13,), "scale": (), "none": (0, 4), "conv": (3, 5, 5), "kernel": (5, 12), "square": (6, 6)}

# ---- changes of task vectors ------------------------------------------------------------------------------------

ROTATIONS = [(10, 26), (11, 21), (13, 27), (23, 5), (6, 20), (17, 11), (25, 10), (18, 20)]


def threefry(key, blocks):
    """Threefry-4x32-20 of Salmon et al. on the counters (b, 0, 0, 0); uint32 of shape (blocks, 4)."""
    u32 = np.uint32
    schedule = [*(u32(k) for k in key), u32(0x1BD11BDA ^ key[0] ^ key[1] ^ key[2] ^ key[3])]
    x = [np.arange(blocks, dtype=u32), *(np.zeros(blocks, u32) for _ in range(3))]
    x = [word + part for word, part in zip(x, schedule)]
    for i in range(20):
        left, right = ROTATIONS[i % 8]
        pairs = [(0, 1, left), (2, 3, right)] if i % 2 == 0 else [(0, 3, left), (2, 1, right)]
        for a, b, by in pairs:
            x[a] = x[a] + x[b]
            x[b] = ((x[b] << u32(by)) | (x[b] >> u32(32 - by))) ^ x[a]
        if i % 4 == 3:
            s = i // 4 + 1
            x = [word + schedule[(s + j) % 5] for j, word in enumerate(x)]
            x[3] = x[3] + u32(s)
    return np.stack(x, axis=1)


assert [hex(w) for w in threefry((0, 0, 0, 0), 1)[0]] == ["0x9c6ca96a", "0xe17eae66", "0xfc10ecd4", "0x5256a7d8"]


def kept(seed, task, tensor, n, keep):
    digest = hashlib.sha256(json.dumps([seed, task, tensor], separators=(",", ":")).encode()).digest()
    key = [int.from_bytes(digest[i : i + 4], "little") for i in (0, 4, 8, 12)]
    return threefry(key, -(-n // 4)).reshape(-1)[:n].astype(np.float64) < keep * 2.0**32


def dare(taus, drop_rate=0.9, rescale="inverse", seed=0):
    keep = 1 - drop_rate
    changed = {}
    for name, tau in taus.items():
        rows = []
        for t, row in enumerate(tau):
            left = np.where(kept(seed, f"t{t + 1}", name, row.size, keep), row, f32(0))
            if rescale == "inverse":
                left = left / f32(keep)
            if rescale == "l1":
                before, after = (math.fsum(np.abs(x).astype(np.float64)) for x in (row, left))
                left = left * (f32(1) if min(before, after) < 1e-7 else f32(before / after))
            rows.append(left)
        changed[name] = np.stack(rows)
    return changed


def trim(row, rank):
    """Zeros what is smaller than the rank-th smallest magnitude (from 1; 0 keeps all, n + 1 nothing)."""
    if rank == 0:
        return row
    threshold = np.inf if rank > row.size else np.sort(np.abs(row))[rank - 1]
    return np.where(np.abs(row) >= threshold, row, f32(0))


def trim_official(taus, density):
    """One ranking over the flattened model for each task: the authors' topk_values_mask."""
    d = sum(tau.shape[1] for tau in taus.values())
    rank = 0 if density >= 1 else d - int(density * d)
    tasks = next(iter(taus.values())).shape[0]
    flat = [trim(np.concatenate([tau[t] for tau in taus.values()]), rank) for t in range(tasks)]
    bounds = np.cumsum([tau.shape[1] for tau in taus.values()])[:-1]
    parts = [np.split(row, bounds) for row in flat]
    return {name: np.stack([part[k] for part in parts]) for k, name in enumerate(taus)}


def trim_tensors(taus, density):
    def rank(n):
        return 0 if density >= 1 else n - int(density * n) + 1

    return {name: np.stack([trim(row, rank(row.size)) for row in tau]) for name, tau in taus.items()}


# ---- merges -----------------------------------------------------------------------------------------------------


def in_order(rows):
    """Sum over tasks, one after the other, in f32."""
    return np.add.accumulate(rows, axis=0, dtype=f32)[-1]


def majority(taus):
    signs = np.concatenate([np.sign(in_order(tau)) for tau in taus.values()])
    return 1 if signs.sum() > 0 else -1


def select(votes, zero):
    """Which task agrees with the elected sign of each element."""
    sign = np.sign(in_order(votes))
    sign[sign == 0] = zero
    return np.sign(votes) == sign


def column(weights):
    return np.array(weights, dtype=f32)[:, None]


def ties(base, taus, dialect="official", density=0.2, **given):
    tasks = next(iter(taus.values())).shape[0]
    scale = f32(given.get("lambda", 0.3 if dialect == "vision" else 1))
    weights = column([given.get("weights", {}).get(f"t{t + 1}", 1) for t in range(tasks)])
    merged = {}
    if dialect in ("official", "vision"):
        taus = trim_official(taus, density)
        zero = majority(taus)
    else:
        taus = trim_tensors(taus, density)
    for name, tau in taus.items():
        if dialect == "mergekit":
            tau = tau * weights
            agree = select(tau, 1)
            total = in_order(np.where(agree, tau, f32(0)))
            divisor = in_order(np.where(agree, weights, f32(0)))
            divisor[divisor == 0] = 1
        else:
            agree = select(tau, 1 if dialect == "peft" else zero)
            total = in_order(np.where(agree, tau * weights if dialect == "peft" else tau, f32(0)))
            divisor = np.maximum(agree.sum(axis=0), 1).astype(f32)
        merged[name] = base[name] + scale * (total if dialect == "vision" else total / divisor)
    return merged


def task_arithmetic(base, taus, **given):
    return {name: base[name] + in_order(tau * f32(given.get("lambda", 0.3))) for name, tau in taus.items()}


def average(base, taus):
    return {name: in_order(base[name] + tau) / f32(len(tau)) for name, tau in taus.items()}


def coefficient(given, tensor):
    if not isinstance(given, dict):
        return given
    if tensor in given:
        return given[tensor]
    return next(value for pattern, value in given.items() if pattern == "*")


def adamerging(base, taus, coefficients, trimmed=None):
    zero = 1
    if trimmed:
        taus = trim_official(taus, trimmed["density"])
        zero = majority(taus)
    merged = {}
    for name, tau in taus.items():
        own = column([coefficient(coefficients[f"t{t + 1}"], name) for t in range(len(tau))])
        terms = np.where(select(tau, zero), tau * own, f32(0)) if trimmed else tau * own
        merged[name] = base[name] + in_order(terms)
    return merged


def fisher(models, diagonals, floor=1e-6, normalise=True, **given):
    """models, diagonals: a dict over tensors for each task; in f64."""
    norms = [math.sqrt(math.fsum(x * x for F in own.values() for x in F.astype(np.float64))) for own in diagonals]
    shares = [given.get("weights", {}).get(f"t{t + 1}", 1) / (n if normalise else 1) for t, n in enumerate(norms)]
    merged = {}
    for name in models[0]:
        parts = [c * np.maximum(own[name].astype(np.float64), floor) for c, own in zip(shares, diagonals)]
        total = sum(p * w[name].astype(np.float64) for p, w in zip(parts, models))
        merged[name] = total / sum(parts)
    return merged


def solve(matrix, sides):
    """Gauss and Jordan in fractions: exact."""
    rows = [list(a) + list(b) for a, b in zip(matrix, sides)]
    d = len(matrix)
    for j in range(d):
        pivot = next(i for i in range(j, d) if rows[i][j] != 0)
        rows[j], rows[pivot] = rows[pivot], rows[j]
        lead = rows[j][j]
        rows[j] = [x / lead for x in rows[j]]
        for i in range(d):
            if i != j and rows[i][j] != 0:
                factor = rows[i][j]
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[j])]
    return [row[d:] for row in rows]


def exact(array):
    return [[Fraction(float(x)) for x in row] for row in array]


def regmean(weights, grams, reduce=0.9, square="out_in"):
    """A linear layer with Gram matrices by least squares, anything else by its mean; exact, then rounded to f64."""
    merged = {}
    for name in weights[0]:
        if name not in grams[0]:
            merged[name] = (in_order(np.stack([w[name] for w in weights])) / f32(len(weights))).astype(np.float64)
            continue
        d = grams[0][name].shape[0]
        rows, columns = SHAPES[name]
        out_in = square == "out_in" if rows == columns else columns == d
        total = [[Fraction(0)] * d for _ in range(d)]
        sides = None
        for own, gram in zip(weights, grams):
            g = exact(gram[name])
            g = [[x if i == j else x * Fraction(reduce) for j, x in enumerate(row)] for i, row in enumerate(g)]
            w = own[name].reshape(rows, columns)
            w = exact(w.T if out_in else w)
            product = [[sum(g[i][k] * w[k][o] for k in range(d)) for o in range(len(w[0]))] for i in range(d)]
            total = [[a + b for a, b in zip(x, y)] for x, y in zip(total, g)]
            sides = product if sides is None else [[a + b for a, b in zip(x, y)] for x, y in zip(sides, product)]
        solved = np.array([[float(x) for x in row] for row in solve(total, sides)])
        merged[name] = (solved.T if out_in else solved).reshape(-1)
    return merged


# ---- cases ------------------------------------------------------------------------------------------------------


def near(rng, tasks):
    base = {name: noise(rng, shape) for name, shape in SHAPES.items()}
    return [base] + [{name: w + noise(rng, w.shape) * 0.02 for name, w in base.items()} for _ in range(tasks)]


def grid(rng, tasks):
    """Few values: magnitudes are often equal, task vectors often zero or cancel out."""
    return [{name: rng.integers(-3, 4, size=shape) / 4.0 for name, shape in SHAPES.items()} for _ in range(tasks + 1)]


def mirrored(rng, tasks):
    steps = grid(rng, tasks // 2)[1:]
    base = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    return [base, *steps, *({name: -x for name, x in step.items()} for step in steps)]


TIES = [
    {"type": "ties"},
    {"type": "ties", "density": 0.5, "lambda": 0.7},
    {"type": "ties", "density": 1},
    {"type": "ties", "dialect": "vision"},
    {"type": "ties", "dialect": "vision", "density": 0.7, "lambda": 0.4},
    {"type": "ties", "dialect": "mergekit", "density": 0.4, "lambda": 0.9, "weights": {"t1": 0.3}},
    {"type": "ties", "dialect": "mergekit", "density": 1},
    {"type": "ties", "dialect": "peft", "density": 0.3, "weights": {"t1": 0.7}},
    {"type": "ties", "dialect": "peft", "density": 0},
]
DARE = [
    {"type": "dare"},
    {"type": "dare", "drop_rate": 0.5, "seed": 7, "rescale": "l1", "inner": {"type": "task_arithmetic", "lambda": 1}},
    {"type": "dare", "drop_rate": 0.3, "rescale": "none", "inner": {"type": "average"}},
    {"type": "dare", "drop_rate": 0.5, "inner": {"type": "ties", "density": 0.3}},
    {"type": "dare", "drop_rate": 0.4, "rescale": "l1", "inner": {"type": "ties", "dialect": "mergekit", "density": 0.5}},
    {"type": "dare", "drop_rate": 0, "inner": {"type": "ties", "dialect": "peft"}},
]
ADAMERGING = [
    {"type": "adamerging", "coefficients": {"t1": 0.3, "t2": 0.7}},
    {"type": "adamerging", "coefficients": {"t1": {"*": 0.2, "bias": 0.9}, "t2": 0.5}},
    {"type": "adamerging", "coefficients": {"t1": {"*": 0.2, "conv": 0.9}, "t2": 0.5}, "trimmed": {"density": 0.4}},
]
LEARNED = [
    {"type": "fisher", "statistics": "fisher"},
    {"type": "fisher", "statistics": "fisher", "normalise": False, "floor": 0.01, "weights": {"t1": 1, "t2": 3, "t3": 0.5}},
    {"type": "regmean", "statistics": "gram"},
    {"type": "regmean", "statistics": "gram", "reduce": 0.1, "square": "in_out"},
    {"type": "regmean", "statistics": "gram_in", "reduce": 1},
    {"type": "dare", "drop_rate": 0.5, "inner": {"type": "regmean", "statistics": "gram"}},
]

CASES = {
    # name: (inputs, tasks, dtypes of base and tasks in turn, methods)
    "one": (near, 1, ["F32"], TIES + DARE),
    "two": (near, 2, ["F32"], TIES + DARE + ADAMERGING),
    "eight-bf16": (near, 8, ["BF16"], TIES + DARE),
    "three-f16": (near, 3, ["F16"], TIES + DARE),
    "mixed": (near, 4, ["F32", "BF16", "F16", "F64"], TIES + DARE),
    "grid": (grid, 4, ["F32"], TIES + DARE),
    "grid-two": (grid, 2, ["BF16"], TIES + ADAMERGING),
    "mirrored": (mirrored, 4, ["F32"], TIES),
    "learned": (near, 3, ["F32"], LEARNED),
}


def gram(rng, d):
    """XᵀX of whole numbers, exact in f32, of full rank."""
    x = rng.integers(-3, 4, size=(3 * d, d))
    return (x.T @ x + 1).astype(f32)


def statistics(rng, tasks):
    grams = {"gram": {"embed": 11, "kernel": 5, "square": 6}, "gram_in": {"embed": 19, "kernel": 12}}
    kinds = {kind: [{name: gram(rng, d) for name, d in sizes.items()} for _ in range(tasks)] for kind, sizes in grams.items()}
    kinds["fisher"] = [
        {name: (noise(rng, shape) ** 2 * 1e-3 * 10**t).astype(f32) for name, shape in SHAPES.items()} for t in range(tasks)
    ]
    return kinds


def run(method, base, weights, taus, known):
    params = {name: value for name, value in method.items() if name not in ("type", "inner", "statistics")}
    match method["type"]:
        case "ties":
            return ties(base, taus, **params)
        case "task_arithmetic":
            return task_arithmetic(base, taus, **params)
        case "average":
            return average(base, taus)
        case "adamerging":
            return adamerging(base, taus, **params)
        case "dare":
            changed = dare(taus, **params)
            tuned = [{name: base[name] + tau[t] for name, tau in changed.items()} for t in range(len(weights))]
            return run(method.get("inner", {"type": "task_arithmetic"}), base, tuned, changed, known)
        case "fisher":
            flat = [{name: x.reshape(-1) for name, x in own.items()} for own in known[method["statistics"]]]
            return fisher(weights, flat, **params)
        case "regmean":
            return regmean(weights, known[method["statistics"]], **params)


def learned(method):
    return method["type"] in ("fisher", "regmean") or ("inner" in method and learned(method["inner"]))


def main(folder):
    tensors, lines = {}, [{"tensors": {name: list(shape) for name, shape in SHAPES.items()}}]
    for number, (case, (inputs, tasks, dtypes, methods)) in enumerate(CASES.items()):
        rng = np.random.Generator(np.random.PCG64(20260101 + number))
        kinds = [dtypes[i % len(dtypes)] for i in range(tasks + 1)]
        bits = [{name: to_bits(np.asarray(w), kind) for name, w in model.items()} for model, kind in zip(inputs(rng, tasks), kinds)]
        for label, model in zip(["base", *range(1, tasks + 1)], bits):
            tensors.update({f"{case}/{label}/{name}": w for name, w in model.items()})
        known = statistics(rng, tasks) if methods is LEARNED else {}
        for kind, models in known.items():
            for t, model in enumerate(models):
                tensors.update({f"{case}/{kind}/{t + 1}/{name}": x for name, x in model.items()})
        values = [{name: to_f32(w, kind).reshape(-1) for name, w in model.items()} for model, kind in zip(bits, kinds)]
        base, weights = values[0], values[1:]
        taus = {name: np.stack([w[name] - base[name] for w in weights]) for name in SHAPES}
        for at, method in enumerate(methods):
            for name, merged in run(method, base, weights, taus, known).items():
                wide = merged.astype(np.float64)
                tensors[f"{case}/merged/{at}/{name}"] = wide if learned(method) else to_bits(wide, kinds[0])
        lines.append({"case": case, "dtypes": kinds, "methods": methods, "statistics": list(known)})
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(x) for name, x in tensors.items()}, folder / "methods.safetensors")
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (folder / "methods.jsonl").write_text(text)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main(Path(sys.argv[1]))
