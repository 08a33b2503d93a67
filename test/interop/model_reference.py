"""The network of examples/digits in numpy, in f64: forward, loss, Fisher diagonal and Gram matrices.

usage: model_reference.py MODEL DATASET OUT
Writes OUT.json (accuracy, loss, entropy), OUT-fisher-expectation.safetensors, OUT-fisher-given.safetensors and
OUT-gram.safetensors (F64).
"""

import json
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

EPSILON = 1e-5
model_path, dataset_path, out = sys.argv[1:]
w = {name: tensor.astype(np.float64) for name, tensor in load_file(model_path).items()}
data = load_file(dataset_path)
x, y = data["x"].astype(np.float64), data["y"].astype(np.int64)
n = len(x)
blocks = sorted(int(name.split(".")[1]) for name in w if name.startswith("layers.") and name.endswith("weight"))

# Forward, keeping what the backward pass needs.
inputs, normals, deviations, active = [], [], [], []
h = x
for k in blocks:
    inputs.append(h)
    z = h @ w[f"layers.{k}.weight"].T + w[f"layers.{k}.bias"]
    centred = z - z.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)
    normal = centred / deviation
    normals.append(normal)
    deviations.append(deviation)
    a = normal * w[f"norms.{k}.weight"] + w[f"norms.{k}.bias"]
    active.append(a > 0)
    h = np.maximum(a, 0)
logits = h @ w["head.weight"].T + w["head.bias"]
shifted = logits - logits.max(axis=1, keepdims=True)
logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
p = np.exp(logp)
inputs.append(h)


def squared_gradients(labels):
    """Of each example's log p(label | x): a dict of arrays [n, *shape], squared."""
    g = np.eye(p.shape[1])[labels] - p
    squares = {"head.weight": g[:, :, None] ** 2 * inputs[-1][:, None, :] ** 2, "head.bias": g**2}
    g = g @ w["head.weight"]
    for k in reversed(blocks):
        g = g * active[k]
        squares[f"norms.{k}.weight"] = (g * normals[k]) ** 2
        squares[f"norms.{k}.bias"] = g**2
        g = g * w[f"norms.{k}.weight"]
        g = (g - g.mean(axis=1, keepdims=True) - normals[k] * (g * normals[k]).mean(axis=1, keepdims=True)) / deviations[k]
        squares[f"layers.{k}.weight"] = g[:, :, None] ** 2 * inputs[k][:, None, :] ** 2
        squares[f"layers.{k}.bias"] = g**2
        g = g @ w[f"layers.{k}.weight"]
    return squares


given = {name: s.mean(axis=0) for name, s in squared_gradients(y).items()}
expectation = {name: np.zeros(tensor.shape) for name, tensor in w.items()}
for label in range(p.shape[1]):
    for name, s in squared_gradients(np.full(n, label)).items():
        expectation[name] += np.tensordot(p[:, label], s, axes=1) / n
gram = {f"layers.{k}.weight": inputs[k].T @ inputs[k] / n for k in blocks}
gram["head.weight"] = inputs[-1].T @ inputs[-1] / n

save_file(given, f"{out}-fisher-given.safetensors")
save_file(expectation, f"{out}-fisher-expectation.safetensors")
save_file(gram, f"{out}-gram.safetensors")
with open(f"{out}.json", "w") as file:
    figures = {
        "accuracy": float((logits.argmax(axis=1) == y).mean()),
        "loss": float(-logp[np.arange(n), y].mean()),
        "entropy": float(-(p * logp).sum(axis=1).mean()),
    }
    json.dump(figures, file)
