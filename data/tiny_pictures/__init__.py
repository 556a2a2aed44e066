"""What the tiny pictures are drawn with."""
