"""How good a result is, measured on shapes whose true surface is known."""
