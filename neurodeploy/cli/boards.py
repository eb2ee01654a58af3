"""``neurodeploy boards``."""

from __future__ import annotations

import click

from neurodeploy.cli.options import json_option


@click.command()
@click.argument("name", required=False)
@json_option
def boards(name: str | None, as_json: bool) -> None:
    """List the boards, or print everything about the board NAME.

    NAME may also be the path of a board description of your own (TOML).
    """
    from neurodeploy.hardware.boards.board import board_names, load_board
    from neurodeploy.render.boards import render_board, render_boards
    from neurodeploy.render.text import to_json

    if name is not None:
        board = load_board(name)
        click.echo(to_json(board.to_dict()) if as_json else render_board(board))
        return
    found = [load_board(known) for known in board_names()]
    if as_json:
        click.echo(to_json({"boards": {board.name: board.to_dict() for board in found}}))
    else:
        click.echo(render_boards(found))
