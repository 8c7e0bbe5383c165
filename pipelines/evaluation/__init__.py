"""What `evaluate.py` is made of: figures and their intervals."""
