"""Pascal3D+ (§4.1)."""
