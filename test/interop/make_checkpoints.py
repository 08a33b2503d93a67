"""Writes base and fine-tunes with upstream's own writer: make_checkpoints.py DIRECTORY TASKS BF16(0|1)."""
import os
import sys

import numpy as np
from reference import Tensor, of_f32, save
from safetensors.numpy import save_file

SHAPES = {
    "embed.weight": (97, 64), "blocks.0.weight": (33, 31), "blocks.0.bias": (33,), "blocks.1.weight": (257, 511),
    "temperature": (), "unused": (0, 3), "norm": (7,), "one": (1,),
}  # fmt: skip
DTYPES = ["F32", "F16", "F64", "F32", "F32", "F16", "F64", "F16"]


def checkpoint(t, rng, base, bfloat):
    """Tensors of task t, 0 being the base; the last dimension says what is the task's own."""
    tensors = {}
    for i, (name, shape) in enumerate(SHAPES.items()):
        dtype = DTYPES[i]
        if bfloat and i % 2 == 0:
            dtype = "BF16"
        # Task 2 was saved in another precision than the base.
        if t == 2 and i % 3 == 0:
            dtype = "F16" if dtype != "F16" else "F32"
        size = int(np.prod(shape, dtype=np.int64))
        if t == 0:
            values = (rng.standard_normal(size) * 0.05).astype("f4")
        else:
            step = rng.integers(-3, 4, size).astype("f4") / 2048
            values = base[name].f32() + step + (rng.standard_normal(size) * 1e-4).astype("f4") * (name == "norm")
        tensors[name] = of_f32(values.astype("f4"), dtype, shape)
    tensors["head.weight"] = of_f32(rng.standard_normal((t + 2) * 5).astype("f4"), "F32", (t + 2, 5))
    tensors["positions"] = Tensor("I64", (4,), np.arange(4, dtype="<i8").tobytes())
    tensors["steps"] = Tensor("I32", (), np.array(100 + t, "<i4").tobytes())
    tensors["causal"] = Tensor("BOOL", (2, 2), np.tril(np.ones((2, 2), "?")).tobytes())
    if t == 1:
        tensors["adapter"] = of_f32(np.ones(3, "f4"), "F16", (3,))
    if t == 3:
        del tensors["one"]
    return tensors


directory, tasks, bfloat = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1"
rng = np.random.default_rng(20)
base = None
for t in range(tasks + 1):
    tensors = checkpoint(t, rng, base, bfloat)
    base = base or tensors
    folder = os.path.join(directory, f"task-{t}" if t else "base")
    os.makedirs(folder)
    path = os.path.join(folder, "model.safetensors")
    if bfloat:
        save(tensors, path)
    else:
        kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "BOOL": "?"}
        arrays = {n: np.frombuffer(x.data, kinds[x.dtype]).reshape(x.shape) for n, x in tensors.items()}
        save_file(arrays, path, metadata={"format": "pt"})
    with open(os.path.join(folder, "config.json"), "w") as file:
        file.write(f'{{"task": {t}}}\n')
