"""Tables of what a deployment uses: long rows of numbered populations in one line each."""

from __future__ import annotations

from neurodeploy.report.deployment import LISTED, utilization_text


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


def test_many_numbered_populations_are_one_line() -> None:
    lines = [line.split() for line in utilization_text(used(LISTED + 3)).splitlines()]
    assert ["inference", "s:", "0.3"] in lines
    assert ["a.rails0..14", "2..3"] in lines
    assert ["conv", "3"] in lines
    assert ["a", "4"] in lines
    assert ["a.rails0..14", "conv", "15", "different"] in lines
    assert ["a", "a.rails0..14", "-"] in lines
    assert sum(line[:1] == ["a"] for line in lines) == 2


def test_few_are_told_one_by_one() -> None:
    lines = [line.split() for line in utilization_text(used(LISTED)).splitlines()]
    assert ["a.rails1", "3"] in lines
    assert ["a.rails1", "conv", "-1"] in lines
    assert not any("different" in line for line in lines)
