"""What the digits are drawn with."""
