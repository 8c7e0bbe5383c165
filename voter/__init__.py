"""The voter: ballots in, a verdict out."""
