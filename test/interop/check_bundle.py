"""Holds what the service made against reference.py: check_bundle.py DIRECTORY EXPECTED.json

DIRECTORY has checkpoints/ (base, task-1, ...), artifacts/ as downloaded, and models/<task>/<rescaler>.<scope>.<dtype>.
Prints how much was compared, as JSON; the first difference ends it.
"""
import json
import os
import sys
import tempfile

import numpy as np
import reference as ref
from safetensors import safe_open
from safetensors.numpy import load_file

directory, settings = sys.argv[1], json.loads(sys.argv[2])
at = lambda *parts: os.path.join(directory, *parts)
names = sorted(os.listdir(at("checkpoints")))
base = ref.load(at("checkpoints", "base", "model.safetensors"))
tasks = {n: ref.load(at("checkpoints", n, "model.safetensors")) for n in names if n != "base"}
report = json.load(open(at("artifacts", "report.json")))
counts = {"files": 0, "elements": 0, "rescalers": 0}


def same_file(path, tensors, what):
    """The file is, byte for byte, what upstream writes of these tensors; and upstream reads it."""
    with tempfile.TemporaryDirectory() as folder:
        ref.save(tensors, os.path.join(folder, "x"))
        expected = open(os.path.join(folder, "x"), "rb").read()
    found = open(path, "rb").read()
    loaded = ref.load(path)
    assert list(loaded.keys() ^ tensors.keys()) == [], (what, loaded.keys() ^ tensors.keys())
    for name, tensor in tensors.items():
        assert loaded[name] == tensor, (what, name, loaded[name].dtype, tensor.dtype, differing(loaded[name], tensor))
    assert found == expected, (what, "tensors are equal, the file is not")
    with safe_open(path, framework="np") as file:
        assert file.metadata() == {"format": "pt"}, what
    if all(t.dtype != "BF16" for t in tensors.values()):
        assert load_file(path).keys() == tensors.keys(), what
    counts["files"] += 1
    counts["elements"] += sum(t.size for t in tensors.values())


def differing(a, b):
    """How many bytes differ, and where first."""
    if len(a.data) != len(b.data):
        return f"{len(a.data)} bytes, expected {len(b.data)}"
    where = np.flatnonzero(np.frombuffer(a.data, "u1") != np.frombuffer(b.data, "u1"))
    return f"{len(where)} bytes differ, the first at {where[:1]}"


def close(found, expected, what):
    for kind, value in expected.items():
        assert abs(found[kind] - value) <= 1e-6 * abs(value), (what, kind, found[kind], value)
        counts["rescalers"] += 1


def own_tensors(task, merged):
    """What is kept verbatim of a task: all that is neither merged nor the base's own bytes."""
    kept = {n: t for n, t in task.items() if n not in merged}
    # Equal integers are taken from the base only when every task has them so; equal bytes may lie in either.
    return {n: t for n, t in kept.items() if t.dtype in ref.FLOAT or base.get(n) != t}


def rendered(tensor, dtype):
    if not dtype or tensor.dtype not in ref.FLOAT or tensor.dtype == dtype:
        return tensor
    return ref.of_f32(tensor.f32(), dtype, tensor.shape)


def check_emr():
    outputs, sums = ref.emr(base, list(tasks.values()), settings["zero_sign"], settings["unified"])
    same_file(at("artifacts", "unified.safetensors"), {n: u for n, (u, _) in outputs.items()}, "unified")
    for t, (task, tensors) in enumerate(tasks.items()):
        packed = {n: np.packbits(masks[t], bitorder="little") for n, (_, masks) in outputs.items()}
        packed = {n: ref.Tensor("U8", (len(bits),), bits.tobytes()) for n, bits in packed.items()}
        same_file(at("artifacts", "tasks", task, "mask.safetensors"), packed, f"{task}: mask")
        figures = report["tasks"][task]
        close(figures["rescalers"], ref.rescalers(sums[t].values()), task)
        for name, own in sums[t].items():
            close(figures["tensors"][name]["rescalers"], ref.rescalers([own]), f"{task}: {name}")
        for step in ("unified", "masked"):
            expected = sum(s[f"{step}_distance"] for s in sums[t].values())
            close(figures["distances"], {step: expected}, f"{task}: distance")
        for model in sorted(os.listdir(at("models", task))):
            rescaler, scope, dtype = model.split(".")
            kind = rescaler.replace("-", "_")
            scale = lambda n: (figures if scope == "model" else figures["tensors"][n])["rescalers"][kind]
            expected = {
                n: ref.modulate(base[n], outputs[n][0], outputs[n][1][t].reshape(-1), scale(n), dtype_of(x, dtype))
                if n in outputs
                else rendered(x, dtype)
                for n, x in tensors.items()
            }
            same_file(at("models", task, model), expected, f"{task}: {model}")
    return outputs.keys()


def dtype_of(tensor, dtype):
    return dtype if dtype else tensor.dtype


def check_model():
    merged = ref.merged_names(base, list(tasks.values()))
    weights = lambda n: [t[n].f32() for t in tasks.values()]
    model = dict(base)
    for n in merged:
        if settings["method"] == "average":
            value = ref.average(weights(n))
        else:
            value = ref.task_arithmetic(base[n].f32(), weights(n), settings["lambda"])
        model[n] = ref.of_f32(value, settings["unified"] or base[n].dtype, base[n].shape)
    same_file(at("artifacts", "model.safetensors"), model, "model")
    for task, tensors in tasks.items():
        expected = {n: rendered(model[n], x.dtype) if n in merged else x for n, x in tensors.items()}
        same_file(at("models", task, "..."), expected, f"{task}: model")
    return merged


merged = check_emr() if settings["method"] == "emr" else check_model()
for task, tensors in tasks.items():
    same_file(at("artifacts", "tasks", task, "extras.safetensors"), own_tensors(tensors, merged), f"{task}: extras")
    kept = open(at("artifacts", "tasks", task, "files", "config.json"), "rb").read()
    assert kept == open(at("checkpoints", task, "config.json"), "rb").read(), f"{task}: config.json"
print(json.dumps(counts))
