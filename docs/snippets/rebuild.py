"""Rebuilds one task's model from a bundle and the base: rebuild.py BASE BUNDLE TASK OUT [RESCALER]."""
import json, sys
import numpy as np
from safetensors.numpy import load_file, save_file

base_file, bundle, task, out, *kind = sys.argv[1:]
base, unified = load_file(base_file), load_file(f"{bundle}/unified.safetensors")
masks = load_file(f"{bundle}/tasks/{task}/mask.safetensors")
model = load_file(f"{bundle}/tasks/{task}/extras.safetensors")
layout = json.load(open(f"{bundle}/tasks/{task}/layout.json"))
rescalers = json.load(open(f"{bundle}/report.json"))["tasks"][task]["rescalers"]
scale = np.float32(rescalers[kind[0] if kind else "global"])
for tensor in layout["tensors"]:
    name, dtype = tensor["name"], {"F64": "f8", "F32": "f4", "F16": "f2"}.get(tensor["dtype"])
    if tensor["source"] == "merged":
        w = base[name]
        mask = np.unpackbits(masks[name], count=w.size, bitorder="little").reshape(w.shape)
        model[name] = np.where(mask, w.astype("f4") + scale * unified[name].astype("f4"), w).astype(dtype)
    elif tensor["source"] == "base":
        model[name] = base[name]
save_file(model, out, metadata={"format": "pt"})
