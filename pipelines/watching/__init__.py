"""What `capitoline watch` is made of: sources, batches of bounded latency, the growing output, its figures."""
