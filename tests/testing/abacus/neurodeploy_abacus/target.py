"""An abacus: every synapse in a list, every step in NumPy, from one JSON file."""

import json

import numpy as np

from neurodeploy.ir.neurons import IntegerNeuron, MaxPool
from neurodeploy.ir.record import RunRecord
from neurodeploy.targets.base import Deployment, Target, Violation, state_violations

FILE = "abacus.json"


def plan_of(netlist):
    """The netlist as JSON values."""
    schedule, neurons, wires = netlist.schedule, {}, []
    for p in netlist.populations:
        if isinstance(p.model, IntegerNeuron):
            fields = ("threshold", "bias", "initial_membrane")
            values = [getattr(p.model, name) for name in fields]
            neurons[p.name] = {
                "depth": schedule.depth[p.name],
                "reset": p.model.reset,
                **{
                    name: None if v is None else p.spread(v).reshape(-1).tolist()
                    for name, v in zip(fields, values, strict=True)
                },
            }
    for q, delay in zip(netlist.projections, schedule.delays, strict=True):
        post, pre, weight = q.connectivity.to_coo()
        e = np.broadcast_to(q.shift(), q.connectivity.post_shape).reshape(-1)[post]
        wires.append(
            {
                "pre": q.pre,
                "post": q.post,
                "lag": delay + schedule.depth[q.pre] - schedule.depth[q.post],
                "synapses": np.stack([post, pre, weight << e], axis=1).tolist(),
            }
        )
    order = [n for n in schedule.order if n in neurons]
    return {"neurons": {n: neurons[n] for n in order}, "wires": wires}


class AbacusDeployment(Deployment):
    """A plan that is calculated step by step."""

    target = "abacus"

    def __init__(self, plan, network, board, options):
        super().__init__(network, board, options)
        self.plan = plan

    def _run(self, request, progress):
        batch, T = request.batch, self.netlist.timesteps
        spikes = {n: x.reshape(batch, T, -1) for n, x in request.stimulus.items()}
        shapes = {p.name: p.shape for p in self.netlist.populations}
        v, traces = {}, {}
        for name, p in self.plan["neurons"].items():
            spikes[name] = np.zeros((batch, T, len(p["bias"])), dtype=np.int64)
            traces[name] = np.zeros_like(spikes[name])
            v[name] = np.tile(p["initial_membrane"], (batch, 1))
        last = max((p["depth"] for p in self.plan["neurons"].values()), default=0)
        for step in range(T + last):
            for name, p in self.plan["neurons"].items():
                t = step - p["depth"]
                if 0 <= t < T:
                    self._step(name, p, t, T, v, spikes, traces)
        shaped = [
            {n: x.reshape(batch, T, *shapes[n]) for n, x in found.items()}
            for found in (spikes, traces)
        ]
        return RunRecord(T, *shaped)

    def _step(self, name, p, t, T, v, spikes, traces):
        total = v[name] + np.array(p["bias"])
        for wire in self.plan["wires"]:
            sent = t - wire["lag"]
            if wire["post"] == name and 0 <= sent < T:
                for post, pre, weight in wire["synapses"]:
                    total[:, post] += weight * spikes[wire["pre"]][:, sent, pre]
        if p["threshold"] is not None:
            fired = total >= p["threshold"]
            spikes[name][:, t] = fired
            total = np.where(
                fired, total - p["threshold"] if p["reset"] == "subtract" else 0, total
            )
        v[name] = traces[name][:, t] = total

    def utilization(self):
        """Beads."""
        return {"synapses": sum(len(w["synapses"]) for w in self.plan["wires"])}

    def write_files(self, folder):
        """One file."""
        (folder / FILE).write_text(json.dumps(self.plan))


class AbacusTarget(Target):
    """Plain integrate-and-fire neurons on the neurocores of a board."""

    name = "abacus"
    summary = "an abacus: spikes in, binary neurons, one JSON file"
    default_board = "loihi1"
    board_kind = "neurocore"

    @classmethod
    def unavailable(cls):
        """It needs nothing."""
        return None

    def check(self, netlist, board, options):
        """Everything but binary neurons without leak."""
        found = state_violations(netlist)
        for p in netlist.populations:
            found += [Violation(p.name, what, remedy="use rate coding") for what in odd(p)]
        return found

    def lower(self, network, board, options):
        """The plan."""
        return AbacusDeployment(plan_of(network.integer), network, board, options)

    def load(self, folder, network, board, options):
        """Read the plan."""
        return AbacusDeployment(json.loads((folder / FILE).read_text()), network, board, options)


def odd(population):
    """What an abacus cannot calculate of a population."""
    model = population.model
    if isinstance(model, MaxPool):
        return ["max-pooling"]
    if not isinstance(model, IntegerNeuron):
        return ["current input"] if model.kind == "current" else []
    checks = {
        "signed spikes": model.signed,
        "graded spikes": model.payload_max > 1,
        "gains": model.has_gains,
        "decays": model.has_current_memory or model.leaks,
        "reset none": model.fires and model.reset == "none",
    }
    return [what for what, there in checks.items() if there] + list(model.extensions)
