"""A netlist with everything later commands need, and its ``.ndn`` file.

A ``.ndn`` file is a safetensors file whose header carries one key, ``neurodeploy``, with sorted
JSON: the schema version, the structure and the provenance. The same network always gives the same
bytes. Nothing in it is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from neurodeploy.errors import FileFormatError, NetlistError, first_line
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.files import as_path, write_bytes_whole
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.provenance import misread
from neurodeploy.ir.storage import array_bytes, content_digest, netlist_codec, shared_arrays
from neurodeploy.loading.files import arrays_and_metadata, expect_schema, parsed_json, read_bytes
from neurodeploy.notebook import Shown
from neurodeploy.source.analog import AnalogGraph
from neurodeploy.source.evaluation.record import analog_from_record, analog_to_record

if TYPE_CHECKING:
    import neurodeploy as nd

SCHEMA_VERSION = 1
METADATA_KEY = "neurodeploy"
DIGEST = "sha256"
"""Key of the digest of everything else; files from before it joined have none."""

_CODEC = netlist_codec()


@dataclass(frozen=True, slots=True, repr=False)
class Network(Shown):
    """A netlist and where it came from.

    Parameters
    ----------
    netlist : RealNetlist or IntegerNetlist
    encodings : mapping of input population to Encoding
        Empty for netlists that are fed with integers directly.
    analog : AnalogGraph or None
        The source network, after folding what belongs to it.
    real : RealNetlist or None
        The real-valued netlist that an integer one was quantized from.
    provenance : mapping
        JSON values: commands, versions, seeds, calibration indices, reports.
    """

    netlist: RealNetlist | IntegerNetlist
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    analog: AnalogGraph | None = None
    real: RealNetlist | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.netlist, RealNetlist | IntegerNetlist):
            raise NetlistError(
                f"Network: got {type(self.netlist).__name__}; pass a RealNetlist or IntegerNetlist"
            )
        if not isinstance(self.real, RealNetlist | None):
            raise NetlistError(f"Network: real={type(self.real).__name__}; pass a RealNetlist")
        if not isinstance(self.analog, AnalogGraph | None):
            raise NetlistError(f"Network: analog={type(self.analog).__name__}; pass an AnalogGraph")
        if not (isinstance(self.encodings, Mapping) and isinstance(self.provenance, Mapping)):
            raise NetlistError("Network: encodings and provenance are mappings by name")
        if not all(isinstance(e, Encoding) for e in self.encodings.values()):
            raise NetlistError("Network: encodings: expected an Encoding for each input")
        inputs = {p.name for p in self.netlist.inputs}
        if self.encodings and set(self.encodings) != inputs:
            raise NetlistError(
                f"encodings for {sorted(self.encodings)}; the netlist has inputs {sorted(inputs)}"
            )
        for population in self.netlist.inputs if self.encodings else ():
            assert isinstance(population.model, Input)
            given = self.encodings[population.name].kind
            if given != population.model.kind:
                raise NetlistError(
                    f"input {population.name!r}: takes {population.model.kind}, its encoding gives "
                    f"{given}"
                )

    def __repr__(self) -> str:
        kind = "integer" if isinstance(self.netlist, IntegerNetlist) else "real-valued"
        n = len(self.netlist.populations)
        return (
            f"Network({self.netlist.name}: {kind} netlist, T = {self.netlist.timesteps}, "
            f"{n} population{'s' * (n != 1)})"
        )

    def save(self, path: Path | str) -> None:
        """Write a ``.ndn`` file, whole or not at all."""
        save_network(self, path)

    def quantize(self, weight_bits: int = 8, **options: Any) -> Network:
        """To integers; see :func:`neurodeploy.quantize`."""
        import neurodeploy as nd

        return nd.quantize(self, weight_bits, **options)

    def compile(
        self, target: str, board: str | nd.Board | None = None, **options: Any
    ) -> nd.Deployment:
        """For a target; see :func:`neurodeploy.compile`."""
        import neurodeploy as nd

        return nd.compile(self, target, board, **options)

    def export(self, to: str, path: Path | str, **options: Any) -> nd.Exported:
        """Write it for other frameworks; see :func:`neurodeploy.export`."""
        import neurodeploy as nd

        return nd.export(self, to, path, **options)

    def check(
        self, target: str, board: str | nd.Board | None = None, **options: Any
    ) -> list[nd.Violation]:
        """Why a target cannot compute it exactly; see :func:`neurodeploy.check`."""
        import neurodeploy as nd

        return nd.check(self, target, board, **options)

    def evaluate(
        self, data: nd.SamplesLike, samples: int | None = None, **options: Any
    ) -> nd.Evaluation:
        """Its accuracy on data; see :func:`neurodeploy.evaluate`."""
        import neurodeploy as nd

        return nd.evaluate(self, data, samples, **options)

    def stream(self, executor: str | None = None, **options: Any) -> nd.Stream:
        """Run piece by piece, its state kept in between; see :func:`neurodeploy.stream`."""
        import neurodeploy as nd

        return nd.stream(self, executor, **options)

    def diagnose(
        self, data: nd.SamplesLike, samples: int | None = None, **options: Any
    ) -> nd.Diagnosis:
        """Losses layer by layer; see :func:`neurodeploy.diagnose`."""
        import neurodeploy as nd

        return nd.diagnose(self, data, samples, **options)

    @overload
    def energy(
        self,
        board: str | nd.Board,
        data: nd.SamplesLike,
        samples: int | None = None,
        **options: Any,
    ) -> nd.EnergyReport: ...

    @overload
    def energy(
        self,
        board: list[str] | list[nd.Board] | list[str | nd.Board] | tuple[str | nd.Board, ...],
        data: nd.SamplesLike,
        samples: int | None = None,
        **options: Any,
    ) -> nd.EnergyComparison: ...

    def energy(
        self, board: Any, data: Any, samples: int | None = None, **options: Any
    ) -> nd.EnergyReport | nd.EnergyComparison:
        """On a board, or compared on several; see :func:`neurodeploy.estimate_energy`."""
        import neurodeploy as nd

        report: nd.EnergyReport | nd.EnergyComparison = nd.estimate_energy(
            self, board, data, samples, **options
        )
        return report

    @property
    def integer(self) -> IntegerNetlist:
        """The integer netlist.

        Raises
        ------
        NetlistError
            If this is a real-valued netlist.
        """
        if not isinstance(self.netlist, IntegerNetlist):
            raise NetlistError(
                f"{self.netlist.name}: a real-valued netlist; run 'neurodeploy quantize' first, "
                "or quantize() of it in Python"
            )
        return self.netlist


def network_to_bytes(network: Network) -> bytes:
    """The content of the network's ``.ndn`` file.

    Raises
    ------
    NetlistError
        If an entry of the provenance that commands read is of another shape than theirs.
    """
    odd = misread(network.provenance)
    if odd is not None:
        raise NetlistError(
            f"{network.netlist.name}: provenance {odd!r} is not of the shape that commands read; "
            "give it another name"
        )
    structure: dict[str, Any] = {}
    arrays: dict[str, AnyArray] = {}
    for name in ("netlist", "encodings", "real"):
        value = getattr(network, name)
        structure[name], found = _CODEC.encode(dict(value) if name == "encodings" else value)
        arrays.update({f"{name}.{k}": v for k, v in found.items()})
    structure["analog"] = None
    if network.analog is not None:
        structure["analog"], found = analog_to_record(network.analog)
        arrays.update({f"analog.{k}": v for k, v in found.items()})
    header = {
        "schema": SCHEMA_VERSION,
        "structure": structure,
        "provenance": network.provenance,
    }
    if shared := shared_arrays(arrays):
        header["shared"] = shared
    header[DIGEST] = content_digest(_header_text(header), arrays)
    return array_bytes(arrays, {METADATA_KEY: _header_text(header)})


def _header_text(header: Mapping[str, Any]) -> str:
    try:
        return json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise NetlistError(f"provenance: {first_line(error)}; it holds JSON values") from error


def save_network(network: Network, path: Path | str) -> None:
    """Write a ``.ndn`` file, whole or not at all."""
    write_bytes_whole(as_path(path), network_to_bytes(network))


def load_network(path: Path | str, *, check: bool = True) -> Network:
    """Read a ``.ndn`` file.

    Parameters
    ----------
    path : path
    check : bool
        Compare the content with its digest. Without it, a file that was edited on purpose is read,
        as far as it makes sense.

    Raises
    ------
    FileFormatError
        If it is missing, truncated, changed, not a ``.ndn`` file, of another schema version or
        inconsistent.
    """
    path = Path(path)
    if path.is_dir():
        raise FileFormatError(f"{path}: is a folder (a deployment?); name the .ndn file")
    return network_from_bytes(read_bytes(path, "a .ndn netlist"), str(path), check=check)


def network_from_bytes(content: bytes, where: str, *, check: bool = True) -> Network:
    """Rebuild a network from the content of a ``.ndn`` file; ``where`` names it in errors."""
    header, arrays = _parse(content, where)
    digest = header.pop(DIGEST, None)
    again = "convert the network again with this version"
    expect_schema(header.get("schema"), SCHEMA_VERSION, where, again)
    if check and digest is not None and digest != content_digest(_header_text(header), arrays):
        raise FileFormatError(
            f"{where}: was changed after it was written; copy or convert it again, or read it with "
            "neurodeploy.load(path, check=False) and save it if you changed it yourself"
        )
    structure = header.get("structure")
    provenance = header.get("provenance")
    expected = {f.name for f in fields(Network)} - {"provenance"}
    if (
        not isinstance(structure, dict)
        or set(structure) != expected
        or not set(header) <= {"schema", "structure", "provenance", "shared"}
    ):
        raise FileFormatError(f"{where}: damaged header; convert the network again")
    if not isinstance(provenance, dict):
        raise FileFormatError(f"{where}: damaged provenance; convert the network again")
    odd = misread(provenance)
    if odd is not None:
        raise FileFormatError(f"{where}: damaged provenance ({odd}); convert the network again")
    shared = header.get("shared", {})
    if not isinstance(shared, dict) or not set(map(str, shared.values())) <= set(arrays):
        raise FileFormatError(f"{where}: damaged header; convert the network again")
    arrays.update({key: arrays[other] for key, other in shared.items()})
    try:
        parts: dict[str, Any] = {
            name: _CODEC.decode(structure[name], _under(name, arrays))
            for name in ("netlist", "encodings", "real")
        }
        if structure["analog"] is not None:
            parts["analog"] = analog_from_record(structure["analog"], _under("analog", arrays))
        _check_parts(parts)
        return Network(provenance=provenance, **parts)
    except (FileFormatError, NetlistError) as error:
        raise FileFormatError(f"{where}: {error}") from error


def _check_parts(parts: dict[str, Any]) -> None:
    if not isinstance(parts["netlist"], RealNetlist | IntegerNetlist):
        raise FileFormatError("invalid content: no netlist")
    if not isinstance(parts["real"], RealNetlist | None):
        raise FileFormatError("invalid content: 'real' is not a real-valued netlist")
    encodings = parts["encodings"]
    if not isinstance(encodings, dict) or not all(
        isinstance(e, Encoding) for e in encodings.values()
    ):
        raise FileFormatError("invalid content: encodings")


def _parse(content: bytes, where: str) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    not_ours = f"{where}: not a .ndn file, or truncated; write it again with neurodeploy"
    arrays, metadata = arrays_and_metadata(content, not_ours)
    header = parsed_json(metadata.get(METADATA_KEY, ""), not_ours)
    if not isinstance(header, dict):
        raise FileFormatError(not_ours)
    return header, arrays


def _under(prefix: str, arrays: dict[str, AnyArray]) -> dict[str, AnyArray]:
    lead = f"{prefix}."
    return {k.removeprefix(lead): v for k, v in arrays.items() if k.startswith(lead)}
