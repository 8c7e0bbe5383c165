"""What `train.py` is made of: data, inputs, optimiser, card."""
