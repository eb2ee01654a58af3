"""What a deploy came to: a verdict per board, and what to do next."""

from __future__ import annotations

import shlex
from typing import Any

from neurodeploy.render.quantities import told_bar
from neurodeploy.render.text import optional, render_table, short_percent
from neurodeploy.stages.deployed import REPORT_FILE, Deployed, deployment_folder


def deployed_parts(deployed: Deployed) -> list[str]:
    """A verdict per board, and the reasons of those that cannot run the network."""
    columns: dict[str, list[str | None]] = {"board": list(deployed.boards)}
    rows = [_row(deployed, board) for board in deployed.boards]
    columns |= {name: [row[name] for row in rows] for name in rows[0]}
    # Where answers are no classes, the error takes the place of accuracies.
    classes = any(columns["accuracy"]) or not any(columns["error"])
    for name in ("error",) if classes else ("accuracy", "source"):
        del columns[name]
    parts = [render_table(list(columns), list(zip(*columns.values(), strict=True)))]
    reasons = [
        f"{board}: {step.line}"
        for board in deployed.boards
        if (step := deployed.refusal(board)) is not None
    ]
    if not classes:
        reasons.append(
            "error: of the worst output against the source network's, relative to its spread"
        )
    if any(_stands_for_source(deployed, board) for board in deployed.boards):
        reasons.append(
            "source: the real-valued netlist, as there is no trained network to compare with"
        )
    return [*parts, *reasons]


def _stands_for_source(deployed: Deployed, board: str) -> bool:
    """Whether the accuracy in the place of the source's is that of the real-valued netlist."""
    real = deployed.result(deployed.step("evaluate-real", board)) or {}
    given = real.get("source_accuracy") is None
    return given and deployed.source_accuracy(board) is not None


def deployed_to_dict(deployed: Deployed) -> dict[str, Any]:
    """Steps and results of a deploy, and the answer of each board."""
    answers = {board: board_answer(deployed, board) for board in deployed.boards}
    return {**deployed.to_dict(), "answers": answers, "exact": deployed.exact}


def board_answer(deployed: Deployed, board: str) -> str:
    """``fits``, ``fits with N assumptions``, ``does not fit`` or how far it came."""
    if deployed.refusal(board) is not None:
        return "cannot run it"
    judged = deployed.result(deployed.step("verdict", board))
    if judged is not None:
        return str(judged["answer"])
    return "fits, approximated" if deployed.compiled(board) else "not finished"


def _is_compared(deployed: Deployed, board: str) -> bool:
    """Whether its answers stand beside those of a trained network, on the same data."""
    measured = deployed.result(deployed.step("evaluate", board)) or {}
    return any((measured.get("output_rmse") or {}).values())


def _row(deployed: Deployed, board: str) -> dict[str, str | None]:
    measured = deployed.result(deployed.step("evaluate", board)) or {}
    priced = deployed.result(deployed.step("energy", board)) or {}
    energy = (priced.get("energy_per_inference_j") or {}).get("total")
    errors: dict[str, Any] = next(iter((measured.get("relative_error") or {}).values()), {})
    worst = max((error["worst"] for error in errors.values() if error), default=None)
    return {
        "verdict": board_answer(deployed, board),
        "accuracy": optional(
            short_percent, next(iter((measured.get("accuracy") or {}).values()), None)
        ),
        "source": optional(short_percent, deployed.source_accuracy(board)),
        "error": optional(short_percent, worst),
        "verified": _verified(deployed, board),
        "cores": None if priced.get("cores") is None else str(priced["cores"]),
        "energy": optional(lambda told: told_bar(told, "J"), energy),
        "time": optional(lambda told: told_bar(told, "s"), priced.get("time_per_inference_s")),
    }


def _verified(deployed: Deployed, board: str) -> str | None:
    """Targets that are exact, those that are not, and those that were not asked."""
    words = {"refused": "refuses it", "left out": "not installed"}
    told: dict[str, list[str]] = {}
    for step in deployed.steps:
        if step.board != board or step.target is None:
            continue
        if step.status != "done":
            told.setdefault(words[step.status], []).append(step.target)
        elif step.name == "verify":
            result = deployed.result(step) or {}
            word = "exact" if result.get("exact") else "NOT EXACT"
            told.setdefault(word, []).append(step.target)
    return "; ".join(f"{', '.join(names)} {word}" for word, names in told.items()) or None


def render_next(
    deployed: Deployed, data: str, program: str = "neurodeploy", boards: str = ""
) -> str:
    """Commands that look further at the first board that runs the network.

    Parameters
    ----------
    deployed : Deployed
    data : str
        As it was given.
    program : str
        How the user calls neurodeploy.
    boards : str
        As they were given, names and files separated by commas.
    """
    board = next((b for b in deployed.boards if deployed.compiled(b)), None)
    if board is None:
        return f"next:\n  {program} boards --limits"
    whole = deployed.integer_name(board)
    assert whole is not None
    compiled = deployment_folder(board, deployed.compiled(board)[0])
    place, given = deployed.folder, ("--data", data)
    named = boards.split(",")
    # The folder keeps the names that board files give, which commands do not know.
    every = len(named) == len(deployed.boards)
    where = dict(zip(deployed.boards, named, strict=True)) if every else {}
    there = (deployed.result(deployed.step("evaluate", board)) or {}).get("samples")

    def first(n: int) -> tuple[str, str]:
        return "--samples", str(n if there is None else min(n, there))

    commands = [
        ("inspect", str(place / whole)),
        (
            "energy",
            str(place / compiled),
            "--board",
            where.get(board, board),
            *given,
            *first(50),
            "--details",
        ),
        ("verify", str(place / compiled), "--against", "reference", *given, *first(20)),
        ("run", str(place / compiled), *given, *first(5)),
    ]
    if _is_compared(deployed, board):
        commands.insert(1, ("diagnose", str(place / whole), *given, *first(100)))
    page = deployed.step("report")
    shown = [f"  {place / REPORT_FILE}: the page, for a browser"] if page and page.files else []
    return "\n".join(["next:", *shown, *(f"  {program} {shlex.join(words)}" for words in commands)])
