# SPDX-License-Identifier: Apache-2.0
"""`plimsoll route`: only typer and the standard library at the top, see `offchain.cli`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offchain.route.solve_instance import InstanceAnswer

EPILOG = "Example: plimsoll route --instance basket.json --json"

_SHOWN_LEGS = 40


def route(
    instance: Annotated[Path, typer.Option("--instance", help="The problem: tokens, pools, what to sell for what.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")] = False,
) -> None:
    """Sell a basket of tokens for one token through all given pools, in the best way and to the wei."""
    from offchain.route.instance import load_instance
    from offchain.route.solve_instance import solve_instance

    answer = solve_instance(load_instance(instance))
    if as_json:
        typer.echo(json.dumps(answer.as_json()))
    else:
        _print(answer)


def _print(answer: InstanceAnswer) -> None:
    tokens, pools, done = answer.instance.tokens, answer.instance.pools, answer.route

    def amount(base_units: int, token: int) -> str:
        whole = base_units / 10 ** tokens[token].decimals
        return f"{whole:,.6g} {tokens[token].symbol}"

    for swap in done.swaps[:_SHOWN_LEGS]:
        sold, bought = amount(swap.amount_in, swap.token_in), amount(swap.amount_out, swap.token_out)
        typer.echo(f"{sold:>24}  ->  {bought:<24}  {pools[swap.pool].kind} {pools[swap.pool].address}")
    if len(done.swaps) > _SHOWN_LEGS:
        typer.echo(f"{'':>24}      and {len(done.swaps) - _SHOWN_LEGS} more legs; --json lists all")
    typer.echo(f"Bought {amount(done.out, answer.instance.buy)} with {len(done.swaps)} legs in {done.seconds:.3f} s")
    for token, left in enumerate(done.left):
        if left:
            typer.echo(f"Not sold: {amount(left, token)}, which no pool takes")
    if answer.gas_usd is not None:
        typer.echo(f"Gas about ${answer.gas_usd:,.2f}")
    typer.echo(f"Any other routing yields at most {done.gap:.1e} more, relative to this one")
