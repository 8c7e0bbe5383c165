"""What `ablate.py` is made of: strategies, their comparison, and the page that shows it."""
