"""What the sentence pairs are written with."""
