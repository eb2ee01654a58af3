"""From a plan to a ``brian2.Network``.

Doubles hold the integers: every state is proved below 2^24, every product below 2^53. The samples
of a batch lie side by side: neuron n of sample b is neuron b * size + n of its NeuronGroup.

Within a step, Brian2 updates groups, tests thresholds, delivers synapses, then resets. What a spike
delivers is seen by the groups of the next step, so a delay of d steps is (d - 1) * dt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.targets.brian2.equations import (
    Code,
    neuron_code,
    pool_code,
    pool_model,
    pooled_variables,
    reset_code,
    time_gains,
    varying_decays,
)
from neurodeploy.targets.brian2.plan import Group, Link, Plan, pool_taps
from neurodeploy.targets.brian2.session import code_object_class, quiet_preferences

_LIVE = "live = int(t_in_timesteps >= window_start and t_in_timesteps < window_stop) : 1 (shared)"
# A payload is read when it is delivered, so a delayed one is kept in a line of variables and
# delivered at once by an event of its own.
_PAYLOAD_EVENT = "payload_{delay}"
NEVER = 2**31 - 1
"""The step in which the window of a stream closes, until it is known."""


def build_network(
    plan: Plan, batch: int, codegen: str, spikes: Collection[str], membranes: Collection[str]
) -> Any:
    """Build the Network for ``batch`` samples side by side, with monitors.

    Objects are named as in :mod:`neurodeploy.targets.brian2.plan`; monitors are called
    ``<group>_spikes``, ``<group>_negative_spikes`` and ``<group>_membrane``, the cells that a
    max-pooling group reads ``<group>_cells``.
    """
    with quiet_preferences(codegen) as brian2:
        code = {"codeobj_class": code_object_class(codegen)}
        return assemble(brian2, plan, batch, spikes, membranes, code)


def assemble(
    brian2: Any,
    plan: Plan,
    batch: int,
    spikes: Collection[str],
    membranes: Collection[str],
    code: Mapping[str, Any],
) -> Any:
    """Build the Network from the classes of ``brian2``, or of what writes down what they are told.

    ``code`` is what objects that run code are made with.
    """
    return _Assembly(brian2, plan, batch, code).network(spikes, membranes)


class _Assembly:
    def __init__(self, brian2: Any, plan: Plan, batch: int, code: Mapping[str, Any]) -> None:
        self.brian2 = brian2
        self.plan = plan
        self.batch = batch
        self.dt = plan.dt * brian2.second
        self.code = dict(code)
        self.shared = {"clock": brian2.Clock(dt=self.dt), **self.code}
        self.payload_delays: dict[str, set[int]] = {g.object: set() for g in plan.groups}
        by_object = {g.object: g for g in plan.groups}
        for link in plan.links:
            pre = by_object[link.pre]
            if pre.graded and pre.kind != "current":
                self.payload_delays[link.pre].add(link.delay)
        self.driven = {q.post for q in plan.links if by_object[q.pre].kind == "current"}
        self.by_object = by_object

    def network(self, spikes: Collection[str], membranes: Collection[str]) -> Any:
        sources, targets, objects = {}, {}, []
        for group in self.plan.groups:
            sources[group.object] = targets[group.object] = made = self._group(group)
            objects.append(made)
            if group.kind == "pool":
                targets[group.object] = cells = self._cells(group)
                self._connect_pool(group, made, cells)
                objects.append(cells)
        for link in self.plan.links:
            # Weights that were all rounded to zero leave nothing, which Brian2 cannot connect.
            if link.projection.connectivity.n_synapses:
                objects.append(self._synapses(link, sources[link.pre], targets[link.post]))
        for group in self.plan.groups:
            made = sources[group.object]
            if group.name in spikes and group.kind in ("neuron", "pool") and group.emits:
                objects += self._spike_monitors(group, made)
            if group.name in membranes:
                objects.append(
                    self.brian2.StateMonitor(
                        made,
                        "v",
                        record=True,
                        when="end",
                        name=f"{group.object}_membrane",
                        **self.shared,
                    )
                )
        return self.brian2.Network(*objects)

    def _group(self, group: Group) -> Any:
        delays = self.payload_delays[group.object]
        equations, code = [_LIVE], []
        if group.kind == "current":
            equations.append("q : 1")
        elif group.emits:
            equations.append("s : 1")
            line = ["s", *(f"s_{k}" for k in range(1, max(delays, default=1)))]
            equations += [f"{name} : 1" for name in line[1:]]
            code += [f"{line[k]} = {line[k - 1]}" for k in range(len(line) - 1, 0, -1)]
        lines, update = self._code(group)
        events = {
            _PAYLOAD_EVENT.format(delay=d): f"{'s' if d == 1 else f's_{d - 1}'} != 0"
            for d in delays
        }
        if group.kind == "current":
            events = {
                "on": "q != 0 and t_in_timesteps == window_start",
                "off": "q != 0 and t_in_timesteps == window_stop",
            }
        fires = group.emits and group.kind != "current"
        if fires and group.signed:
            events["negative"] = "s < 0"
        made = self.brian2.NeuronGroup(
            self.batch * group.size,
            "\n".join([*equations, *lines]),
            threshold="s > 0" if fires else None,
            reset=reset_code(group, "theta_pos") if fires else None,
            events=events,
            name=group.object,
            namespace=self._window(group),
            **self.shared,
        )
        if code or update:
            # Pools read cells that were updated in the same step.
            made.run_regularly(
                "\n".join([*code, *update]),
                when="groups",
                order=1 if group.kind == "pool" else 0,
                **self.shared,
            )
        if fires and group.signed and reset_code(group, "theta_neg"):
            theta = "theta_pos" if group.neuron and group.neuron.memory else "theta_neg"
            made.run_on_event("negative", reset_code(group, theta), when="resets")
        for name, quantity in (
            ("theta_pos", "threshold"),
            ("theta_neg", "negative_threshold"),
            ("b", "bias"),
            ("v", "initial_membrane"),
            ("v_reset", "reset_value"),
            ("v_min", "floor"),
            *(varying_decays(group.neuron) if group.neuron else ()),
        ):
            if (value := group.quantity(quantity)) is not None:
                setattr(made, name, np.tile(value, self.batch).astype(np.float64))
        return made

    def _code(self, group: Group) -> Code:
        if group.kind == "neuron":
            return neuron_code(group, group.object in self.driven)
        if group.kind == "pool":
            return pool_code(group)
        since = "t - piece_start" if self.plan.endless else "t"
        return [], [f"s = live*raster({since}, i)"] if group.kind == "spikes" else []

    def _window(self, group: Group) -> dict[str, Any]:
        gains = {
            name: self.brian2.TimedArray(np.array([0.0] * group.depth + list(values)), self.dt)
            for name, values in time_gains(group)
        }
        return {
            **gains,
            "window_start": group.depth,
            "window_stop": NEVER if self.plan.endless else group.depth + self.plan.timesteps,
            **({} if group.neuron is None else {"payload_max": group.neuron.payload_max}),
        }

    def _cells(self, group: Group) -> Any:
        drive = " + drive" if group.object in self.driven else ""
        cells = self.brian2.NeuronGroup(
            # The last cell stands for the padding: nothing ever reaches it.
            self.batch * group.n_cells + 1,
            "\n".join(
                [
                    *(_LIVE, "a : 1", "now : 1", "accumulated : 1", "pad : 1 (constant)"),
                    *(["drive : 1"] if drive else []),
                ]
            ),
            name=f"{group.object}_cells",
            namespace=self._window(group),
            **self.shared,
        )
        times = "*input_gain(t)" if pool_model(group).input_gain else ""
        cells.run_regularly(
            f"now = live*(a{drive}) + pad\naccumulated += (now - pad){times}\na = 0",
            when="groups",
            **self.shared,
        )
        if group.signed:
            # Below everything that can be accumulated: padding never wins.
            for name in ("accumulated", "pad"):
                setattr(cells, name, np.append(np.zeros(self.batch * group.n_cells), -(2.0**50)))
        return cells

    def _connect_pool(self, group: Group, made: Any, cells: Any) -> None:
        model, n_cells = pool_model(group), group.n_cells
        for k, tap in enumerate(pool_taps(model)):
            index = tap[None, :] + n_cells * np.arange(self.batch)[:, None]
            index = np.where(tap[None, :] == n_cells, self.batch * n_cells, index)
            for name, variable in pooled_variables(model, k).items():
                linked = self.brian2.linked_var(cells, variable, index=index.reshape(-1))
                setattr(made, name, linked)

    def _synapses(self, link: Link, source: Any, target: Any) -> Any:
        pre, post = self.by_object[link.pre], self.by_object[link.post]
        delay = (link.delay - 1) * self.dt
        if pre.kind == "current":
            # A constant source: added once, taken back when its window has passed.
            on_pre = {"on": "drive_post += w*q_pre", "off": "drive_post -= w*q_pre"}
            on_event = {"on": "on", "off": "off"}
            delays = {"on": delay, "off": delay}
        elif pre.graded:
            payload = "s" if link.delay == 1 else f"s_{link.delay - 1}"
            on_pre = {"payload": f"a_post += w*{payload}_pre"}
            on_event = {"payload": _PAYLOAD_EVENT.format(delay=link.delay)}
            delays = {"payload": 0 * self.dt}
        else:
            on_pre, on_event, delays = {}, {}, {}
            if pre.high > 0:
                on_pre["positive"], on_event["positive"] = "a_post += w", "spike"
                delays["positive"] = delay
            if pre.signed:
                on_pre["negative"], on_event["negative"] = "a_post -= w", "negative"
                delays["negative"] = delay
        made = self.brian2.Synapses(
            source,
            target,
            "w : 1",
            on_pre=on_pre,
            on_event=on_event,
            delay=delays,
            name=link.object,
            **self.shared,
        )
        sources, targets, weights = link.synapses()
        made.connect(
            i=_side_by_side(sources, pre.size, self.batch),
            j=_side_by_side(targets, post.n_cells, self.batch),
        )
        made.w = np.tile(weights.astype(np.float64), self.batch)
        return made

    def _spike_monitors(self, group: Group, made: Any) -> list[Any]:
        variables = ["s"] if group.graded else None
        monitors = []
        for event in ("spike", "negative"):
            if event in made.events:
                ending = "spikes" if event == "spike" else "negative_spikes"
                monitors.append(
                    self.brian2.EventMonitor(
                        made,
                        event,
                        variables,
                        name=f"{group.object}_{ending}",
                        **self.code,
                    )
                )
        return monitors


def _side_by_side(index: IntArray, size: int, batch: int) -> AnyArray:
    offsets = size * np.arange(batch, dtype=np.int32)[:, None]
    return (index.astype(np.int32)[None, :] + offsets).reshape(-1)
