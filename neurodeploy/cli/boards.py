"""``neurodeploy boards``."""

from __future__ import annotations

import click

from neurodeploy.cli.options import json_option
from neurodeploy.cli.terminal import say
from neurodeploy.errors import UsageError


@click.command()
@click.argument("name", required=False)
@click.option("--limits", is_flag=True, help="Compare what cores hold and neurons can do.")
@click.option("--toml", "as_toml", is_flag=True, help="Print NAME as a file to start from.")
@json_option
def boards(name: str | None, limits: bool, as_toml: bool, as_json: bool) -> None:
    """List the boards, or print everything about the board NAME.

    NAME may also be the path of a board description of your own (TOML).
    """
    from neurodeploy import api
    from neurodeploy.render.boards import board_toml, render_board, render_boards, render_limits

    if as_toml:
        if name is None or limits or as_json:
            raise UsageError("boards --toml: name one board and no other form of output")
        say(board_toml(api.load_board(name)), nl=False)
        return
    if name is not None and not limits:
        board = api.load_board(name)
        say(board.to_dict() if as_json else render_board(board))
        return
    found = [api.load_board(known) for known in api.board_names()]
    if name is not None and name not in api.board_names():
        found.append(api.load_board(name))
    if as_json:
        say({"boards": {board.name: board.to_dict() for board in found}})
    else:
        say(render_limits(found) if limits else render_boards(found))
