"""Taggers, and the tables by which tags make ratings."""
