"""Bad input, everywhere the same way; and the formats that are read, by a stated rule each."""
