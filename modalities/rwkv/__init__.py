"""The RWKV-7 (x070) engine: model, time-mix operator, checkpoints, tokenizer."""
