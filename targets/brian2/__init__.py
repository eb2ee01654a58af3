"""The Brian2 target: a netlist as a ``brian2.Network`` of NeuronGroups and Synapses."""
