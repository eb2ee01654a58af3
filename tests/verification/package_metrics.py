"""Metrics of NeuroBench's own package beside ours, of networks of snnTorch and their import.

Run as ``.venv-bench/bin/python -m tests.verification.package_metrics``: one JSON line a network.
Weights and decays have few bits, so that sums are exact in single precision, in any order.
"""

from __future__ import annotations

import json
import warnings

import numpy as np
import torch
from torch import nn

warnings.simplefilter("ignore")

import snntorch as snn  # noqa: E402
from neurobench.benchmarks import Benchmark  # noqa: E402
from neurobench.metrics.static import ConnectionSparsity, Footprint  # noqa: E402
from neurobench.metrics.workload import (  # noqa: E402
    ActivationSparsity,
    MembraneUpdates,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.verification.neurobench import count, metrics_of  # noqa: E402

T, SAMPLES, BATCH = 7, 12, 5


def leaky(beta: float, **options: object) -> nn.Module:
    return snn.Leaky(beta=beta, threshold=1.0, init_hidden=True, **options)


def dense() -> nn.Module:
    return nn.Sequential(
        nn.Linear(20, 12),
        leaky(0.5),
        nn.Linear(12, 5, bias=False),
        leaky(0.75, reset_mechanism="zero", reset_delay=False, output=True),
    )


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        leaky(0.5),
        nn.Conv2d(4, 4, 3, stride=2, groups=2),
        leaky(0.0),
        nn.Flatten(),
        nn.Linear(36, 6),
        leaky(0.5, output=True),
    )


NETWORKS = {"dense": (dense, (20,)), "convolutional": (convolutional, (2, 8, 8))}


def coarse(module: nn.Module) -> nn.Module:
    """The module with weights of sixteenths, a fifth of which are 0."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        values = torch.randint(-9, 17, parameter.shape, generator=generator) / 16
        kept = torch.rand(parameter.shape, generator=generator) > 0.2
        parameter.data = values * kept
    return module.eval()


def packages(module: nn.Module, x: torch.Tensor) -> dict[str, float]:
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, torch.zeros(len(x))), batch_size=BATCH
    )
    workload = [ActivationSparsity, SynapticOperations, MembraneUpdates]
    benchmark = Benchmark(
        SNNTorchModel(module), loader, [], [], [[Footprint, ConnectionSparsity], workload]
    )
    found = benchmark.run(quiet=True)
    # A code of 8 bytes for the kind of reset, and the factor 1 of graded spikes, in each layer.
    codes = sum(12 for layer in module.modules() if isinstance(layer, snn.Leaky))
    return {
        "footprint": found["Footprint"] - codes,
        "connection_sparsity": found["ConnectionSparsity"],
        "activation_sparsity": found["ActivationSparsity"],
        "effective_macs": found["SynapticOperations"]["Effective_MACs"],
        "effective_acs": found["SynapticOperations"]["Effective_ACs"],
        "dense_operations": found["SynapticOperations"]["Dense"],
        "membrane_updates": found["MembraneUpdates"],
    }


def ours(module: nn.Module, x: torch.Tensor) -> dict[str, float | None]:
    net = nd.import_network(module, shape=tuple(x.shape[2:]), timesteps=T)
    (entry,) = net.netlist.inputs
    counts = count(net.netlist, {entry.name: x.numpy().astype(np.int64)})
    return metrics_of(net.netlist, counts).to_dict()


def main() -> None:
    for name, (build, shape) in NETWORKS.items():
        module = coarse(build())
        drawn = torch.rand((SAMPLES, T, *shape), generator=torch.Generator().manual_seed(1))
        x = (drawn < 0.3).float()
        mine = ours(module, x)
        print(json.dumps({"network": name, "package": packages(module, x), "ours": mine}))


if __name__ == "__main__":
    main()
