"""EMR-Merging, weight averaging and Task Arithmetic over whole checkpoints, in numpy, written from docs/semantics.md.

Independent of the service: it shares no code with it, and reads safetensors with upstream's own package. A checkpoint is
a dict of name -> Tensor; numpy has no bfloat16, so the bytes of a tensor are kept and values are made when asked for.
"""
from dataclasses import dataclass

import numpy as np
from safetensors import TensorSpec, deserialize, serialize_file

FLOAT = ("F64", "F32", "BF16", "F16")
NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
UPSTREAM = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16", "BOOL": "bool"}


@dataclass
class Tensor:
    dtype: str
    shape: tuple
    data: bytes

    def f32(self):
        """The elements as float32, flat: exact but for F64, which is rounded."""
        stored = np.frombuffer(self.data, NUMPY[self.dtype])
        if self.dtype == "BF16":
            return (stored.astype("u4") << 16).view("f4")
        return stored.astype("f4")

    @property
    def size(self):
        return int(np.prod(self.shape, dtype=np.int64))


def cast(values, dtype):
    """Bits of float32 values in `dtype`, rounded to nearest even, as an array of the dtype's width."""
    if dtype != "BF16":
        return values.astype(NUMPY[dtype])
    bits = values.view("u4").astype("u8")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("u2")


def of_f32(values, dtype, shape):
    return Tensor(dtype, tuple(shape), cast(values, dtype).tobytes())


def load(path):
    with open(path, "rb") as file:
        found = deserialize(file.read())
    return {name: Tensor(t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in found}


def save(tensors, path):
    """What `save_file` of safetensors does, for bytes: also of dtypes that numpy lacks."""
    specs, keep = {}, []
    for name, tensor in tensors.items():
        data = np.frombuffer(tensor.data or b"\0", "u1")
        keep.append(data)
        d = tensor.dtype
        dtype = UPSTREAM.get(d) or ("u" if d[0] == "U" else "") + "int" + d[1:]
        specs[name] = TensorSpec(
            dtype=dtype, shape=list(tensor.shape), data_ptr=data.ctypes.data, data_len=len(tensor.data)
        )
    serialize_file(specs, path, metadata={"format": "pt"})


def merged_names(base, tasks):
    """Float, of one shape in the base and all tasks."""
    return [
        name
        for name, tensor in base.items()
        if tensor.dtype in FLOAT
        and all(name in t and t[name].dtype in FLOAT and t[name].shape == tensor.shape for t in tasks)
    ]


def elect(base, tasks, zero_sign):
    """u, and the task vectors, of flat float32 weights: Algorithm 1, lines 1-6."""
    taus = [task - base for task in tasks]
    total = np.zeros_like(base)
    for tau in taus:
        total = total + tau
    gamma = np.sign(total)
    if zero_sign == "negative":
        gamma[gamma == 0] = -1
    epsilon = np.zeros_like(base)
    for tau in taus:
        agrees = (np.sign(tau) == gamma) & (gamma != 0)
        epsilon = np.maximum(epsilon, np.where(agrees, np.abs(tau), np.float32(0)))
    u = gamma * epsilon
    return np.where(u == 0, np.float32(0), u), taus


def emr(base, tasks, zero_sign, dtype="F32"):
    """name -> (u in `dtype`, [mask of each task]) and, per task, name -> sums, over whole checkpoints."""
    outputs, sums = {}, [{} for _ in tasks]
    for name in merged_names(base, tasks):
        u, taus = elect(base[name].f32(), [task[name].f32() for task in tasks], zero_sign)
        unified = of_f32(u, dtype, base[name].shape)
        u = unified.f32()
        u = np.where(u == 0, np.float32(0), u)  # a zero that rounding made is +0 too
        unified = of_f32(u, dtype, base[name].shape)
        masks = [(np.sign(tau) == np.sign(u)) & (u != 0) for tau in taus]
        outputs[name] = (unified, masks)
        wide = u.astype("f8")
        for t, (tau, mask) in enumerate(zip(taus, masks)):
            tau = tau.astype("f8")
            sums[t][name] = {
                "n": tau.size,
                "abs_tau": np.abs(tau).sum(),
                "masked_abs_u": np.abs(wide[mask]).sum(),
                "product": (tau * wide)[mask].sum(),
                "masked_u_sq": (wide[mask] ** 2).sum(),
                "masked_distance": ((tau - mask * wide) ** 2).sum(),
                "unified_distance": ((tau - wide) ** 2).sum(),
            }
    return outputs, sums


def ratio(a, b):
    return float(a / b) if b else 0.0


def rescalers(sums):
    """λ of all kinds of one task, from its sums over some tensors."""
    add = lambda key: sum(s[key] for s in sums)
    filled = [s for s in sums if s["n"] > 0]
    return {
        "global": ratio(add("abs_tau"), add("masked_abs_u")),
        "tensor_mean": ratio(
            sum(s["abs_tau"] / s["n"] for s in filled), sum(s["masked_abs_u"] / s["n"] for s in filled)
        ),
        "l2": ratio(add("product"), add("masked_u_sq")),
    }


def modulate(base, unified, mask, scale, dtype):
    """Ŵ = W_pre + λ·(M⊙u), one rounding to `dtype`; where the mask is 0, W_pre's own bits."""
    values = base.f32() + np.float32(scale) * unified.f32()
    made = cast(values, dtype)
    own = np.frombuffer(base.data, NUMPY[base.dtype]) if base.dtype == dtype else cast(base.f32(), dtype)
    return Tensor(dtype, base.shape, np.where(mask, made, own).tobytes())


def average(weights):
    """The mean of flat float32 weights, every step rounded to float32, in order."""
    total = weights[0]
    for weight in weights[1:]:
        total = total + weight
    return total / np.float32(len(weights))


def task_arithmetic(base, tasks, scale):
    total = np.float32(scale) * (tasks[0] - base)
    for task in tasks[1:]:
        total = total + np.float32(scale) * (task - base)
    return base + total
