"""What is trained on RWKV-7: ordinal heads, losses, raters, the trunk."""
