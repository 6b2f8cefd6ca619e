"""What a reconstruction is worth (§4.2): metrics, alignment, the protocol, and diagnoses. Nothing here trains."""
