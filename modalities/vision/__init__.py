"""Eyes: the vision encoder and its export, words in pictures."""
