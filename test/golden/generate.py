"""Golden vectors of an EMR merge, written out from the definitions in docs/semantics.md with numpy.

    python generate.py FOLDER

writes FOLDER/vectors.safetensors (inputs, unified vectors, masks) and FOLDER/figures.jsonl (a line for the tensors, then
one for each case: rescalers, distances, cosines). The same bytes on every machine: the random numbers are integers of a seeded PCG64, sums are math.fsum
(correctly rounded whatever the order), everything else is element by element.

Inputs are stored as the bits that a checkpoint would hold (U16 for BF16 and F16, U32 for F32, U64 for F64), so that no
reader can change them. Tensors of vectors.safetensors:
    <case>/base/<tensor>   <case>/<t>/<tensor>   <case>/<reading>/u/<tensor>   <case>/<reading>/mask/<t>/<tensor>
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

f32 = np.float32
READINGS = ("zero", "negative")

# Name -> shape: unequal sizes, a 0-dimensional and an empty tensor, mask tails of 1, 3, 5 and 7 bits.
SHAPES = {"embed": (37, 11), "bias": (13,), "scale": (), "none": (0, 4), "conv": (3, 5, 5), "head": (301,)}

# ---- dtypes -----------------------------------------------------------------------------------------------------


def to_bits(values, dtype):
    """float64 values as the bits of `dtype`, rounded to nearest even."""
    if dtype == "F64":
        return values.astype(np.float64).view(np.uint64)
    if dtype == "F16":
        return values.astype(np.float16).view(np.uint16)
    bits = values.astype(f32).view(np.uint32)
    if dtype == "F32":
        return bits
    lower, upper = bits & 0xFFFF, bits >> 16
    up = (lower > 0x8000) | ((lower == 0x8000) & (upper & 1 == 1))
    return (upper + up).astype(np.uint16)


def to_f32(bits, dtype):
    """Bits of `dtype` as f32."""
    if dtype == "F64":
        return bits.view(np.float64).astype(f32)
    if dtype == "F16":
        return bits.view(np.float16).astype(f32)
    if dtype == "F32":
        return bits.view(f32)
    return (bits.astype(np.uint32) << 16).view(f32)


# ---- the method -------------------------------------------------------------------------------------------------


def unify(tau, reading):
    """Algorithm 1 on tau of shape (N, n), f32."""
    total = np.add.accumulate(tau, axis=0, dtype=f32)[-1]  # one task after the other
    gamma = np.sign(total)
    if reading == "negative":
        gamma[total == 0] = -1
    agree = (np.sign(tau) == gamma) & (gamma != 0)
    epsilon = np.where(agree, np.abs(tau), f32(0)).max(axis=0)
    return gamma * epsilon + f32(0)  # -0 + 0 = +0


def dot(a, b):
    """Sum of products of f32 vectors: each product exact in f64, the sum correctly rounded."""
    return math.fsum(a.astype(np.float64) * b.astype(np.float64))


def ratio(a, b):
    return a / b if b else 0.0


def rescalers(tau, aligned):
    """The three definitions for one task; tau and M*u are lists over tensors."""
    filled = [(t, a) for t, a in zip(tau, aligned) if t.size]
    means = [
        math.fsum(math.fsum(np.abs(x).astype(np.float64)) / x.size for x in side) for side in zip(*filled)
    ] or [0, 0]
    t, a = np.concatenate(tau), np.concatenate(aligned)
    return {
        "global": ratio(math.fsum(np.abs(t).astype(np.float64)), math.fsum(np.abs(a).astype(np.float64))),
        "tensor_mean": ratio(*means),
        "l2": ratio(dot(t, a), dot(a, a)),
    }


def closeness(tau, other):
    """Squared distance and cosine of two lists of float64 tensors, straight from their definitions."""
    t, o = np.concatenate(tau).astype(np.float64), np.concatenate(other).astype(np.float64)
    norm = math.sqrt(math.fsum(t * t)) * math.sqrt(math.fsum(o * o))
    return {"distance": math.fsum((t - o) ** 2), "cosine": ratio(math.fsum(t * o), norm)}


def figures(tau, u, masks):
    """All figures of one task: lists over tensors, in the order of SHAPES."""
    aligned = [np.where(m, x, f32(0)) for m, x in zip(masks, u)]
    model = rescalers(tau, aligned)
    tensor = [rescalers([t], [a]) for t, a in zip(tau, aligned)]
    steps = {"unified": closeness(tau, u), "masked": closeness(tau, aligned)}
    for kind in model:
        steps[f"model/{kind}"] = closeness(tau, [model[kind] * a.astype(np.float64) for a in aligned])
        scaled = [own[kind] * a.astype(np.float64) for own, a in zip(tensor, aligned)]
        steps[f"tensor/{kind}"] = closeness(tau, scaled)
    return {
        "rescalers": {"model": model, "tensor": tensor},
        "steps": steps,
        "aligned": [int(m.sum()) for m in masks],
        "conflicts": [int((np.sign(t) * np.sign(x) < 0).sum()) for t, x in zip(tau, u)],
    }


# ---- inputs -----------------------------------------------------------------------------------------------------


def noise(rng, shape):
    """Roughly normal float64 from integers, the same in every version of numpy."""
    return rng.integers(-(2**31), 2**31, size=(4, *shape)).sum(axis=0) / 2.0**31


def near_base(rng, tasks, scale=1.0, delta=0.02):
    """Fine-tunes: a base and small steps away from it."""
    base = {name: noise(rng, shape) * scale for name, shape in SHAPES.items()}
    return [base] + [
        {name: w + noise(rng, w.shape) * scale * delta for name, w in base.items()} for _ in range(tasks)
    ]


def on_grid(rng, tasks):
    """Few values, so that task vectors are often zero, equal, or cancel out exactly."""
    return [
        {name: rng.integers(-2, 3, size=shape) / 4.0 for name, shape in SHAPES.items()} for _ in range(tasks + 1)
    ]


def cancelling(rng, tasks):
    """Each task has its mirror image: every sum is exactly zero."""
    steps = on_grid(rng, tasks // 2)[1:]
    base = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    return [base, *steps, *({name: -x for name, x in step.items()} for step in steps)]


def with_idle_task(rng, tasks):
    """Task 1 equals the base; task 2 opposes what all others want, so that its mask is empty."""
    base, *rest = near_base(rng, tasks, delta=0.5)
    grown = [{name: base[name] + np.abs(w - base[name]) + 0.25 for name, w in task.items()} for task in rest]
    grown[0] = dict(base)
    grown[1] = {name: w - 0.0625 for name, w in base.items()}
    return [base, *grown]


def magnitudes(rng, tasks):
    """A different order of magnitude per tensor: products far outside f32, and subnormal numbers."""
    scales = dict(zip(SHAPES, (1e30, 1e-30, 1e-42, 1.0, 1e18, 1e-19)))
    models = near_base(rng, tasks, delta=0.5)
    return [{name: w * scales[name] for name, w in model.items()} for model in models]


CASES = {
    # name: (inputs, tasks, dtypes of base and tasks in turn, dtype of u)
    "one-task": (near_base, 1, ["F32"], "F32"),
    "two-tasks": (near_base, 2, ["F32"], "F32"),
    "eight-tasks": (near_base, 8, ["F32"], "F32"),
    "thirty-tasks": (near_base, 30, ["BF16"], "F32"),
    "f16": (near_base, 3, ["F16"], "F32"),
    "bf16": (near_base, 3, ["BF16"], "F32"),
    "f64": (near_base, 3, ["F64"], "F32"),
    "mixed": (near_base, 4, ["BF16", "F32", "F16", "F64"], "F32"),
    "u-in-bf16": (near_base, 4, ["F32"], "BF16"),
    "u-in-f16": (near_base, 4, ["F32"], "F16"),
    "grid": (on_grid, 4, ["F32"], "F32"),
    "grid-f16": (on_grid, 5, ["F16"], "F16"),
    "cancelling": (cancelling, 4, ["F32"], "F32"),
    "idle": (with_idle_task, 4, ["F32"], "F32"),
    "magnitudes": (magnitudes, 3, ["F32"], "F32"),
}


def main(folder):
    tensors, described = {}, {}
    for number, (case, (inputs, tasks, dtypes, output)) in enumerate(CASES.items()):
        rng = np.random.Generator(np.random.PCG64(20240517 + number))
        models = inputs(rng, tasks)
        kinds = [dtypes[i % len(dtypes)] for i in range(tasks + 1)]
        bits = [
            {name: to_bits(np.asarray(w), kind) for name, w in model.items()} for model, kind in zip(models, kinds)
        ]
        for label, model in zip(["base", *range(1, tasks + 1)], bits):
            tensors.update({f"{case}/{label}/{name}": w for name, w in model.items()})
        values = [
            {name: to_f32(w, kind).reshape(-1) for name, w in model.items()} for model, kind in zip(bits, kinds)
        ]
        tau = {name: np.stack([m[name] - values[0][name] for m in values[1:]]) for name in SHAPES}
        described[case] = {"dtypes": kinds, "output": output, "figures": {}}
        for reading in READINGS:
            u, masks = {}, {}
            for name in SHAPES:
                stored = to_bits(unify(tau[name], reading).astype(np.float64), output)
                u[name] = to_f32(stored, output) + f32(0)
                masks[name] = np.sign(tau[name]) * np.sign(u[name]) > 0
                tensors[f"{case}/{reading}/u/{name}"] = to_bits(u[name].astype(np.float64), output)
                for t in range(tasks):
                    packed = np.packbits(masks[name][t], bitorder="little")
                    tensors[f"{case}/{reading}/mask/{t + 1}/{name}"] = packed
            described[case]["figures"][reading] = [
                figures([tau[k][t] for k in SHAPES], list(u.values()), [masks[k][t] for k in SHAPES])
                for t in range(tasks)
            ]
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(x) for name, x in tensors.items()}, folder / "vectors.safetensors")
    shapes = {name: list(shape) for name, shape in SHAPES.items()}
    lines = [{"tensors": shapes}, *({"case": case, **what} for case, what in described.items())]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (folder / "figures.jsonl").write_text(text)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main(Path(sys.argv[1]))
