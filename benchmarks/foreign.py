"""Networks of others: which are converted, which are refused, whether any is different or ends in an internal error.

    python -m benchmarks.foreign torchvision [--write docs/networks.md]
    python -m benchmarks.foreign timm [--write docs/networks.md]         (where timm is installed)
    python -m benchmarks.foreign NAME...  [--lower]

Every classifier of torchvision, or a network of every family of convolutional classifiers in timm, with random weights
and random batch norms, each in a process of its own. "converted": ``tc.convert`` went
through, and the float network of the canonical graph equals the module on random images that the conversion did not
see, relative error at most 1e-4. ``--lower`` also lowers it to integers. CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks.marked import write

#: One network of every family of timm of 2026 that is a convolutional classifier.
TIMM = (
    "cspdarknet53", "cspresnet50", "cspresnext50", "darknet53", "densenet121", "densenet169", "dla34", "dla60_res2net",
    "dm_nfnet_f0", "dpn68", "ecaresnet26t", "efficientnet_b0", "efficientnet_lite0", "ese_vovnet19b_dw", "fbnetc_100",
    "fbnetv3_b", "gernet_s", "ghostnet_100", "hardcorenas_a", "hgnet_tiny", "hrnet_w18_small", "inception_resnet_v2",
    "inception_v3", "inception_v4", "legacy_senet154", "legacy_seresnet18", "legacy_xception", "lcnet_050",
    "mixnet_s", "mnasnet_100", "mobilenetv1_100", "mobilenetv2_100", "mobilenetv3_small_100", "mobileone_s0",
    "nf_resnet26", "regnetx_002", "regnety_002", "repghostnet_050", "repvgg_a0", "res2net50_26w_4s", "res2next50",
    "resnest14d", "resnet10t", "resnet18", "resnet18d", "resnet26", "resnet26d", "resnet34", "resnet50", "resnet50d",
    "resnetblur50", "resnext50_32x4d", "rexnet_100", "selecsls42", "selecsls60", "semnasnet_100", "seresnet18",
    "skresnet18", "spnasnet_100", "tf_efficientnet_lite0", "tresnet_m", "vgg11", "vgg11_bn", "vgg16", "vovnet39a",
    "wide_resnet50_2", "xception41",
)  # fmt: skip
_SECONDS = 900
_TOLERANCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--lower", action="store_true")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(examine(args.names[0], args.lower)))
        return
    family = args.names[0] if args.names[0] in ("torchvision", "timm") else ""
    found = []
    for name in _names(family) or args.names:
        found.append(in_a_process(name, args.lower))
        print(_line(found[-1]), flush=True)
    text = table(found, family)
    print(text)
    if args.write:
        write(args.write, f"foreign-{family or 'networks'}", text)


def _names(family: str) -> list[str]:
    if family == "torchvision":
        import torchvision

        return [f"torchvision:{name}" for name in torchvision.models.list_models(module=torchvision.models)]
    return [f"timm:{name}" for name in TIMM] if family == "timm" else []


def in_a_process(name: str, lower: bool) -> dict[str, str]:
    """What :func:`examine` finds, or how its process ended."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.foreign", name, "--child"] + ["--lower"] * lower
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return {"name": name, "outcome": "error", "why": f"more than {_SECONDS} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"name": name, "outcome": "error", "why": (done.stderr.strip().splitlines() or ["ended"])[-1]}
    return dict(json.loads(lines[-1]))


def examine(name: str, lower: bool) -> dict[str, str]:
    """Convert one network, compare, and say what became of it."""
    import resource
    import time

    import torch

    import spikec as tc
    from spikec.frontend import canonicalize

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, shape = _model(name)
    images = torch.rand(2, *shape)
    start = time.process_time()
    try:
        network = tc.convert(model, tc.ErrorFree(timesteps=4), example=images, calibration=images)
        if lower:
            tc.lower(network, tc.Int8(per="channel"), force=True)
    except tc.UnsupportedOperation as error:
        kinds = Counter(line.split(": ")[-2] for line in str(error).splitlines()[1:] if line.count(": ") > 1)
        return {"name": name, "outcome": "refused", "why": ", ".join(kinds)}
    except tc.ToolchainError as error:
        return {"name": name, "outcome": "refused", "why": str(error).splitlines()[0].split("): ")[-1]}
    seconds = time.process_time() - start
    others = torch.randn(2, *shape)
    with torch.no_grad():
        wanted, given = model(others), canonicalize(model, images)(others)
    error = float((wanted - given).abs().max() / wanted.abs().max())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {
        "name": name,
        "outcome": "converted" if error <= _TOLERANCE else "different",
        "why": f"relative error {error:.1e}, {seconds:.1f} CPU s, peak {peak:.1f} GB",
    }


def _model(name: str) -> tuple[object, tuple[int, ...]]:
    import torch
    from torch import nn

    library, _, model_name = name.rpartition(":")
    if library == "timm":
        import timm

        model = timm.create_model(model_name, pretrained=False).eval()
        shape = tuple(model.default_cfg["input_size"])
    else:
        import torchvision

        slow = {"init_weights": False} if model_name in ("googlenet", "inception_v3") else {}
        model = torchvision.models.get_model(model_name, weights=None, **slow).eval()
        size = 299 if model_name == "inception_v3" else 224
        shape = (3, size, size)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                if module.affine:  # some start at zero, and then layers behind them never fire
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.normal_(0, 0.1)
    return model, shape


def _line(row: dict[str, str]) -> str:
    return f"{row['name']:45} {row['outcome']:10} {row['why']}"


def table(found: list[dict[str, str]], family: str) -> str:
    """Counts, and who is refused for what."""
    counts = Counter(row["outcome"] for row in found)
    text = [
        f"{len(found)} networks{f' of {family}' if family else ''}: {counts['converted']} converted and equal, "
        f"{counts['refused']} refused, {counts['different']} different, {counts['error']} with an internal error.",
        "",
        "| refused for | networks |",
        "|---|---|",
    ]
    reasons: dict[str, list[str]] = {}
    for row in found:
        if row["outcome"] != "converted":
            reasons.setdefault(row["why"].replace("|", "/"), []).append(row["name"].rpartition(":")[2])
    text += [f"| {why} | {', '.join(names)} |" for why, names in sorted(reasons.items(), key=lambda r: -len(r[1]))]
    return "\n".join(text)


if __name__ == "__main__":
    main()
