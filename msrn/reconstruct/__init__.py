"""Your own photographs: a packed network, what it makes of a photograph, how sure it may be, and what is written."""
