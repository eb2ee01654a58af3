"""Tables of what a deployment uses: long rows of numbered populations in one line each."""

from __future__ import annotations

from dataclasses import replace

from neurodeploy.render.deployment import utilization_parts
from neurodeploy.render.numbered import LISTED, runs, span
from neurodeploy.render.verification import verification_rows
from neurodeploy.verification.agreement import Agreement
from neurodeploy.verification.verification import Verification


def used(n: int) -> dict[str, object]:
    rows = [
        {"cores": 3, "population": "conv", "sources": [{"pre": "input", "levels": [1, 2]}]},
        *(
            {
                "cores": 2 + (i == 1),
                "population": f"a.rails{i}",
                "sources": [{"pre": "conv", "levels": [-i]}],
            }
            for i in range(n)
        ),
        {"cores": 4, "population": "a", "sources": [{"pre": f"a.rails{i}"} for i in range(n)]},
    ]
    return {"inference_s": 0.1 + 0.2, "layers": rows}


def text(used: dict[str, object]) -> str:
    return "\n\n".join(utilization_parts(used))


def test_many_numbered_populations_are_one_line() -> None:
    lines = [line.split() for line in text(used(LISTED + 3)).splitlines()]
    assert ["inference", "s:", "0.3"] in lines
    assert ["a.rails0..14", "2..3"] in lines
    assert ["conv", "3"] in lines
    assert ["a", "4"] in lines
    assert ["a.rails0..14", "conv", "15", "different"] in lines
    assert ["a", "a.rails0..14", "-"] in lines
    assert sum(line[:1] == ["a"] for line in lines) == 2


def test_few_are_told_one_by_one() -> None:
    lines = [line.split() for line in text(used(LISTED)).splitlines()]
    assert ["a.rails1", "3"] in lines
    assert ["a.rails1", "conv", "-1"] in lines
    assert not any("different" in line for line in lines)


def verified(names: list[str], **changes: object) -> Verification:
    """Ten neuron-steps of each population, as many spikes as its place in the list."""
    return Verification(
        samples=1,
        timesteps=5,
        target="truenorth",
        mismatches={"engine": {names[-1]: 2, names[-2]: 1}},
        spikes={name: i for i, name in enumerate(names)},
        compared_neuron_steps=dict.fromkeys(names, 10),
        divergences={},
        agreement=None,
        **changes,  # type: ignore[arg-type]
    )


def test_many_numbered_populations_are_verified_in_one_line() -> None:
    names = ["conv", *(f"a.rails{i}" for i in range(LISTED + 1))]
    conv, rails = verification_rows(verified(names))
    assert conv == ("conv", 10, 0, "0.00 %", None, 0)
    total = sum(range(1, LISTED + 2))
    share = f"{100 * total / (10 * (LISTED + 1)):.2f} %"
    assert rails == (f"a.rails0..{LISTED}", 10 * (LISTED + 1), total, share, None, 3)
    alone = verification_rows(verified(names[:-1]))
    assert [row[0] for row in alone] == names[:-1]
    assert [row[-1] for row in alone][-2:] == [1, 2]


def test_membranes_have_no_spikes_and_the_lowest_correlation_is_told() -> None:
    names = [f"out{i}" for i in range(LISTED + 1)]
    known = Agreement(1.0, {"out1": 0.9, "out2": 0.8})
    (row,) = verification_rows(verified(names, integrators=frozenset(names)))
    assert row[2:5] == (None, "membrane", None)
    (row,) = verification_rows(replace(verified(names), agreement=known))
    assert row[4] == "0.8000"


def test_layers_of_one_kind_are_verified_one_by_one() -> None:
    names = [f"relu_{3 * i + 2}" for i in range(LISTED + 7)]
    assert [row[0] for row in verification_rows(verified(names))] == names
    assert runs(["x"] * (LISTED + 1)) == [["x"]] * (LISTED + 1)


def test_names_in_short() -> None:
    assert span(["relu_2"]) == "relu_2"
    assert span(["a.rails0", "a.rails1", "a.rails14"]) == "a.rails0..14"
    assert runs(["b", *(f"a{i}" for i in range(LISTED)), "c"])[1] == ["a0"]
    assert runs(["b", *(f"a{i}" for i in range(LISTED + 1)), "c"])[1][-1] == f"a{LISTED}"
