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
    from neurodeploy import api
    from neurodeploy.render.boards import render_board, render_boards
    from neurodeploy.render.text import to_json

    if name is not None:
        board = api.load_board(name)
        click.echo(to_json(board.to_dict()) if as_json else render_board(board))
        return
    found = [api.load_board(known) for known in api.board_names()]
    if as_json:
        click.echo(to_json({"boards": {board.name: board.to_dict() for board in found}}))
    else:
        click.echo(render_boards(found))
